"""How to speak the protocol: exchanges, clients, sessions, profile and catalogue."""

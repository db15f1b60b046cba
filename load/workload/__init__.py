"""What a load sends: mix, request templates, virtual users, scenarios."""

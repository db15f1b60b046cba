"""Certificates for tests: of a server, and of a client that it asks for one."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme

__all__ = ["Certificates"]


class Certificates:
    """A certificate authority, a certificate of the server, one of a client, and a key of another."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.server = self.authority.issue_cert("127.0.0.1", "localhost")
        client, other = (self.authority.issue_cert(f"{name}@example.com") for name in ("ann", "bo"))
        self.ca, self.cert, self.key, self.other = (
            folder / f"{name}.pem" for name in ("ca", "cert", "key", "other")
        )
        self.authority.cert_pem.write_to_path(str(self.ca))
        self.cert.write_bytes(b"".join(blob.bytes() for blob in client.cert_chain_pems))
        client.private_key_pem.write_to_path(str(self.key))
        other.private_key_pem.write_to_path(str(self.other))
        self.server.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
        self.server_file = folder / "server.pem"

    def context(self, *, asks: bool = False) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.configure_cert(context)
        if asks:
            self.authority.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

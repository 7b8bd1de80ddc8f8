"""Certificates for tests of TLS, as files."""

from __future__ import annotations

from pathlib import Path

import trustme


class Authority:
    """A certificate authority, whose certificate is the file `path`."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._authority = trustme.CA(organization_name=name)
        self._folder = folder
        self.path = folder / f"{name}.pem"
        self._authority.cert_pem.write_to_path(self.path)

    def issue(self, name: str, host: str = "localhost") -> tuple[Path, Path]:
        """Write a certificate for a host, with the common name `name`, and its private key."""
        issued = self._authority.issue_cert(host, "127.0.0.1", common_name=name)
        cert, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        issued.private_key_pem.write_to_path(key)
        cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        return cert, key

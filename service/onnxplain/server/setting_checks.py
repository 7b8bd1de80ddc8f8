"""What is wrong with settings that are well-formed: files, certificates, what excludes what."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

from onnxplain.server.settings import Settings

__all__ = ["contradictions", "exposure", "is_loopback"]


def contradictions(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the settings together: the setting's name and the text of each."""
    for name in ("models", "listen"):
        values = [str(v) for v in getattr(settings, name) if not str(v).endswith(":0")]
        if len(set(values)) < len(values):
            yield name, f"`{name}` names one twice"
    for folder in settings.models:
        if not folder.is_dir():
            yield "models", f"no folder '{folder}'"
    for address in settings.listen:
        folder = Path(address.removeprefix("unix:")).parent
        if address.startswith("unix:") and not os.access(folder, os.W_OK | os.X_OK):
            yield "listen", f"'{address}' cannot be made: no folder '{folder}' that can be written"
    yield from _writable("store", settings.store)
    yield from _writable("state", settings.state)
    yield from _credentials(settings)
    yield from _worker_credentials(settings)
    yield from exposure(settings)
    if settings.traces and not settings.traces.startswith(("http://", "https://")):
        yield "traces", "`traces` must be a URL, such as http://127.0.0.1:4317"
    if settings.metrics in settings.listen and not str(settings.metrics).endswith(":0"):
        yield "metrics", "`metrics` must be another address than those of `listen`"
    names = {token.sha256: token.name for token in settings.tokens}
    for token in settings.tokens:
        if names[token.sha256] != token.name:
            other = names[token.sha256]
            yield f"tokens.{token.name}", f"tokens '{token.name}' and '{other}' have one `sha256`"


def exposure(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield the setting and the text, if other machines can reach an address that lacks TLS."""
    public = [address for address in settings.listen if not is_loopback(address)]
    if not public or settings.insecure:
        return
    missing = []
    if settings.tls_cert is None:
        missing.append("TLS (`tls_cert` and `tls_key`)")
    if not settings.tokens and settings.client_ca is None:
        missing.append("`tokens` or `client_ca`")
    if missing:
        yield (
            "listen",
            f"{public[0]} can be reached from other machines: it needs {' and '.join(missing)}, "
            "or `insecure` if something else protects it",
        )


def is_loopback(address: str) -> bool:
    """Return whether HOST:PORT, or unix:PATH, can be reached from this machine only."""
    if address.startswith("unix:"):
        return True
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ip_address(host).is_loopback
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None)
    except OSError:
        return False
    return all(ip_address(str(each[4][0]).partition("%")[0]).is_loopback for each in found)


def _credentials(settings: Settings) -> Iterator[tuple[str, str]]:
    yield from _pair(settings, "tls_cert", "tls_key")
    yield from _authority(settings, "client_ca")
    if settings.client_ca and not settings.tls_cert:
        yield "client_ca", "`client_ca` needs `tls_cert` and `tls_key`: it is part of TLS"


def _worker_credentials(settings: Settings) -> Iterator[tuple[str, str]]:
    yield from _pair(settings, "worker_cert", "worker_key")
    yield from _authority(settings, "worker_ca")
    for address in settings.remote_workers:
        whole = settings.worker_cert and settings.worker_key and settings.worker_ca
        if not is_loopback(address) and not whole:
            yield (
                "remote_workers",
                f"'{address}' is on another machine: it needs `worker_cert`, `worker_key` and "
                "`worker_ca`",
            )
            return


def _pair(settings: Settings, cert_name: str, key_name: str) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a certificate and its private key."""
    cert: Path | None = getattr(settings, cert_name)
    key: Path | None = getattr(settings, key_name)
    if cert is None or key is None:
        if cert is not key:
            have, lack = (key_name, cert_name) if cert is None else (cert_name, key_name)
            yield have, f"`{have}` needs `{lack}`"
        return
    unread = [found for found in (_unread(cert_name, cert), _unread(key_name, key)) if found]
    if unread:
        yield from unread
        return
    try:
        # The password is for a key that is encrypted, which otherwise asks for one.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key, password="")
    except (ssl.SSLError, OSError, ValueError) as e:
        yield cert_name, f"'{cert}' and '{key}' are no certificate (PEM) and its private key: {e}"


def _authority(settings: Settings, name: str) -> Iterator[tuple[str, str]]:
    path: Path | None = getattr(settings, name)
    if path is None:
        return
    if unread := _unread(name, path):
        yield unread
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(path)
    except (ssl.SSLError, OSError, ValueError) as e:
        yield name, f"'{path}' holds no certificates (PEM): {e}"


def _unread(name: str, path: Path) -> tuple[str, str] | None:
    try:
        path.read_bytes()
    except OSError as e:
        return name, f"'{path}' cannot be read: {e.strerror}"
    return None


def _writable(name: str, folder: Path | None) -> Iterator[tuple[str, str]]:
    """Yield that a folder, which is made if it is missing, cannot be written to."""
    if folder is None:
        return
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        yield name, f"'{there}' is no folder"
    elif not os.access(there, os.W_OK | os.X_OK):
        yield name, f"no permission to write to '{there}'"

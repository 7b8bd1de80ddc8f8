"""TLS: the certificates that servers show and demand, and that the edge shows to workers."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import grpc

from onnxplain.graphops.errors import OptionError
from onnxplain.server.setting_checks import is_loopback
from onnxplain.server.settings import Settings

__all__ = ["Certificates", "edge_credentials", "worker_channel_credentials", "worker_credentials"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Certificates:
    """The PEM files of one side of TLS.

    cert, key: what it shows. authority: of whom the other side must show a certificate, None for
    nobody in particular.
    """

    cert: Path
    key: Path
    authority: Path | None = None

    def server(self) -> grpc.ServerCredentials:
        """Return credentials for one address, which read the files again when they have changed.

        gRPC takes such credentials once only: a second address needs its own. Renewed files that
        cannot be read leave the old certificate in use, which is logged.

        Raises:
            OptionError: a file cannot be read.
        """
        stamp = self._stamp()
        initial = self._configuration()

        def renewed() -> grpc.ServerCertificateConfiguration | None:
            nonlocal stamp
            try:
                if (now := self._stamp()) == stamp:
                    return None
                found, stamp = self._configuration(), now
            except OptionError as e:
                log.error("the old certificate stays in use: %s", e)
                return None
            log.info("read the renewed certificate '%s'", self.cert)
            return found

        return grpc.dynamic_ssl_server_credentials(
            initial,
            renewed,  # type: ignore[arg-type]  # wrong stub: None means unchanged
            require_client_authentication=self.authority is not None,
        )

    def channel(self) -> grpc.ChannelCredentials:
        """Return a client's credentials, as the files are now. Raises OptionError."""
        authority = None if self.authority is None else _read(self.authority)
        return grpc.ssl_channel_credentials(authority, _read(self.key), _read(self.cert))

    def _configuration(self) -> grpc.ServerCertificateConfiguration:
        authority = None if self.authority is None else _read(self.authority)
        return grpc.ssl_server_certificate_configuration(
            [(_read(self.key), _read(self.cert))], authority
        )

    def _stamp(self) -> list[tuple[int, int]]:
        """Return what changes when a file does."""
        paths = [path for path in (self.cert, self.key, self.authority) if path is not None]
        try:
            found = [path.stat() for path in paths]
        except OSError as e:
            raise OptionError(f"'{e.filename}' cannot be read: {e.strerror}") from e
        return [(each.st_mtime_ns, each.st_ino) for each in found]


def edge_credentials(settings: Settings) -> grpc.ServerCredentials | None:
    """Return the credentials of one address of the service, None without TLS.

    Args:
        settings: of the service.

    Returns:
        The credentials; with `client_ca`, clients must show a certificate too.

    Raises:
        OptionError: a file cannot be read.
    """
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    return Certificates(settings.tls_cert, settings.tls_key, settings.client_ca).server()


def worker_credentials(
    listen: str, cert: Path | None, key: Path | None, authority: Path | None
) -> grpc.ServerCredentials | None:
    """Return the credentials of `onnxplain worker`, which off loopback demands a certificate.

    Args:
        listen: the address that the worker listens on.
        cert: the worker's certificate (PEM).
        key: its private key (PEM).
        authority: whose certificates edges must show (PEM).

    Returns:
        The credentials, None for a worker on loopback or a Unix socket without any.

    Raises:
        OptionError: the address is public and a file is not given, or a file cannot be read.
    """
    if cert and key and authority:
        return Certificates(cert, key, authority).server()
    if cert or key or authority or not is_loopback(listen):
        raise OptionError(
            f"a worker on {listen} needs all three of a certificate, its key and the authority "
            "whose edges may call it: it does what every caller asks"
        )
    return None


def worker_channel_credentials(settings: Settings) -> grpc.ChannelCredentials | None:
    """Return the credentials that the edge shows its remote workers, None without any.

    Args:
        settings: of the service.

    Returns:
        The credentials for `grpc.aio.secure_channel`.

    Raises:
        OptionError: a file cannot be read.
    """
    if settings.worker_cert is None or settings.worker_key is None:
        return None
    return Certificates(settings.worker_cert, settings.worker_key, settings.worker_ca).channel()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as e:
        raise OptionError(f"'{path}' cannot be read: {e.strerror}") from e

"""How a channel to a service is secured: TLS, client certificates and tokens."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import grpc

from onnxplain.client.errors import InvalidArgumentError, NotFoundError

__all__ = ["TLS", "Channel"]

Pem: TypeAlias = "str | os.PathLike[str] | bytes"
Options: TypeAlias = "list[tuple[str, str | int]]"


@dataclass(frozen=True, repr=False)
class TLS:
    """What a client needs to know for TLS: `TLS()` trusts the certificates that gRPC brings.

    ca: the certificates of the authorities to trust instead, a PEM file or its bytes.
    cert: the client's own certificate chain, for a service that asks for one (mTLS).
    key: the private key of that certificate.
    server_name: the name in the service's certificate, if the address has another.
    """

    ca: Pem | None = None
    cert: Pem | None = None
    key: Pem | None = None
    server_name: str | None = None


class Channel:
    """Address, credentials and options of a channel, checked before it is opened."""

    def __init__(self, address: str, tls: TLS | None, token: str | None) -> None:
        if not re.search(r":\d+$|^unix:", address):
            raise _wrong(f"'{address}' is not the address of a service: write HOST:PORT")
        self.address = address
        local = _is_this_machine(address)
        if token is not None and tls is None and not local:
            raise _wrong(
                f"a token is not sent to {address} in plaintext, where others could read it: "
                "connect with TLS, such as tls=TLS()"
            )
        if token is not None and not re.fullmatch(r"[!-~]+", token):
            raise _wrong("the token is empty, or has characters other than visible ASCII")
        # As metadata, since gRPC attaches call credentials to no plaintext channel, even here.
        self.metadata = [("authorization", f"Bearer {token}")] if token is not None else []
        self.options: Options = [
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 2000),
        ]
        if local:  # gRPC would send even local calls through the proxy of the environment
            self.options.append(("grpc.enable_http_proxy", 0))
        if tls is not None and tls.server_name:
            self.options.append(("grpc.ssl_target_name_override", tls.server_name))
        self.credentials = _credentials(tls) if tls is not None else None


def _is_this_machine(address: str) -> bool:
    if address.startswith("unix:"):
        return True
    host = address.rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _credentials(tls: TLS) -> grpc.ChannelCredentials:
    if (tls.cert is None) != (tls.key is None):
        raise _wrong("a client certificate needs its key, and a key its certificate: give both")
    return grpc.ssl_channel_credentials(
        root_certificates=_pem(tls.ca), private_key=_pem(tls.key), certificate_chain=_pem(tls.cert)
    )


def _pem(source: Pem | None) -> bytes | None:
    if source is None:
        return None
    try:
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
    except FileNotFoundError as e:
        raise NotFoundError(f"no file '{source}'", "MissingFile") from e  # type: ignore[str-bytes-safe]
    except OSError as e:
        raise _wrong(f"cannot read {source!r}: {e.strerror}") from e
    if b"-----BEGIN " not in data:  # gRPC would report it at the first call, as unreachable
        name = "the bytes" if isinstance(source, bytes) else f"'{source}'"
        raise _wrong(f"{name} of a certificate or key are not in PEM form")
    return data


def _wrong(message: str) -> InvalidArgumentError:
    return InvalidArgumentError(message, "OptionError")

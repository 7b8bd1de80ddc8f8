"""The settings of a service, each declared once: the file's key, the flag and the docs follow.

A setting `queue` is the key `queue` of the configuration file and the flag `--queue`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from onnxplain.server.setting_kinds import (
    ADDRESS,
    FILE,
    FOLDER,
    HOST_AND_PORT,
    TEXT,
    YES_NO,
    SettingKind,
    byte_count,
    number,
    one_of,
    whole,
)
from onnxplain.server.tokens import Token

__all__ = ["Declaration", "Settings"]


@dataclass(frozen=True)
class Declaration:
    """What is said of a setting besides its name and default.

    group: its heading in the docs. help: what it means, after its name. kind: of its value, or of
    each where there are `many`; None for the tokens, a table that only the file has. default_text:
    what the docs say of the default, where the value itself does not tell.
    """

    group: str
    help: str
    kind: SettingKind | None
    many: bool = False
    default_text: str = ""

    def shown_default(self, default: Any) -> str:
        """Return what the help and the docs say of the default."""
        values = default if self.many else (default,)
        words = (f"{value:g}" if isinstance(value, float) else str(value) for value in values)
        if isinstance(default, bool):
            return str(default).lower()
        return self.default_text or ("none" if default is None else ", ".join(words))


def setting(
    default: Any,
    group: str,
    kind: SettingKind | None,
    help: str,
    *,
    many: bool = False,
    default_text: str = "",
) -> Any:
    """Return the dataclass field of a setting."""
    declaration = Declaration(group, help, kind, many, default_text)
    return field(default=default, metadata={"declaration": declaration})


MODELS, LISTENING, SECURITY = "Models", "Listening", "Security"
DAY = 24 * 3600  # in seconds
WORKERS, LIMITS, OPERATIONS, OBSERVING = "Workers", "Limits", "Operations", "Observing"


@dataclass(frozen=True)
class Settings:
    """The settings of a service, which the configuration file and the flags of `serve` fill in."""

    models: tuple[Path, ...] = setting(
        (Path("."),), MODELS, FOLDER, many=True, default_text="the working directory",
        help="folders of NAME.onnx files or NAME/VERSION/model.onnx, which may change meanwhile",
    )  # fmt: skip
    store: Path | None = setting(
        None, MODELS, FOLDER, "folder for uploaded models; uploads are refused without it"
    )
    warm: bool = setting(
        True, MODELS, YES_NO, "load a model, and each new version, before it is served"
    )

    listen: tuple[str, ...] = setting(
        ("127.0.0.1:50051",), LISTENING, ADDRESS, many=True,
        help="addresses to listen on, HOST:PORT or unix:PATH; port 0 is any free port",
    )  # fmt: skip
    connection_age_seconds: float = setting(
        0.0, LISTENING, number(0, 2_000_000), default_text="no limit",
        help="a connection is closed after this time, as soon as its calls are done, so that "
        "clients behind a load balancer spread over new servers",
    )  # fmt: skip
    drain_seconds: float = setting(
        5.0, LISTENING, number(0, DAY), "time for running calls to finish when the service stops"
    )

    tls_cert: Path | None = setting(
        None, SECURITY, FILE, "the server's certificate with its chain (PEM); renewed files are "
        "read without a restart",
    )  # fmt: skip
    tls_key: Path | None = setting(None, SECURITY, FILE, "the private key of `tls_cert` (PEM)")
    client_ca: Path | None = setting(
        None, SECURITY, FILE, "clients must show a certificate that these sign (PEM): mutual TLS"
    )
    tokens: tuple[Token, ...] = setting(
        (), SECURITY, None, default_text="none: every call is allowed",
        help="the table of bearer tokens, of which calls must show one; `onnxplain serve "
        "--new-token NAME` makes its lines",
    )  # fmt: skip
    insecure: bool = setting(
        False, SECURITY, YES_NO,
        "allow a public address without TLS, or without tokens and client certificates",
    )  # fmt: skip

    device: tuple[str, ...] = setting(
        ("auto",), WORKERS, TEXT, many=True,
        help="auto, cpu, cuda, cuda:N or an execution provider: one for all workers, or one "
        "worker for each",
    )  # fmt: skip
    workers: int = setting(
        0,
        WORKERS,
        whole(0, 1024),
        "worker processes on this machine",
        default_text="one per device",
    )
    remote_workers: tuple[str, ...] = setting(
        (), WORKERS, ADDRESS, many=True, default_text="none",
        help="addresses of `onnxplain worker` on other machines, HOST:PORT or unix:PATH; the "
        "service then starts none itself, unless `workers` says so",
    )  # fmt: skip
    worker_cert: Path | None = setting(
        None, WORKERS, FILE, "the certificate that is shown to remote workers (PEM)"
    )
    worker_key: Path | None = setting(None, WORKERS, FILE, "the private key of `worker_cert` (PEM)")
    worker_ca: Path | None = setting(
        None, WORKERS, FILE, "remote workers must show a certificate that these sign (PEM)"
    )
    threads: int = setting(
        0, WORKERS, whole(0, 1024), "ONNX Runtime's threads in a worker",
        default_text="its share of the cores",
    )  # fmt: skip
    memory_bytes: int = setting(
        0, WORKERS, byte_count("256M", "1024T"), "limit of a worker's memory, such as 4G",
        default_text="follows from the machine's",
    )  # fmt: skip
    grace_seconds: float = setting(
        30.0, WORKERS, number(0, DAY),  # opening a large model cannot be interrupted
        "a worker is killed when work does not stop this long after the end of its call",
    )  # fmt: skip

    concurrency: int = setting(4, LIMITS, whole(1, 1024), "calls that a worker runs at once")
    queue: int = setting(
        32, LIMITS, whole(0, 1_000_000), "calls that may wait for one model, beyond those that run"
    )
    batch: int = setting(
        8, LIMITS, whole(1, 10_000), "most images of waiting calls that run together"
    )
    delay_ms: float = setting(
        0.0, LIMITS, number(0, 60_000), "milliseconds that a call waits for others to run with"
    )
    max_model_bytes: int = setting(
        2**31,
        LIMITS,
        byte_count("1", "2G"),
        "size of an uploaded model",
        default_text="2G, the most that ONNX has",
    )
    request_bytes: int = setting(
        2**30, LIMITS, byte_count("64M", "1T"), default_text="1G",
        help="size of all requests that the service holds at once, of which one may have 64M",
    )  # fmt: skip
    streams: int = setting(256, LIMITS, whole(1, 2**31 - 1), "calls at once in one connection")

    state: Path | None = setting(
        None, OPERATIONS, FOLDER, default_text="a temporary folder",
        help="folder where operations and their results outlive a restart",
    )  # fmt: skip
    operations: int = setting(2, OPERATIONS, whole(1, 1024), "operations that run at once")
    keep_operations: int = setting(
        100, OPERATIONS, whole(1, 1_000_000), "operations that are kept for one caller"
    )
    keep_bytes: int = setting(
        2**30, OPERATIONS, byte_count("1", "1024T"), default_text="1G",
        help="size of the requests and results that are kept for one caller",
    )  # fmt: skip
    keep_seconds: float = setting(
        7.0 * DAY, OPERATIONS, number(1, 36_500 * DAY), default_text="604800, a week",
        help="time that an operation is kept once it has ended",
    )  # fmt: skip

    metrics: str | None = setting(
        None, OBSERVING, HOST_AND_PORT, "address of the HTTP pages /metrics, /livez and /readyz",
        default_text="no such pages",
    )  # fmt: skip
    log_format: str = setting(
        "text", OBSERVING, one_of("text", "json"), "the log's lines: text or json"
    )
    traces: str | None = setting(
        None, OBSERVING, TEXT, "OTLP collector that receives OpenTelemetry traces, such as "
        "http://127.0.0.1:4317; needs the extra `telemetry`", default_text="no traces",
    )  # fmt: skip

    @property
    def folders(self) -> tuple[Path, ...]:
        """All folders of models, the store among them; each once."""
        every = (*self.models, *([self.store] if self.store else []))
        return tuple({folder.resolve(): folder for folder in reversed(every)}.values())[::-1]


Settings.__doc__ = "\n".join(
    [str(Settings.__doc__), ""]
    + [f"{each.name}: {each.metadata['declaration'].help}." for each in fields(Settings)]
)

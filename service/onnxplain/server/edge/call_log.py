"""One line of the log for each call; never its pictures, models or tokens."""

from __future__ import annotations

import logging
from typing import Any

from onnxplain.server.edge.call_records import CallRecord

__all__ = ["log_call"]

log = logging.getLogger(__name__)
HEALTH = "/grpc.health."


def log_call(record: CallRecord) -> None:
    """Log a call that has ended: at INFO, health checks at DEBUG."""
    fields: dict[str, Any] = {
        "method": record.method.lstrip("/"),
        "model": record.model,
        "status": record.status,
        "kind": record.kind,
        "ms": round(record.seconds * 1000, 1),
        "in": record.bytes_in,
        "out": record.bytes_out,
        "peer": record.peer,
        "id": record.request_id,
        "caller": record.caller,
        **{key.replace("-", "_"): value for key, value in record.worker.items()},
    }
    level = logging.DEBUG if record.method.startswith(HEALTH) else logging.INFO
    log.log(level, "call", extra={"fields": {k: v for k, v in fields.items() if v != ""}})

"""The gRPC service: converts requests, delegates to the engine, converts the results."""

from typing import TYPE_CHECKING

from onnxplain.graphops.lazy_import import on_first_use

if TYPE_CHECKING:
    from onnxplain.server.serving import Service, serve, start
    from onnxplain.server.worker import Models, ServedModel, Value

__all__ = ["Models", "ServedModel", "Service", "Value", "serve", "start"]

SERVING, WORKER = ("Service", "serve", "start"), ("Models", "ServedModel", "Value")
__getattr__ = on_first_use(
    __name__, dict.fromkeys(SERVING, "serving") | dict.fromkeys(WORKER, "worker")
)

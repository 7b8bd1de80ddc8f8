"""The gRPC service: converts requests, delegates to the engine, converts the results."""

from onnxplain.server.serving import Service, serve, start
from onnxplain.server.worker import Models, ServedModel, Value

__all__ = ["Models", "ServedModel", "Service", "Value", "serve", "start"]

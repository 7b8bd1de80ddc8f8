"""The gRPC service: converts requests, delegates to the engine, converts the results."""

from onnxplain.server.models import Models, ServedModel, Value
from onnxplain.server.serving import Service, serve, start

__all__ = ["Models", "ServedModel", "Service", "Value", "serve", "start"]

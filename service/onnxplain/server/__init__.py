"""The gRPC service: converts requests, delegates to the engine, converts the results."""

from onnxplain.server.serving import Service, serve, start

__all__ = ["Service", "serve", "start"]

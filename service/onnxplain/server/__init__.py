"""The gRPC service: converts requests, has the engine do the work, converts the answers."""

from onnxplain.server.serving import Service, serve, start

__all__ = ["Service", "serve", "start"]

"""The gRPC service: converts requests, delegates to the engine, converts the results."""

from typing import TYPE_CHECKING

from onnxplain.graphops.lazy_import import on_first_use

if TYPE_CHECKING:
    from onnxplain.server.config import Configuration, read_configuration
    from onnxplain.server.serving import Service, serve, serve_settings, start, start_settings
    from onnxplain.server.settings import Settings
    from onnxplain.server.tokens import Token, make_token
    from onnxplain.server.worker import Models, ServedModel, Value
    from onnxplain.server.worker.standing_alone import serve_worker

__all__ = [
    "Configuration",
    "Models",
    "ServedModel",
    "Service",
    "Settings",
    "Token",
    "Value",
    "make_token",
    "read_configuration",
    "serve",
    "serve_settings",
    "serve_worker",
    "start",
    "start_settings",
]

__getattr__ = on_first_use(
    __name__,
    {
        "Configuration": "config",
        "Models": "worker",
        "ServedModel": "worker",
        "Service": "serving",
        "Settings": "settings",
        "Token": "tokens",
        "Value": "worker",
        "make_token": "tokens",
        "read_configuration": "config",
        "serve": "serving",
        "serve_settings": "serving",
        "serve_worker": "worker.standing_alone",
        "start": "serving",
        "start_settings": "serving",
    },
)

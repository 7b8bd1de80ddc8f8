"""A worker: the service itself, which opens models and pictures and runs the engine."""

from onnxplain.server.worker.models import Models, ServedModel, Value
from onnxplain.server.worker.scheduler import STUCK_EXIT_CODE, Scheduler, end_stuck_process
from onnxplain.server.worker.servicer import ExplainServicer

__all__ = [
    "STUCK_EXIT_CODE",
    "ExplainServicer",
    "Models",
    "Scheduler",
    "ServedModel",
    "Value",
    "end_stuck_process",
]

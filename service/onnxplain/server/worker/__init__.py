"""A worker: the service itself, which opens models and pictures and runs the engine."""

from onnxplain.server.worker.inference import InferenceServicer
from onnxplain.server.worker.inspection import WorkerServicer
from onnxplain.server.worker.models import Models, ServedModel, Value
from onnxplain.server.worker.scheduler import STUCK_EXIT_CODE, Scheduler, end_stuck_process
from onnxplain.server.worker.servicer import ExplainServicer

__all__ = [
    "STUCK_EXIT_CODE",
    "ExplainServicer",
    "InferenceServicer",
    "Models",
    "Scheduler",
    "ServedModel",
    "Value",
    "WorkerServicer",
    "end_stuck_process",
]

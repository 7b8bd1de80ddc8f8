"""ONNX Runtime: opened models, plans and sessions, with their cache and memory."""

from onnxplain.engine.runtime.cache import SMALL_BYTES, ByteCache
from onnxplain.engine.runtime.footprint import Footprint, release_memory
from onnxplain.engine.runtime.installation import InstallationWarning
from onnxplain.engine.runtime.loading import load_session
from onnxplain.engine.runtime.measure import Measurement, measure
from onnxplain.engine.runtime.model import (
    Model,
    OpenedModel,
    labels_in,
    open_model,
    stored_labels,
)
from onnxplain.engine.runtime.plans import (
    Activity,
    Plan,
    Projections,
    make_activity,
    make_plan,
)
from onnxplain.engine.runtime.run_cost import RunCost, available_cores
from onnxplain.engine.runtime.sessions import Session, Stop, resolve_device
from onnxplain.engine.runtime.subject import Others, Subject, find_subject
from onnxplain.engine.runtime.verify import verify

__all__ = [
    "SMALL_BYTES",
    "Activity",
    "ByteCache",
    "RunCost",
    "Footprint",
    "InstallationWarning",
    "Measurement",
    "Model",
    "OpenedModel",
    "Others",
    "Plan",
    "Projections",
    "Session",
    "Stop",
    "Subject",
    "available_cores",
    "find_subject",
    "labels_in",
    "load_session",
    "make_activity",
    "make_plan",
    "measure",
    "open_model",
    "release_memory",
    "resolve_device",
    "stored_labels",
    "verify",
]

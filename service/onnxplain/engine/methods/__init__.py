"""How the engine runs the methods that take many runs."""

from onnxplain.engine.methods.activation_maximisation import maximise
from onnxplain.engine.methods.activations import activations
from onnxplain.engine.methods.occlusion import occlusion, windows
from onnxplain.engine.methods.rise import rise
from onnxplain.engine.methods.sampled import SAMPLED, sampled
from onnxplain.engine.methods.single_graph import project

__all__ = [
    "SAMPLED",
    "activations",
    "maximise",
    "occlusion",
    "project",
    "rise",
    "sampled",
    "windows",
]

"""The networks that `performance.py` measures: torchvision's, with random weights, and their files.

A network's weights behave as after training (see `parity_nets.draw_weights`). The module and its
ONNX file are kept in `.parity/performance`.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx
import torch
import torchvision
from parity_nets import draw_weights
from performance_timing import SIDE
from torch import nn

from onnxplain.graphops import Options, rewrite, save

__all__ = ["CLASS", "METHODS", "NETS", "artefact", "file_of", "module_file", "module_of"]

CACHE = Path(__file__).parents[1] / ".parity" / "performance"
CLASS = 7  # whose score is explained; the weights are random, so that none is special
METHODS = ("gradient", "deconvnet", "guided_backprop")
NETS = (
    "alexnet",
    "vgg16",
    "resnet18",
    "resnet50",
    "densenet121",
    "mobilenet_v2",
    "squeezenet1_1",
    "googlenet",
    "efficientnet_b0",
    "convnext_tiny",
)
BUILT: dict[str, dict[str, Any]] = {"googlenet": {"aux_logits": False, "init_weights": False}}
FREE_AXES = {0: "N", 2: "H", 3: "W"}


def module_of(name: str) -> nn.Module:
    """Return a network as PyTorch runs it, in evaluation mode, without gradients of weights."""
    module: nn.Module = torch.load(module_file(name), weights_only=False)
    return module


def module_file(name: str) -> Path:
    """Return the file of a network as `torch.save` writes a whole module."""
    path = CACHE / f"{name}.pt"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(0)
        module = torchvision.models.get_model(name, weights=None, **BUILT.get(name, {}))
        draw_weights(module, SIDE)
        _whole(path, lambda temporary: torch.save(module, temporary))
    return path


def file_of(name: str, free: tuple[int, ...] = (0,)) -> Path:
    """Return a network's ONNX file. free: the axes of its input that have no fixed size."""
    path = CACHE / f"{name}-{''.join(FREE_AXES[axis] for axis in free)}.onnx"
    if not path.exists():
        x = torch.randn(2, 3, SIDE, SIDE)
        sizes = {axis: torch.export.Dim(FREE_AXES[axis], min=1, max=4096) for axis in free}
        program = torch.onnx.export(
            module_of(name), (x,), dynamo=True, dynamic_shapes=(sizes,), verbose=False
        )
        _whole(path, lambda temporary: onnx.save(program.model_proto, temporary))
    return path


def artefact(
    name: str, method: str, folder: str, lowering: str = "fast", free: tuple[int, ...] = (0,)
) -> Path:
    """Write the artefact that explains a class score, without the network's outputs."""
    path = Path(folder) / f"{name}-{method}-{lowering}.onnx"
    save(explained(onnx.load(file_of(name, free)), method, lowering), path)
    return path


def explained(model: onnx.ModelProto, method: str, lowering: str = "fast") -> onnx.ModelProto:
    """Rewrite a model as `artefact` does."""
    return rewrite(model, method=method, options=Options(lowering=lowering, keep_outputs=False))


def _whole(path: Path, write: Any) -> None:
    """Write a file under another name first, so that an interrupted run leaves none that is cut."""
    with TemporaryDirectory(dir=CACHE) as folder:
        temporary = Path(folder) / path.name
        write(temporary)
        temporary.rename(path)

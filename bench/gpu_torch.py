"""The networks of `gpu_nets.py` in PyTorch, explained by Captum, for comparison."""

from __future__ import annotations

import importlib.util
import time
import warnings

import numpy.typing as npt
import torch
from gpu_nets import INPUT, Layer, Net, weight
from torch import nn

__all__ = ["CaptumRunner", "module", "prepare"]

METHODS = {
    "gradient": "Saliency",
    "deconvnet": "Deconvolution",
    "guided_backprop": "GuidedBackprop",
}


def prepare(device: str, search: str) -> str:
    """Set PyTorch up as ONNX Runtime is, and return why Captum cannot be measured, else ""."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = search == "EXHAUSTIVE"
    if importlib.util.find_spec("captum") is None:
        return "Captum is not installed"
    if device == "cuda" and not torch.cuda.is_available():
        return "this PyTorch cannot use CUDA"
    return ""


def module(net: Net) -> nn.Module:
    """Return a network as a module with its weights, in float32."""
    built = _Network(net)
    values = {
        f"steps.{name}": torch.from_numpy(weight(name, shape))
        for layer in net.layers
        for name, shape in layer.weights.items()
    }
    built.load_state_dict(values, strict=False)  # a BatchNorm2d also counts its batches
    return built.eval()


class _Network(nn.Module):
    def __init__(self, net: Net) -> None:
        super().__init__()
        self.layers = net.layers
        self.steps = nn.ModuleDict({layer.name: _step(layer) for layer in net.layers})

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        last = {name: i for i, layer in enumerate(self.layers) for name in layer.inputs}
        values = {INPUT: image}
        for i, layer in enumerate(self.layers):
            inputs = [values[name] for name in layer.inputs]
            values[layer.name] = self.steps[layer.name](*inputs)
            for name in layer.inputs:  # what nothing reads any more goes
                if last[name] == i:
                    values.pop(name, None)
        return values[self.layers[-1].name]


def _step(layer: Layer) -> nn.Module:
    inputs, outputs = layer.channels
    match layer.kind:
        case "Conv":
            return nn.Conv2d(
                inputs, outputs, layer.kernel, layer.stride, layer.pad, groups=layer.groups
            )
        case "BatchNormalization":
            return nn.BatchNorm2d(outputs)
        case "Gemm":
            return nn.Linear(inputs, outputs)
        case "MaxPool":
            return nn.MaxPool2d(layer.kernel, layer.stride, layer.pad)
        case "Relu":
            return nn.ReLU()
        case "Clip":
            return nn.ReLU6()
        case "GlobalAveragePool":
            return nn.AdaptiveAvgPool2d(1)
        case "Flatten":
            return nn.Flatten()
        case "Add":
            return _Sum()
        case "Concat":
            return _Joined()
    raise ValueError(f"no layer of kind '{layer.kind}'")


class _Sum(nn.Module):
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a + b


class _Joined(nn.Module):
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.cat([a, b], 1)


class CaptumRunner:
    """An explanation by Captum, of the same classes for the same images."""

    def __init__(
        self, net: nn.Module, method: str, image: npt.NDArray, channel: npt.NDArray, device: str
    ) -> None:
        import captum.attr

        of = getattr(captum.attr, METHODS[method])
        self._attribute, self._device = of(net).attribute, device
        self._image = torch.from_numpy(image).to(device).requires_grad_()
        self._channel = torch.from_numpy(channel).to(device)
        self._signed = {"abs": False} if method == "gradient" else {}
        if device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        self.attribution = self._run().detach().float().cpu().numpy()
        self.seconds()

    def seconds(self) -> float:
        """Explain once, and return how long that took."""
        start = time.perf_counter()
        self._run()
        if self._device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    def peak_mib(self) -> float:
        """Return the most memory that PyTorch reserved on the GPU, with the weights."""
        return torch.cuda.max_memory_reserved() / 2**20 if self._device == "cuda" else float("nan")

    def _run(self) -> torch.Tensor:
        self._image.grad = None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Captum warns of the hooks that it sets
            found: torch.Tensor = self._attribute(self._image, target=self._channel, **self._signed)
        return found

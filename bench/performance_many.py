"""Many units of a layer by the engine, against Captum's NeuronDeconvolution in a loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from captum.attr import NeuronDeconvolution
from performance_nets import file_of, module_of
from performance_one import require_same
from performance_table import Table
from performance_timing import SIDE, THREADS, picture, seconds_of, seconds_of_each
from torch import nn

from onnxplain.engine import Engine
from onnxplain.graphops import layers

__all__ = ["many_units"]

NET, DEEP = "vgg16", "features.21"  # conv4_3
UNITS, PROJECTIONS = 64, 96
ROUNDS = 3
EVERYWHERE = slice(None)


def many_units(table: Table, nets: Sequence[str]) -> None:
    """Time 64 units of a deep layer, and 96 strongest positions of early ones."""
    module = module_of(NET)
    for part in module.modules():
        if isinstance(part, nn.ReLU):
            part.inplace = False  # or else Captum's layer is already rectified
    times = ("the first unit", "each further unit", "all", "Captum", "Captum / ours")
    table.head("layer", "receptive field", "units", "position", *times)
    deep = [_row(table, module, DEEP, UNITS, position) for position in ("all", "max")]
    early = [_row(table, module, name, PROJECTIONS, "max") for name in _early_layers()]
    what = f"Captum's time / ours, {UNITS} channels of `{DEEP}`"
    table.at_least(4, min(deep), f"{what}, the smaller of both", " ×")
    what = f"Captum's time / ours, {PROJECTIONS} projections from an early layer"
    table.at_least(20, min(early), f"{what}, the smaller of both", " ×")


def _early_layers() -> list[str]:
    """Return the last convolution with 128 channels, and the last that sees under a quarter."""
    early = [
        layer
        for layer in layers(file_of(NET))
        if layer.operator == "Conv"
        and layer.receptive_field
        and 4 * (layer.receptive_field[0] or SIDE) < SIDE
    ]
    return [[x for x in early if x.channels == 128][-1].module, early[-1].module]


def _row(table: Table, module: nn.Module, layer: str, units: int, position: str) -> float:
    """Add a row, and return how many times longer Captum takes."""
    engine, file, image = Engine("cpu", threads=THREADS), file_of(NET), picture()
    (sees,) = {
        x.receptive_field for x in layers(file) if x.module == layer and x.operator == "Conv"
    }

    def ours(count: int = units) -> Any:
        return engine.explain(
            file, image, layer, "deconvnet", range(count), position=position, seed_value="one"
        )

    loop = _loop(module, layer, units, position)
    maps: list[torch.Tensor] = []
    captum = seconds_of(lambda: maps.extend(loop()))
    require_same(ours().attribution[0], torch.cat(maps), f"{layer}, {position}")
    found = seconds_of_each({"first": lambda: ours(1), "ours": ours}, ROUNDS)
    seconds, first = found["ours"], found["first"]
    captum = min(captum, seconds_of(loop))
    table.row(
        f"`{layer}`",
        f"{sees[0]} × {sees[1]}",
        str(units),
        position,
        f"{1000 * first:.0f} ms",
        f"{1000 * (seconds - first) / (units - 1):.0f} ms",
        f"{seconds:.2f} s",
        f"{captum:.2f} s",
        f"{captum / seconds:.1f}",
    )
    return captum / seconds


def _loop(
    module: nn.Module, layer: str, units: int, position: str
) -> Callable[[], list[torch.Tensor]]:
    """Return a function that explains each unit by itself."""
    x = torch.from_numpy(picture())
    inside = module.get_submodule(layer)
    explainer = NeuronDeconvolution(module, inside)

    def strongest() -> list[tuple[int, ...]]:
        seen: list[torch.Tensor] = []
        hook = inside.register_forward_hook(lambda *given: seen.append(given[-1]))
        with torch.no_grad():
            module(x)
        hook.remove()
        values = seen[0][0, :units]
        at = [np.unravel_index(int(v.argmax()), v.shape) for v in values]
        return [tuple(int(i) for i in place) for place in at]

    def explain() -> list[torch.Tensor]:
        places = strongest() if position == "max" else [(EVERYWHERE, EVERYWHERE)] * units
        return [explainer.attribute(x, (unit, *place)) for unit, place in enumerate(places)]

    return explain

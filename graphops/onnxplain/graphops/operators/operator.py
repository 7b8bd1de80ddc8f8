"""The facts about one ONNX operator, and how their absence is stated."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from onnxplain.graphops.ir import Node, Shape, is_static
from onnxplain.graphops.operators import axes
from onnxplain.graphops.operators.axes import Fields
from onnxplain.graphops.operators.roles import RolesRule
from onnxplain.graphops.operators.rules import Rule
from onnxplain.graphops.operators.window import Window
from onnxplain.graphops.operators.window_layout import Placed, Slide

__all__ = [
    "AxesRule", "BatchCheck", "Channels", "Cost", "CostRule", "NO_PRODUCTS", "Operator", "Refused",
    "SizesOnly", "SlideRule", "Without",
]  # fmt: skip


@dataclass(frozen=True)
class Without:
    """The reason why an operator has no such fact."""

    reason: str


@dataclass(frozen=True)
class SizesOnly:
    """Stands for a fact: the output depends on the sizes of the inputs, not on their values."""


@dataclass(frozen=True)
class Refused:
    """Stands for a rule: a signal could pass, but none is written. `advice`: how to export."""

    advice: str


class Channels(Enum):
    """Which axis of an operator's data input is the channel axis by the operator's definition."""

    FIRST = "axis 1: [N, C, ...]"
    LAST = "the last, if the other input is a weight"
    ANY = "not determined by the operator"


@dataclass(frozen=True)
class Cost:
    """What a node costs for one image.

    window: its kernel, strides and padding, None for operators without a window.
    multiply_adds: the number of multiply-adds, None where sizes are not known.
    """

    window: Window | None
    multiply_adds: int | None

    @classmethod
    def of_product(cls, sizes: Shape, window: Window | None = None) -> Cost:
        """Return the cost of as many multiply-adds as the product of the sizes."""
        return cls(window, math.prod(sizes) if is_static(sizes) else None)


NOT_CARRIED = Without("the roles of its axes are not followed")
NO_PRODUCTS = Without("only convolutions and matrix products are counted")


BatchCheck: TypeAlias = Callable[[Node, list[bool]], bool]
AxesRule: TypeAlias = Callable[[Node, "list[Fields | None]"], Fields]
SlideRule: TypeAlias = Callable[[Slide, Node], Placed]
CostRule: TypeAlias = Callable[[Node], Cost]


@dataclass(frozen=True)
class Operator:
    """All facts of one operator: each a function, or the reason why there is none.

    vjp: the vector-Jacobian product, `(op, node, g) -> signals`, one for each input. `Without`
    where nothing flows: the derivative is zero wherever it exists, or no number is read or written.
    batch: `(node, batched) -> bool`: whether axis 0 of the outputs is the batch axis and no image's
    values depend on another's. `batched` tells for each input whether its axis 0 is the batch axis;
    the other inputs are the same for all images. `Without` keeps a fixed batch fixed.
    axes: `(node, fields) -> fields`: the receptive fields along the output's axes, from those of
    each input, None for an input that no pixel reaches. `Without`: each output sees all pixels.
    slide: `(slide, node) -> Placed`: turns the node into its form in a fully convolutional network.
    `Without`: a network with it cannot be made fully convolutional.
    cost: `node -> Cost`. `Without`: the operator adds up no products, or they are not counted.
    roles: `(node, lines, output) -> lines`: what the axes of an output run along, from those of
    each input, None for an input that no network input reaches. `Without`: not known.
    channels: which axis of its data is the channel axis.
    type_only: the inputs of which only the element type matters, not the values.
    """

    vjp: Rule | Without | Refused
    batch: BatchCheck | SizesOnly | Without
    axes: AxesRule | SizesOnly | Without
    slide: SlideRule | SizesOnly | Without
    cost: CostRule | Without = NO_PRODUCTS
    roles: RolesRule | Without = NOT_CARRIED
    channels: Channels = Channels.ANY
    type_only: tuple[int, ...] = ()

    @property
    def is_elementwise(self) -> bool:
        """Whether each element of the output depends on the same element of the inputs."""
        return self.axes is axes.elementwise

    @property
    def slides_window(self) -> bool:
        """Whether it slides a window along the spatial axes, as convolutions and poolings do."""
        return self.axes is axes.window

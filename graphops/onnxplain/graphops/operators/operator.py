"""What the rewriter knows of one ONNX operator, and how it says that it does not know."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from onnxplain.graphops.ir import Node
from onnxplain.graphops.operators import axes
from onnxplain.graphops.operators.axes import Fields
from onnxplain.graphops.operators.table import Rule
from onnxplain.graphops.operators.window import Window
from onnxplain.graphops.operators.window_layout import Placed, Slide

__all__ = [
    "AxesRule",
    "BatchCheck",
    "Channels",
    "Cost",
    "CostRule",
    "Operator",
    "Refused",
    "SizesOnly",
    "SlideRule",
    "Without",
]


@dataclass(frozen=True)
class Without:
    """In place of a fact: there is none, and why."""

    reason: str


@dataclass(frozen=True)
class SizesOnly:
    """In place of a fact: the output depends on the sizes of the inputs, not on their values."""


@dataclass(frozen=True)
class Refused:
    """In place of a rule: a signal could pass, but no rule is written. What to do about it."""

    advice: str


class Channels(Enum):
    """Which axis counts the channels of an operator's data input and of its output."""

    FIRST = "axis 1, by the operator's definition: [N, C, ...]"
    KEPT = "whichever it was: every axis stays where it is"
    UNKNOWN = "the operator does not say"


@dataclass(frozen=True)
class Cost:
    """What a node costs for one image.

    window: its kernel, strides and padding, None for operators that slide none. multiply_adds: the
    products that are added up, None where sizes are not known.
    """

    window: Window | None
    multiply_adds: int | None

    @classmethod
    def of_product(cls, sizes: list[int | str | None], window: Window | None = None) -> Cost:
        """Return the cost of as many multiply-adds as the product of the sizes."""
        known = [size for size in sizes if isinstance(size, int)]
        return cls(window, math.prod(known) if len(known) == len(sizes) else None)


BatchCheck: TypeAlias = Callable[[Node, list[bool]], bool]
AxesRule: TypeAlias = Callable[[Node, "list[Fields | None]"], Fields]
SlideRule: TypeAlias = Callable[[Slide, Node], Placed]
CostRule: TypeAlias = Callable[[Node], Cost]


@dataclass(frozen=True)
class Operator:
    """All facts of one operator: each a function, or the reason why there is none.

    vjp: the vector-Jacobian product, `(op, node, g) -> signals`, one for each input. `Without`
    where nothing flows: the derivative is zero wherever it exists, or no number is read or written.
    batch: `(node, batched) -> bool`: whether axis 0 of the outputs runs over the images and no
    image's values depend on another's. `batched` says of each input whether its axis 0 runs over
    the images; the other inputs are the same for all images. `Without` keeps a fixed batch fixed.
    axes: `(node, fields) -> fields`: the receptive fields along the output's axes, from those of
    each input, None for an input that no pixel reaches. `Without`: the output sees everything.
    slide: `(slide, node) -> Placed`: turns the node into its form in a fully convolutional network.
    `Without`: a network with it cannot be made fully convolutional.
    cost: `node -> Cost`. `Without`: the operator adds up no products, or they are not counted.
    channels: where the operator counts channels.
    type_only: the inputs of which only the type counts, not the values.
    """

    vjp: Rule | Without | Refused
    batch: BatchCheck | SizesOnly | Without
    axes: AxesRule | SizesOnly | Without
    slide: SlideRule | SizesOnly | Without
    cost: CostRule | Without
    channels: Channels = Channels.UNKNOWN
    type_only: tuple[int, ...] = ()

    @property
    def slides_window(self) -> bool:
        """Whether it slides a window along the spatial axes, as convolutions and poolings do."""
        return self.axes is axes.window

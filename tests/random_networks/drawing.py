"""A random network in the making, as ONNX and as PyTorch at once.

Every operator that is drawn is computed on the spot, in float64, so that what follows can be chosen
to fit: its shapes, its domain, a distance from where its derivative jumps.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import onnx
import torch
from hypothesis import strategies as st
from onnx import helper

__all__ = ["OPSETS", "DoesNotFit", "Drawing", "Step", "Value", "far", "fit", "image", "ranked",
           "winner"]  # fmt: skip

OPSETS = (17, 18, 21, 24, 26)
LARGEST, MOST = 1e3, 2000  # magnitude of a value, number of elements
MARGIN = 1e-4  # relative distance from a kink that float32 cannot cross


class DoesNotFit(Exception):
    """What was drawn cannot stand here; the network goes on without it."""


@dataclass(eq=False)
class Value:
    """A float tensor of the network: its name, what it holds, whether the inputs flow into it."""

    name: str
    value: torch.Tensor  # float64
    flows: bool = True

    @property
    def shape(self):
        return tuple(self.value.shape)

    @property
    def rank(self):
        return self.value.ndim


@dataclass
class Step:
    """One operator as PyTorch computes it, the names of what it reads and gives."""

    compute: Callable[..., torch.Tensor | tuple[torch.Tensor, ...]]
    inputs: list[str]
    outputs: list[str]


@dataclass
class Drawing:
    """A network in the making: what has been drawn so far, and the means to draw more."""

    draw: Callable
    opset: int
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    floats: dict[str, torch.Tensor] = field(default_factory=dict)
    integers: dict[str, np.ndarray] = field(default_factory=dict)
    reads_empty: bool = False  # the operator that is being added: a tensor without elements

    @cached_property
    def random(self):
        return np.random.default_rng(self.number(0, 99))

    # Drawing.

    def choice(self, *options):
        """Return one of the options, the first being the simplest."""
        fit(options)
        return self.draw(st.sampled_from(options))

    def number(self, low, high):
        """Return an integer from low to high, low being the simplest."""
        fit(low <= high)
        return self.draw(st.integers(low, high))

    def numbers(self, low, high, count):
        """Return so many integers from low to high."""
        return [self.number(low, high) for _ in range(count)]

    def some(self, options):
        """Return a few of the options, at least one, in their order."""
        chosen = {self.number(0, len(options) - 1) for _ in range(self.number(1, len(options)))}
        return [options[i] for i in sorted(chosen)]

    def order(self, count):
        """Return a permutation of the numbers below `count`."""
        return self.draw(st.permutations(range(count)))

    def tensor(self, test=lambda v: True):
        """Return a tensor drawn so far that passes the test, the last one being the simplest."""
        fitting = [v for v in reversed(self.values) if test(v)]
        if not fitting:
            raise DoesNotFit
        recent = self.number(0, 3) < 3
        chosen = fitting[0 if recent else self.number(0, len(fitting) - 1)]
        self.reads_empty |= chosen.value.numel() == 0
        return chosen

    def weight(self, *shape, low=-2.0, high=2.0):
        """Return a constant of random numbers, which float32 can say."""
        return self.constant(self.random.uniform(low, high, shape))

    def constant(self, values):
        """Return a constant of these numbers."""
        name = f"w{len(self.floats)}"
        single = np.asarray(values, np.float32)
        self.floats[name] = torch.tensor(single).double()
        return Value(name, self.floats[name], flows=False)

    # Building.

    def add(self, operator, inputs, compute, reads=None, places=None, **attrs):
        """Append a node and return its first output.

        inputs: values, names, arrays of integers, None for one left out; compute: what the output
        is in PyTorch, or a tuple where there are several, as a function of the values among the
        inputs, or of `reads`; places: the name of one more output, of integers. Raises DoesNotFit
        where an output is large or not finite.
        """
        flowing = [v for v in inputs if isinstance(v, Value)] if reads is None else reads
        results = compute(*(v.value for v in flowing))
        results = results if isinstance(results, tuple) else (results,)
        for result in results:
            fit(result.numel() <= MOST and (result.abs() < LARGEST).all())
        count, flows = len(self.values), any(v.flows for v in flowing)
        made = [Value(f"t{count + i}", r, flows) for i, r in enumerate(results)]
        self.values += made
        names = [v.name for v in made]
        self.steps.append(Step(compute, [v.name for v in flowing], names))
        self.node(operator, inputs, [*names, *([places] if places else [])], **attrs)
        return made[0]

    def node(self, operator, inputs, outputs, **attrs):
        """Append a node that PyTorch's half does without; returns its first output's name."""
        names = ["" if v is None else self._name(v) for v in inputs]
        name = f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, names, outputs, name=name, **attrs))
        return outputs[0]

    def integer_node(self, operator, *inputs, **attrs):
        """Append a node of shape arithmetic and return its output's name."""
        return self.node(operator, inputs, [f"i{len(self.nodes)}"], **attrs)

    # Fitting.

    def away(self, x, *points):
        """Return `x`, moved by a constant if need be, with no element near one of the points."""
        for shift in (0.0, 0.0131, -0.0273, 0.0412):
            if far(x.value + shift, *points):
                return self.add("Add", [x, self.constant(shift)], torch.add) if shift else x
        raise DoesNotFit

    def inside(self, x, low, high):
        """Return `x`, squeezed by a sigmoid if need be, with all elements from low to high."""
        if (x.value >= low).all() and (x.value <= high).all():
            return x
        squeezed = self.add("Sigmoid", [x], torch.sigmoid)
        scaled = self.add("Mul", [squeezed, self.constant(high - low)], torch.mul)
        return self.add("Add", [scaled, self.constant(low)], torch.add)

    def weight_or_cut(self, *shape):
        """Return a weight of that shape, or the like cut out of a tensor drawn so far."""
        return self.weight(*shape) if self.choice(True, False) else self.cut(*shape)

    def cut(self, *shape):
        """Return elements of a tensor drawn so far, in that shape."""
        count = math.prod(shape)
        source = self.tensor(lambda v: v.value.numel() >= count)
        line = self.add("Reshape", [source, [-1]], torch.flatten)
        cut = self.add("Slice", [line, [0], [count]], lambda v: v[:count])
        return self.add("Reshape", [cut, list(shape)], lambda v: v.reshape(shape))

    def _name(self, value):
        if isinstance(value, Value):
            return value.name
        if isinstance(value, str):
            return value
        name = f"k{len(self.integers)}"
        array = np.array(value)
        self.integers[name] = array if array.dtype.kind in "biu" else array.astype(np.int64)
        return name


def far(values, *points):
    """Tell whether no element is so near to one of the points that float32 might cross it."""
    margin = MARGIN * (1 + values.abs().max()) if values.numel() else 0
    return all(bool(((values - p).abs() > margin).all()) for p in points)


def fit(condition):
    """Give up on what was drawn where the condition does not hold."""
    if not condition:
        raise DoesNotFit


def winner(x, dims):
    """Return the maximum over the last axis, the first where several are equal.

    Several may be equal only where they are exactly zero, as after a Relu: float32 could decide
    all others in another way.
    """
    best = x.detach().amax(dims, keepdim=True)
    others = torch.where(x.detach() == best, -math.inf, x.detach()).amax(dims, keepdim=True)
    tied = (x.detach() == best).sum(dims, keepdim=True) > 1
    fit(not (tied & (best != 0)).any())
    fit(far(torch.where(torch.isinf(others), 1.0, best - others), 0.0))
    return best


def ranked(v):
    return v.rank > 0


def image(v):
    """Tell whether `v` is a batch of images, perhaps an empty one, which have positions."""
    return 3 <= v.rank <= 5 and 0 not in v.shape[1:]

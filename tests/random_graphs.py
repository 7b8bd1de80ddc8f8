"""Small random networks, drawn by Hypothesis, as ONNX and as PyTorch at once.

Every operator that is drawn is computed on the spot, in float64, so that what follows can be chosen
to fit: its shapes, its domain, a distance from where its derivative jumps. `random_operators` says
what can be drawn.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import onnx
import torch
from hypothesis import assume
from hypothesis import strategies as st
from onnx import helper, numpy_helper

__all__ = ["OPSETS", "DoesNotFit", "Drawing", "Network", "Value", "networks"]

OPSETS = (17, 18, 21, 24, 26)
STEPS = 14
LARGEST, MOST = 1e3, 2000  # magnitude of a value, number of elements
MARGIN = 1e-4  # relative distance from a kink that float32 cannot cross
INPUTS = [
    ((2, 4, 6, 5), (1, 3, 7, 7), (3, 2, 4, 9), (1, 1, 5, 4), (2, 6, 1, 3), (1, 8, 4, 4)),
    ((1, 4, 8, 6), (2, 3, 5, 5)),
    ((2, 3, 7), (1, 4, 9)),
    ((1, 2, 4, 3, 5), (2, 2, 3, 3, 3)),
    ((3, 5), (1, 8), (7,)),
]


class DoesNotFit(Exception):
    """What was drawn cannot stand here; the network goes on without it."""


@dataclass(eq=False)
class Value:
    """A float tensor of the network: its name and, in float64, what it holds."""

    name: str
    value: torch.Tensor

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
class Network:
    """A drawn network, and the layer and the tensor upstream of it that a test may take."""

    model: onnx.ModelProto
    feeds: dict[str, np.ndarray]
    constants: dict[str, torch.Tensor]
    steps: list[Step]
    layer: str
    to: str

    def gradient(self, cotangent, dtype=torch.float64, noise=0.0):
        """Return the layer's value and what autograd sends from there back to `to`.

        cotangent: the signal at the layer, as a function of its value; noise: by how much, as a
        share of themselves, the inputs are moved at random.
        """
        values = {name: v.to(dtype) for name, v in self.constants.items()}
        for name, v in self.feeds.items():
            x = torch.tensor(v).to(dtype)
            values[name] = x + noise * x * torch.randn_like(x)
        if self.to in values:
            values[self.to].requires_grad_()
        for step in self.steps:
            results = step.compute(*(values[name] for name in step.inputs))
            results = results if isinstance(results, tuple) else (results,)
            values |= zip(step.outputs, results, strict=True)
            if self.to in step.outputs:
                values[self.to] = values[self.to].detach().requires_grad_()
        y = values[self.layer]
        (signal,) = torch.autograd.grad(y, values[self.to], cotangent(y.detach()).to(dtype))
        return y.detach().numpy(), signal.numpy()

    def _repr_pretty_(self, printer, cycle):
        """Say the network as ONNX text, where Hypothesis prints it."""
        shapes = {name: v.shape for name, v in self.feeds.items()}
        text = onnx.printer.to_text(self.model)
        printer.text(f"inputs {shapes}, layer {self.layer}, to {self.to}\n{text}")


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

    @cached_property
    def random(self):
        return np.random.default_rng(self.number(0, 99))

    # Drawing.

    def choice(self, *options):
        """Return one of the options, the first being the simplest."""
        return self.draw(st.sampled_from(options))

    def number(self, low, high):
        """Return an integer from low to high, low being the simplest."""
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
        return fitting[0 if recent else self.number(0, len(fitting) - 1)]

    def weight(self, *shape, low=-2.0, high=2.0):
        """Return a constant of random numbers, which float32 can say."""
        return self.constant(self.random.uniform(low, high, shape))

    def constant(self, values):
        """Return a constant of these numbers."""
        name = f"w{len(self.floats)}"
        single = np.asarray(values, np.float32)
        self.floats[name] = torch.tensor(single).double()
        return Value(name, self.floats[name])

    # Building.

    def add(self, operator, inputs, compute, reads=None, spare=0, **attrs):
        """Append a node and return its first output.

        inputs: values, names, arrays of integers, None for one left out; compute: what the output
        is in PyTorch, or a tuple where there are several, as a function of the values among the
        inputs, or of `reads`; spare: so many more outputs, that nothing reads. Raises DoesNotFit
        where an output is empty, large or not finite.
        """
        flowing = [v for v in inputs if isinstance(v, Value)] if reads is None else reads
        results = compute(*(v.value for v in flowing))
        results = results if isinstance(results, tuple) else (results,)
        for result in results:
            if not 0 < result.numel() <= MOST or not result.abs().max() < LARGEST:
                raise DoesNotFit
        made = [Value(f"t{len(self.values) + i}", r) for i, r in enumerate(results)]
        self.values += made
        names = [v.name for v in made]
        self.steps.append(Step(compute, [v.name for v in flowing], names))
        unread = [f"u{len(self.nodes)}_{i}" for i in range(spare)]
        self.node(operator, inputs, [*names, *unread], **attrs)
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
        if x.value.min() >= low and x.value.max() <= high:
            return x
        squeezed = self.add("Sigmoid", [x], torch.sigmoid)
        scaled = self.add("Mul", [squeezed, self.constant(high - low)], torch.mul)
        return self.add("Add", [scaled, self.constant(low)], torch.add)

    def _name(self, value):
        if isinstance(value, Value):
            return value.name
        if isinstance(value, str):
            return value
        name = f"k{len(self.integers)}"
        array = np.array(value)
        self.integers[name] = array if array.dtype == bool else array.astype(np.int64)
        return name


def far(values, *points):
    """Tell whether no element is so near to one of the points that float32 might cross it."""
    margin = MARGIN * (1 + values.abs().max())
    return all(bool(((values - p).abs() > margin).all()) for p in points)


@st.composite
def networks(draw, *families):
    """Draw a network of operators: each family has functions by name that add to a Drawing."""
    d = Drawing(draw, draw(st.sampled_from(OPSETS)))
    shapes = [d.choice(*d.choice(*INPUTS))]
    if d.choice(False, True):
        shapes.append(_beside(d, shapes[0]))
    feeds = {f"x{i}": d.random.standard_normal(s).astype(np.float32) for i, s in enumerate(shapes)}
    d.values += [Value(name, torch.tensor(v).double()) for name, v in feeds.items()]
    count = d.number(1, STEPS // 2)
    for operators in draw(st.lists(st.sampled_from(families), min_size=count, max_size=STEPS)):
        with suppress(DoesNotFit):
            operators[d.choice(*sorted(operators))](d)
    if not d.steps:
        d.add("Identity", [d.values[-1]], torch.clone)
    if d.choice(False, True, True):
        _join(d)
    layer = d.values[-1]
    upstream = _upstream(d, layer.name)
    reached = [n for n in feeds if n in upstream]
    assume(reached)  # else the layer is made of constants alone
    to = d.choice(*reached)
    if d.number(0, 3) == 3:
        to = d.choice(*(v.name for v in d.values if v.name in upstream))
    others = [v for v in d.values[len(shapes) : -1] if d.number(0, 3) == 3]
    model = _model(d, feeds, [layer, *others])
    return Network(model, feeds, d.floats, d.steps, layer.name, to)


def _join(d):
    """Let the last tensor depend on all that nothing has read: add it, or multiply by its mean."""
    read = {name for step in d.steps for name in step.inputs}
    for loose in [v for v in d.values[:-1] if v.name not in read]:
        last = d.values[-1]
        with suppress(DoesNotFit):
            if loose.shape == last.shape:
                d.add("Add", [last, loose], torch.add)
            else:
                mean = d.add("ReduceMean", [loose], torch.mean, keepdims=0)
                d.add("Mul", [last, mean], torch.mul)


def _beside(d, shape):
    """Return the shape of a second input: the same, one that broadcasts, or another."""
    kind = d.choice("same", "broadcast", "another")
    if kind == "same":
        return shape
    if kind == "broadcast":
        first = d.number(0, len(shape) - 1)
        return tuple(s if d.choice(True, False) else 1 for s in shape[first:])
    return d.choice(*d.choice(*INPUTS))


def _upstream(d, layer):
    """Return the names of the tensors that the layer is made of, other than itself."""
    found = {layer}
    for step in reversed(d.steps):
        if found & {*step.outputs}:
            found.update(step.inputs)
    return found - {layer}


def _model(d, feeds, outputs):
    """Return the model; each size of its inputs is known, named as equal sizes are, or unknown."""
    knowledge = d.choice("known", "named", "unknown", "mixed")

    def size(name, axis, size):
        known = d.choice("known", "named", "unknown") if knowledge == "mixed" else knowledge
        named = f"s{size}" if size > 1 else size
        return {"known": size, "named": named, "unknown": f"{name}_{axis}"}[known]

    def info(name, shape):
        return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)

    inputs = [
        info(name, [size(name, axis, s) for axis, s in enumerate(v.shape)])
        for name, v in feeds.items()
    ]
    weights = [
        *(numpy_helper.from_array(v.numpy().astype(np.float32), n) for n, v in d.floats.items()),
        *(numpy_helper.from_array(v, n) for n, v in d.integers.items()),
    ]
    graph = helper.make_graph(
        d.nodes, "drawn", inputs, [info(v.name, None) for v in outputs], weights
    )
    opsets = [helper.make_opsetid("", d.opset)]
    ir_version = helper.find_min_ir_version_for(opsets)
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)

"""Random networks, whole: their ONNX model, and what autograd sends back through them."""

from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import onnx
import torch
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from random_networks.drawing import OPSETS, DoesNotFit, Drawing, Step, Value, fit

__all__ = ["Network", "networks"]

STEPS = 14
INPUTS = [
    ((2, 4, 6, 5), (1, 3, 7, 7), (3, 2, 4, 9), (1, 1, 5, 4), (2, 6, 1, 3), (1, 8, 4, 4)),
    ((1, 4, 8, 6), (2, 3, 5, 5)),
    ((2, 3, 7), (1, 4, 9)),
    ((1, 2, 4, 3, 5), (2, 2, 3, 3, 3)),
    ((3, 5), (1, 8), (7,)),
    ((0, 3, 5, 4), (0, 4), (2, 0, 3)),
]


@dataclass
class Network:
    """A drawn network, and the layer and the tensor upstream of it that a test may take."""

    model: onnx.ModelProto
    feeds: dict[str, np.ndarray]
    constants: dict[str, torch.Tensor]
    steps: list[Step]
    layer: str
    to: str
    shapes: dict[str, tuple[int, ...]]  # of all tensors that the network computes

    def gradient(self, cotangent, dtype=torch.float64, noise=None):
        """Return the layer's value and what autograd sends from there back to `to`.

        cotangent: the signal at the layer, as a function of its value; noise: a generator, by
        which the inputs are moved at random by about the rounding of float32.
        """
        values = {name: v.to(dtype) for name, v in self.constants.items()}
        for name, v in self.feeds.items():
            x = torch.tensor(v).to(dtype)
            if noise is not None:
                x = x * (1 + 2**-24 * torch.randn(x.shape, generator=noise, dtype=dtype))
            values[name] = x
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


def networks(*families, images=()):
    """Return a strategy: networks of operators of the families, functions that add to a Drawing.

    images: shapes of the only input, which `to` then is; by default inputs of any kind.
    """

    @st.composite
    def network(draw):
        return _network(draw, families, images)

    return network()


def _network(draw, families, images):
    d = Drawing(draw, draw(st.sampled_from(OPSETS)))
    shapes = [d.choice(*images) if images else d.choice(*d.choice(*INPUTS))]
    if not images and d.choice(False, True):
        shapes.append(_beside(d, shapes[0]))
    feeds = {f"x{i}": d.random.standard_normal(s).astype(np.float32) for i, s in enumerate(shapes)}
    d.values += [Value(name, torch.tensor(v).double()) for name, v in feeds.items()]
    count = d.number(1, STEPS // 2)
    draw(st.lists(_step(d, families), min_size=count, max_size=STEPS))
    if not d.steps or not d.values[-1].flows:
        d.add("Identity", [next(v for v in reversed(d.values) if v.flows)], torch.clone)
    if not images and d.choice(False, True, True):
        _join(d)
    layer = d.values[-1]
    upstream = _upstream(d, layer.name)
    to = d.choice(*(n for n in feeds if n in upstream))
    if not images and d.number(0, 3) == 3:
        to = d.choice(*(v.name for v in d.values if v.name in upstream))
    others = [v for v in d.values[len(shapes) : -1] if d.number(0, 3) == 3]
    model = _model(d, feeds, [layer, *others])
    shapes = {v.name: v.shape for v in d.values}
    return Network(model, feeds, d.floats, d.steps, layer.name, to, shapes)


@st.composite
def _step(draw, d, families):
    """Add an operator; a strategy of its own, so that Hypothesis can leave it out again."""
    operators = draw(st.sampled_from(families))
    d.reads_empty = False
    with suppress(DoesNotFit):
        try:
            operators[d.choice(*sorted(operators))](d)
        except (IndexError, RuntimeError, ValueError):  # PyTorch, of what has no elements
            fit(not d.reads_empty)
            raise


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

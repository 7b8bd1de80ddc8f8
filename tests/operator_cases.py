"""One case for every operator that has a rule: a small node that its rule is checked on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from check_rule import one_node, spaced

__all__ = ["BLOCK", "ONE_EACH", "ORDER", "REDUCTIONS", "Case", "case", "floats", "ints", "model_of"]


@dataclass(frozen=True)
class Case:
    """One node: its inputs' shapes or values, its constants, its attributes.

    `since`: the first opset to have it; `oracle`: where ONNX Runtime has no float64 kernel for it.
    """

    inputs: list[Any]
    weights: list[Any]
    since: int
    fixed: tuple[str, ...]
    outputs: int
    oracle: Callable[..., torch.Tensor] | None
    attrs: dict[str, Any]


def case(*inputs, weights=(), since=17, fixed=(), outputs=1, oracle=None, **attrs):
    return Case(list(inputs), list(weights), since, fixed, outputs, oracle, attrs)


def ints(*values):
    return np.array(values, np.int64)


def floats(*shape):
    return spaced(shape, seed=9)


def attention(q, k, v):
    return F.scaled_dot_product_attention(q, k, v)


TABLES = [floats(1, 3, 2), 0.5 * floats(1, 3, 2)]  # not of a rotation: any linear map will do


def rotated(x):
    cosine, sine = (torch.tensor(table).double() for table in TABLES)
    a, b = x.chunk(2, -1)
    return torch.cat([a * cosine - b * sine, a * sine + b * cosine], -1)


ONES = np.ones(4, np.float32)
STATISTICS = [np.array(v, np.float32) for v in ([1.5, -0.7], [0.1, 0.2], [-1, 0.5], [0.5, 2])]
POOL = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 0, 1, 1]}
IMAGE, BLOCK, SQUARE = (1, 2, 6, 5), (2, 3, 4), (1, 4, 4, 4)
CURVES = [
    "Abs", "Asinh", "Atan", "Cos", "Cosh", "Elu", "Exp", "HardSigmoid", "HardSwish", "Identity",
    "LogSoftmax", "Neg", "Relu", "Selu", "Sigmoid", "Sin", "Sinh", "Softplus", "Softsign", "Tan",
    "Tanh", "ThresholdedRelu",
]  # fmt: skip
REDUCTIONS = [
    "ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin",
    "ReduceProd", "ReduceSum", "ReduceSumSquare",
]  # fmt: skip

ONE_EACH = {
    **{name: case(BLOCK) for name in CURVES},
    **{name: case(BLOCK, keepdims=0) for name in REDUCTIONS},
    **{name: case(BLOCK, (3, 1)) for name in ("Add", "Max", "Mean", "Min", "Mul", "Sub", "Sum")},
    **{name: case(0.4 * floats(*BLOCK)) for name in ("Acos", "Asin", "Atanh")},
    **{name: case(2.5 + floats(*BLOCK)) for name in ("Log", "Reciprocal", "ReduceLogSum", "Sqrt")},
    "Acosh": case(3.5 + floats(*BLOCK)),
    "AffineGrid": case((1, 2, 3), weights=[ints(1, 2, 3, 4)], since=20),
    "Attention": case((1, 2, 3, 4), (1, 2, 5, 4), (1, 2, 5, 3), since=23, oracle=attention),
    "AveragePool": case(IMAGE, **POOL),
    "BatchNormalization": case(IMAGE, weights=STATISTICS),
    "CastLike": case(BLOCK, BLOCK),
    "Celu": case(BLOCK, oracle=F.celu),
    "CenterCropPad": case(IMAGE, weights=[ints(4, 7)], since=18, axes=[2, 3]),
    "Clip": case(IMAGE, weights=[np.array(0.0, np.float32), np.array(1.03, np.float32)]),
    "Compress": case(BLOCK, weights=[np.array([True, False, True])], axis=1),
    "Concat": case(BLOCK, (2, 1, 4), axis=1),
    "Conv": case(IMAGE, weights=[floats(3, 2, 3, 3)], strides=[2, 2], pads=[1, 0, 1, 1]),
    "ConvTranspose": case(IMAGE, weights=[floats(2, 3, 3, 3)], strides=[2, 2], pads=[1, 0, 1, 1]),
    "CumSum": case(BLOCK, weights=[np.array(1)]),
    "DepthToSpace": case(SQUARE, blocksize=2),
    "Div": case(BLOCK, weights=[floats(3, 4) + 4]),
    "Dropout": case(BLOCK),
    "Erf": case(BLOCK, oracle=torch.erf),
    "Einsum": case(BLOCK, weights=[floats(4, 2)], equation="abc,cd->adb"),
    "Expand": case((2, 1, 4), weights=[ints(2, 3, 4)]),
    "Flatten": case(BLOCK),
    "Gather": case(BLOCK, weights=[ints(2, 0, 2)], axis=1),
    "GatherElements": case(BLOCK, weights=[np.zeros((2, 2, 4), np.int64)], axis=1),
    "GatherND": case(BLOCK, weights=[ints([1], [0])], batch_dims=1),
    "Gelu": case(BLOCK, since=20, oracle=F.gelu),
    "Gemm": case((4, 3), (5, 3), (5,), transB=1),
    "GlobalAveragePool": case(IMAGE),
    "GlobalLpPool": case(IMAGE, oracle=lambda x: x.norm(dim=(2, 3), keepdim=True)),
    "GlobalMaxPool": case(IMAGE),
    "GridSample": case(IMAGE, weights=[0.4 * floats(1, 3, 4, 2)]),
    "GroupNormalization": case(SQUARE, weights=[ONES, ONES], since=21, num_groups=2,
                               oracle=lambda x: F.group_norm(x, 2) + 1),
    "InstanceNormalization": case(IMAGE, weights=[floats(2), floats(2)]),
    "LRN": case(SQUARE, size=3, alpha=0.3),
    "LayerNormalization": case(BLOCK, weights=[floats(4), floats(4)]),
    "LeakyRelu": case(BLOCK, alpha=0.2),
    "LpNormalization": case(BLOCK, axis=1),
    "LpPool": case(IMAGE, **POOL),
    "MatMul": case(BLOCK, (4, 5)),
    "MaxPool": case(IMAGE, **POOL),
    "MaxUnpool": case((1, 2, 2, 2), kernel_shape=[2, 2], strides=[2, 2],
                      weights=[ints([[[5, 7], [13, 15]], [[16, 18], [24, 31]]])]),
    "MeanVarianceNormalization": case(IMAGE, axes=[2, 3]),
    "Mish": case(BLOCK, since=18),
    "Mod": case(5 * floats(*BLOCK), weights=[np.array(1.7, np.float32)], fmod=1),
    "PRelu": case(BLOCK, weights=[floats(3, 1)]),
    "Pad": case(IMAGE, weights=[ints(0, 0, 1, 2, 0, 0, 0, 1)], mode="reflect"),
    "Pow": case(2.5 + floats(*BLOCK), weights=[np.array(1.7, np.float32)]),
    "RMSNormalization": case(BLOCK, weights=[floats(4)], since=23),
    "Reshape": case(BLOCK, weights=[ints(0, -1)]),
    "Resize": case(IMAGE, weights=[None, np.array([1, 1, 2, 1.5], np.float32)], fixed=("w1",)),
    "ReverseSequence": case(BLOCK, weights=[ints(1, 3)], batch_axis=0, time_axis=1),
    "RotaryEmbedding": case((1, 2, 3, 4), weights=TABLES, since=23, oracle=rotated),
    "ScatterElements": case(BLOCK, (2, 1, 4), weights=[np.ones((2, 1, 4), np.int64)], axis=1),
    "ScatterND": case(BLOCK, (1, 3, 4), weights=[ints([1])]),
    "Shrink": case(BLOCK, oracle=lambda x: torch.where(x.abs() > 0.5, x, 0.0)),
    "Slice": case(BLOCK, weights=[ints(2), ints(0), ints(1), ints(-1)]),
    "Softmax": case(BLOCK, axis=1),
    "SpaceToDepth": case(SQUARE, blocksize=2),
    "Split": case(BLOCK, weights=[ints(1, 2)], outputs=2, axis=1),
    "Squeeze": case((2, 1, 4), weights=[ints(1)]),
    "Swish": case(BLOCK, since=24, alpha=1.3),
    "Tile": case(BLOCK, weights=[ints(1, 2, 1)]),
    "TopK": case(BLOCK, weights=[ints(2)], outputs=2),
    "Transpose": case(BLOCK, perm=[0, 2, 1]),
    "Trilu": case(BLOCK),
    "Unsqueeze": case(BLOCK, weights=[ints(1)]),
    "Where": case(BLOCK, weights=[floats(2, 3, 4) > 0, floats(3, 1)]),
}  # fmt: skip

# How a node names its inputs where constants do not come last.
ORDER = {"Where": ["w0", "x0", "w1"], "ScatterElements": ["x0", "w0", "x1"],
         "ScatterND": ["x0", "w0", "x1"]}  # fmt: skip


def model_of(c, name, variant, dtype, opset):
    """Return the model of one node that a case describes."""
    values = {f"x{i}": spaced(v, i) if isinstance(v, tuple) else v for i, v in enumerate(c.inputs)}
    constants = {f"w{i}": w for i, w in enumerate(c.weights) if w is not None}
    names = ORDER.get(name) or [*values, *(f"w{i}" for i in range(len(c.weights)))]
    names = ["" if n.startswith("w") and n not in constants else n for n in names]
    return one_node(
        name, names, values, constants, variant, dtype, opset, c.outputs, c.attrs, c.fixed
    )

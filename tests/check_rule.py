"""Checks one operator's rule: its vector-Jacobian product against numeric differentiation.

The forward graph is differentiated by central differences in float64, on ONNX Runtime where it has
the kernel and else on ONNX's reference evaluator, or by PyTorch's autograd in float64 where a test
says what the operator is there; the rule never takes part in that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented as NoKernel

from onnxplain.graphops import Options, rewrite

__all__ = ["check_rule", "one_node", "relative_error", "run", "session", "spaced"]

Forward = Callable[[dict[str, np.ndarray]], np.ndarray]
Oracle = Callable[..., torch.Tensor]

FLOAT64_STEP = 1e-5
FLOAT32_STEP, FLOAT32_BOUND = 2.0**-7, 3e-4  # where neither runtime is of use in float64
LINEAR_STEP = 1.0  # central differences of a linear operator have no error but rounding
BOUND = {np.dtype(np.float32): 1e-5, np.dtype(np.float16): 5e-3}
VARIANTS = ("static", "named", "unknown")


def check_rule(
    op_type: str,
    shapes: Sequence[tuple[int, ...] | np.ndarray],
    weights: Sequence[np.ndarray | None] = (),
    wrt: int = 0,
    opset: int = 17,
    *,
    inputs: Sequence[str] | None = None,
    outputs: int = 1,
    dtype: Any = np.float32,
    positive: bool = False,
    variants: Sequence[str] = VARIANTS,
    unpool: str = "auto",
    fixed: Sequence[str] = (),
    linear: bool = False,
    oracle: Oracle | None = None,
    full_check: bool = True,
    **attrs: Any,
) -> None:
    """Fail where the rule of `op_type` is not the derivative of the operator.

    shapes: of the inputs `x0`, `x1`, ..., or their values; weights: constants `w0`, `w1`, ...
    (None: omitted); inputs: the node's inputs by these names, default all in that order; wrt: the
    input in question; fixed: constants that keep their type whatever the network's is; linear: y
    is linear in that input; oracle: y as a function of x0, x1, ... in PyTorch; full_check: off
    where ONNX's inference stumbles over the operator itself.

    Each variant is the same graph with other knowledge of its sizes: `static` knows all, `named`
    gives equal sizes above 1 a common name, `unknown` gives each axis of each input its own name.
    """
    values = {
        f"x{i}": spaced(x, i, dtype, positive) if isinstance(x, tuple) else x.astype(dtype)
        for i, x in enumerate(shapes)
    }
    target = f"x{wrt}"
    constants = {f"w{i}": w for i, w in enumerate(weights)}
    names = list(inputs) if inputs is not None else [*values, *constants]
    names = ["" if n in constants and constants[n] is None else n for n in names]
    given = {n: w for n, w in constants.items() if w is not None and n in names}

    def model(variant: str, as_type: Any) -> onnx.ModelProto:
        return one_node(
            op_type, names, values, given, variant, as_type, opset, outputs, attrs, fixed
        )

    bound = BOUND[np.dtype(dtype)]
    if oracle is not None:
        y = oracle(*map(_double, values.values())).numpy()
        (own,) = run(model("static", dtype), values, "y")
        assert relative_error(own, y) <= bound, f"{op_type} {attrs}: the oracle says another y"
        cotangent = _cotangent(y.shape, dtype)
        expected = _autograd(oracle, values, target, cotangent)
    else:
        forward, step, exact = _forward(model, values)
        y = forward(_cast(values, exact))
        cotangent = _cotangent(y.shape, dtype)
        step = LINEAR_STEP if linear else step
        expected = _differentiate(forward, _cast(values, exact), target, cotangent, step)
        bound = max(bound, FLOAT32_BOUND if exact == np.float32 and not linear else 0.0)

    for variant in variants:
        source = model(variant, dtype)
        options = Options(select="seed", to=target, unpool=unpool)
        artefact = rewrite(source, "y", "gradient", options)
        onnx.checker.check_model(artefact, full_check=full_check)
        answer = run(artefact, {**values, "seed": cotangent}, "attribution", "score")
        got, score = answer[0], np.atleast_1d(answer[1])
        context = f"{op_type} {attrs}, sizes {variant}"
        assert got.dtype == dtype, context
        assert got.shape == values[target].shape, context
        error = relative_error(got, expected)
        assert error <= bound, f"{context}: relative error {error:.2g}\n{got}\n{expected}"
        whole = (cotangent.astype(np.float64) * y).reshape(len(score), -1).sum(1)
        np.testing.assert_allclose(score, whole, rtol=50 * bound, atol=50 * bound, err_msg=context)


def spaced(
    shape: tuple[int, ...], seed: int = 0, dtype: Any = np.float32, positive: bool = False
) -> np.ndarray:
    """Return values in a random order, evenly spaced over -2 to 2: no ties, none at zero."""
    count = int(np.prod(shape))
    order = np.random.default_rng(seed).permutation(count)
    values = (order + 0.3) * (4 / count)
    return (values + 0.5 if positive else values - 2).reshape(shape).astype(dtype)


def one_node(
    op_type: str,
    names: list[str],
    values: dict[str, np.ndarray],
    weights: dict[str, np.ndarray],
    variant: str = "static",
    dtype: Any = np.float32,
    opset: int = 17,
    outputs: int = 1,
    attrs: Mapping[str, Any] = MappingProxyType({}),
    fixed: Sequence[str] = (),
) -> onnx.ModelProto:
    """Return a model of one node, `node`, with inputs like `values` and output `y`."""
    element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    produced = ["y", *(f"spare{i}" for i in range(1, outputs))]
    node = helper.make_node(op_type, names, produced, name="node", **attrs)
    graph = helper.make_graph(
        [node],
        "one_node",
        [
            helper.make_tensor_value_info(n, element, list(_sizes(n, v.shape, variant)))
            for n, v in values.items()
        ],
        [helper.make_tensor_value_info("y", element, None)],
        [
            numpy_helper.from_array(w if n in fixed else _as_float(w, dtype), n)
            for n, w in weights.items()
        ],
    )
    opsets = [helper.make_opsetid("", opset)]
    ir_version = helper.find_min_ir_version_for(opsets)
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)


def run(model: onnx.ModelProto, feeds: dict[str, Any], *names: str) -> list[np.ndarray]:
    """Return the named outputs of `model`, all of them where none is named, on the CPU."""
    return session(model).run(list(names) or None, feeds)


def session(model: onnx.ModelProto) -> ort.InferenceSession:
    """Return a quiet session of `model` on one thread of the CPU."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def relative_error(got: np.ndarray, expected: np.ndarray) -> float:
    """Return the relative L2 error of `got`; infinite where shapes differ or it is not finite."""
    if got.shape != expected.shape or not np.all(np.isfinite(got)):
        return np.inf
    difference = np.linalg.norm(got.astype(np.float64) - expected)
    norm = np.linalg.norm(expected)
    return float(difference / norm) if norm else float(difference)


def _forward(
    model: Callable[[str, Any], onnx.ModelProto], values: dict[str, np.ndarray]
) -> tuple[Forward, float, Any]:
    """Return the forward graph as a function, the step to differentiate it with, and its type.

    The reference evaluator is taken only where it agrees with ONNX Runtime at the point itself.
    """
    try:
        whole = session(model("static", np.float64))
        return lambda feeds: whole.run(["y"], feeds)[0], FLOAT64_STEP, np.float64
    except NoKernel:
        pass  # a kernel for float32 only
    float32 = session(model("static", np.float32))
    reference = ReferenceEvaluator(model("static", np.float64))
    y = float32.run(["y"], _cast(values, np.float32))[0]
    if relative_error(y, _reference(reference, _cast(values, np.float64))) < 1e-5:
        return lambda feeds: _reference(reference, feeds), FLOAT64_STEP, np.float64
    return lambda feeds: float32.run(["y"], feeds)[0], FLOAT32_STEP, np.float32


def _reference(evaluator: ReferenceEvaluator, feeds: dict[str, np.ndarray]) -> np.ndarray:
    try:
        return np.asarray(evaluator.run(["y"], feeds)[0])
    except (RuntimeError, ValueError, TypeError, IndexError, AttributeError):
        return np.zeros(())  # of no use here: it has gaps


def _cotangent(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    cotangent = np.asarray(np.random.default_rng(7).standard_normal(shape), dtype)
    if cotangent.size > 1:
        cotangent.flat[0], cotangent.flat[-1] = -1.5, 1.5  # both signs, whatever was drawn
    return cotangent


def _double(values: np.ndarray) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _autograd(
    oracle: Oracle, values: dict[str, np.ndarray], target: str, g: np.ndarray
) -> np.ndarray:
    tensors = {name: _double(value) for name, value in values.items()}
    x = tensors[target].requires_grad_()
    (gradient,) = torch.autograd.grad(oracle(*tensors.values()), x, _double(g))
    return gradient.numpy()


def _differentiate(
    forward: Forward, values: dict[str, np.ndarray], target: str, g: np.ndarray, step: float
) -> np.ndarray:
    """Return ∂⟨g, y⟩/∂x for every element of x, by central differences."""
    x = values[target]
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        sides = []
        for sign in (1, -1):
            moved = x.copy()
            moved[index] += sign * step
            y = forward({**values, target: moved})
            sides.append((float(moved[index]), y.astype(np.float64)))
        (above, y_above), (below, y_below) = sides
        gradient[index] = np.sum(g * (y_above - y_below)) / (above - below)
    return gradient


def _sizes(name: str, shape: tuple[int, ...], variant: str) -> Iterator[int | str]:
    for axis, size in enumerate(shape):
        if variant == "unknown":
            yield f"{name}_{axis}"
        elif variant == "named" and size > 1:
            yield f"size_{size}"
        else:
            yield size


def _as_float(weight: np.ndarray, dtype: Any) -> np.ndarray:
    floating = np.issubdtype(weight.dtype, np.floating)
    return np.asarray(weight, dtype if floating else None, order="C")


def _cast(values: dict[str, np.ndarray], dtype: Any) -> dict[str, np.ndarray]:
    return {name: value.astype(dtype) for name, value in values.items()}

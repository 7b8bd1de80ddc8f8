"""Methods of many gradients: at noisy copies of the input, or along a path to it.

The copies run along the batch axis, all images of the first copy before those of the second. All
copies share one seed, that of the unchanged input.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from onnxplain.graphops.analysis import batch_dimension
from onnxplain.graphops.backward import Attribution, Walk, find_path
from onnxplain.graphops.errors import UnsupportedModel
from onnxplain.graphops.ir import (
    Emitter,
    Tensor,
    dimension_names,
    dtype_of,
    is_half,
    is_known_size,
    is_static,
    numpy_type,
    onnx_type,
    rank_of,
    reshape,
    shape_of,
)
from onnxplain.graphops.methods.completeness import baseline_input, completeness_error
from onnxplain.graphops.methods.drawn_noise import drawn_noise

__all__ = [
    "gauss_legendre",
    "integrated_gradients",
    "smoothgrad",
    "smoothgrad_sq",
    "standard_noise",
    "vargrad",
]


def smoothgrad(walk: Walk) -> Attribution:
    """Smilkov et al. 2017: the mean of the gradients at noisy copies of the input."""
    return _over_noise(walk, _mean)


def smoothgrad_sq(walk: Walk) -> Attribution:
    """Hooker et al. 2019: the mean of the squared gradients at noisy copies of the input."""
    return _over_noise(walk, lambda op, g: _mean(op, op.Mul(g, g)))


def vargrad(walk: Walk) -> Attribution:
    """Adebayo et al. 2018: the variance of the gradients at noisy copies of the input.

    Computed from deviations from the mean, without the cancellation of mean(g²) − mean(g)².
    """

    def variance(op: Emitter, g: Tensor) -> Tensor:
        deviation = op.Sub(g, op.mean(g, [0]))
        return _mean(op, op.Mul(deviation, deviation))

    return _over_noise(walk, variance)


def integrated_gradients(walk: Walk) -> Attribution:
    """Sundararajan et al. 2017: input minus baseline, times the mean gradient between the two.

    The mean is over the points baseline + `alpha`·(input − baseline), with weights `weight`. The
    completeness error is the attribution's sum minus f(input) − f(baseline), where f is the score.
    """
    op, target = walk.op, walk.path.target
    alphas, weights = gauss_legendre(walk.options.steps)
    dtype = _working_type(target)
    rank, steps = rank_of(target), _unused_dimension(walk)
    alpha = walk.interface.input(op, "alpha", dtype, [steps], alphas.astype(dtype))
    weight = walk.interface.input(op, "weight", dtype, [steps], weights.astype(dtype))
    with walk.in_seed_scope():
        image = op.widened(target)
        baseline = op.widened(baseline_input(walk))
        way = op.Sub(image, baseline)
        # One more point at the baseline itself, for the layer's value there.
        points = op.Concat(alpha, op.constant([0], dtype), axis=0)
        along = op.Reshape(points, [-1] + [1] * rank)
        values = op.Add(baseline, op.Mul(along, way))
        copies = op.Shape(points)
    gradients, layer = _gradients(walk, values, copies)
    gradients = op.Slice(gradients, [0], [-1], [0])
    weighted = op.Mul(gradients, op.Reshape(weight, [-1] + [1] * rank))
    values = op.Mul(way, op.ReduceSum(weighted, [0], keepdims=0))

    at_baseline = _split_copies(op, layer, copies, walk.seed.cotangent)
    at_baseline = op.Squeeze(op.Slice(at_baseline, [-1], [2**31 - 1], [0]), [0])
    at_baseline.shape = op.signal_shape(walk.path.layer)
    attribution = op.narrowed(values, op.signal_type(target))
    return Attribution(attribution, completeness_error(walk, values, at_baseline))


def standard_noise(seed: int, shape: tuple[int, ...]) -> Callable[[int], np.ndarray]:
    """Return a function from a count to standard normal noise, float32 [count, *shape].

    One call and several calls of the same total draw the same numbers.
    """
    generator = np.random.default_rng(seed)
    return lambda count: generator.standard_normal((count, *shape), np.float32)


def gauss_legendre(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the points and weights of the Gauss-Legendre quadrature on [0, 1]."""
    points, weights = np.polynomial.legendre.leggauss(steps)
    return (1 + points) / 2, weights / 2


def _over_noise(walk: Walk, statistic: Callable[[Emitter, Tensor], Tensor]) -> Attribution:
    """Return a statistic of the gradients at noisy copies, computed over axis 0, the copies."""
    op, target, options = walk.op, walk.path.target, walk.options
    given = _seed_input(walk) if options.noise == "drawn" else _noise_input(walk)
    axes = list(range(1, rank_of(target)))
    with walk.in_seed_scope():
        clean, noise = op.widened(target), given
        if options.noise == "drawn":
            noise = drawn_noise(op, given, options.samples, op.shape(target, 1))
            noise = op.narrowed(noise, onnx_type(clean))
        spread = op.Sub(op.reduced("ReduceMax", clean, axes), op.reduced("ReduceMin", clean, axes))
        deviation = op.Mul(spread, options.noise_level)
        values = op.Add(clean, op.Mul(deviation, op.Unsqueeze(noise, [1])))
        copies = op.Shape(noise, start=0, end=1)
    gradients, _ = _gradients(walk, values, copies)
    return Attribution(op.narrowed(statistic(op, gradients), op.signal_type(target)))


def _noise_input(walk: Walk) -> Tensor:
    """Add the noise as an input, with draws as its default where an image has a known size."""
    target, options = walk.path.target, walk.options
    dtype, shape = _working_type(target), shape_of(target)[1:]
    default = None
    if is_static(shape):
        drawn = standard_noise(options.noise_seed, tuple(shape))(options.samples)
        default = drawn.astype(dtype)
    dimensions = [_unused_dimension(walk), *shape]
    return walk.interface.input(walk.op, "noise", dtype, dimensions, default)


def _seed_input(walk: Walk) -> Tensor:
    """Add the seed of the noise as an input, int64 [], with the option's value as its default."""
    default = np.array(walk.options.noise_seed, np.int64)
    return walk.interface.input(walk.op, "noise_seed", np.int64, [], default)


def _gradients(walk: Walk, values: Tensor, copies: Tensor) -> tuple[Tensor, Tensor]:
    """Return the gradients at `values`, both [copies, B, ...], and the layer's values.

    The layer's values are [copies·B, ...], as computed by the network.
    """
    op, target = walk.op, walk.path.target
    for tensor in (target, walk.path.layer):
        _require_batch_axis(walk, tensor)
    with walk.in_seed_scope():
        results = op.Mul(copies, op.Slice(op.shape(target), [0], [1]))
        batch = reshape(op, values, results, op.shape(target, 1))
        batch = op.narrowed(batch, onnx_type(target))
    batch.shape = [None, *shape_of(target)[1:]]
    tensors = walk.again(batch, copies)
    layer = tensors[walk.path.layer.name]
    path = find_path(walk.graph, batch, layer)
    cotangent = walk.seed.cotangent
    cotangent.shape = cotangent.shape or op.signal_shape(walk.path.layer)
    signal = walk.back(path=path, cotangent=walk.tiled(cotangent, copies))
    return _split_copies(op, op.widened(signal), copies, target), layer


def _require_batch_axis(walk: Walk, tensor: Tensor) -> None:
    """Raise UnsupportedModel where a tensor's axis 0 is known not to run over the results."""
    size = tensor.shape[0] if tensor.shape else 0
    known = is_known_size(size) and tensor.name not in walk.canonical.batched
    free = [d for d in (batch_dimension(walk.graph), walk.interface.results) if isinstance(d, str)]
    if known and walk.canonical.batch != "fixed" and size not in free:
        raise UnsupportedModel(
            f"the method runs samples along the batch axis, but axis 0 of '{tensor.name}' does not "
            "run over the images: choose another tensor, or another method"
        )


def _split_copies(op: Emitter, batch: Tensor, copies: Tensor, like: Tensor) -> Tensor:
    """Reshape [copies·B, ...] to [copies, B, ...], the other sizes those of `like`."""
    return reshape(op, batch, copies, op.shape(like))


def _mean(op: Emitter, gradients: Tensor) -> Tensor:
    return op.reduced("ReduceMean", gradients, [0], keepdims=0)


def _working_type(tensor: Tensor) -> np.dtype[Any]:
    """Return the type to sample in, float32 for half precision, which has too few digits."""
    return np.dtype(np.float32) if is_half(tensor) else np.dtype(numpy_type(dtype_of(tensor)))


def _unused_dimension(walk: Walk) -> str:
    """Return an unused dimension name for the number of copies."""
    names = dimension_names(walk.graph) | {d for t in walk.interface.inputs for d in t.shape or ()}
    return next(name for name in ("S", "samples", "onnxplain_S") if name not in names)

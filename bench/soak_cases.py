"""What the soak asks of the service, each with the answer that the engine gives in this process."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from onnxplain.client import AsyncClient
from onnxplain.engine import Engine
from onnxplain.graphops import load, rewrite

__all__ = ["Case", "Models", "all_cases", "close", "write_models"]

SHAPES = Path(__file__).parents[1] / "examples/shapes.onnx"

# Calls of several clients run as one batch, in which kernels may round otherwise than alone; a unit
# that so flips at zero moves a map by 1e-3. A map of another picture, unit or method is off by 1.
TOLERANCE = 1e-3

LARGE = """
<ir_version: 8, opset_import: ["": 17]>
any_size (float[N, 3, H, W] image, float[8, 3, 5, 5] w, float[4, 8, 3, 3] v)
    => (float[N, 4, H2, W2] y)
{
    c = Conv <pads = [2, 2, 2, 2]> (image, w)
    r = Relu (c)
    p = MaxPool <kernel_shape = [3, 3], strides = [2, 2]> (r)
    d = Conv <pads = [1, 1, 1, 1]> (p, v)
    y = Relu (d)
}
"""
SMALL = """
<ir_version: 8, opset_import: ["": 17]>
small (float[N, 3, 32, 32] image, float[8, 3, 3, 3] w, float[8] b, float[2048, 10] v)
    => (float[N, 10] probabilities)
{
    c = Conv <pads = [1, 1, 1, 1]> (image, w, b)
    r = Relu (c)
    p = AveragePool <kernel_shape = [2, 2], strides = [2, 2]> (r)
    f = Flatten (p)
    score = MatMul (f, v)
    probabilities = Softmax (score)
}
"""

METHODS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("gradient", {"units": "top:2"}),
    ("deconvnet", {"layer": "mixed", "units": "top:3"}),
    ("guided_backprop", {}),
    ("input_x_gradient", {"units": "all"}),
    ("lrp_epsilon_plus", {}),
    ("grad_cam", {}),
    ("smoothgrad", {"samples": 8, "noise_seed": 3}),
    ("integrated_gradients", {"steps": 8}),
    ("occlusion", {"window": 16, "stride": 16}),
)


@dataclass(frozen=True)
class Case:
    """A call, by its name in the report, and what is wrong with its answer: "" if nothing is."""

    name: str
    call: Callable[[AsyncClient], Awaitable[Any]]
    fault: Callable[[Any], str]


@dataclass(frozen=True)
class Models:
    """The folder that is served, and variants of a model to upload, which are not in it."""

    folder: Path
    variants: tuple[Path, ...]


def write_models(folder: Path) -> Models:
    """Write the models of the soak into two folders in this one."""
    served, variants = folder / "models", folder / "variants"
    served.mkdir()
    variants.mkdir()
    for name in ("shapes", "shapes_again"):  # models are spread over the workers by their names
        (served / f"{name}.onnx").write_bytes(SHAPES.read_bytes())
    onnx.save(_model(SMALL, 0), served / "small.onnx")
    onnx.save(_model(LARGE, 0), served / "large.onnx")
    for seed in range(1, 4):
        onnx.save(_model(SMALL, seed), variants / f"{seed}.onnx")
    return Models(served, tuple(sorted(variants.iterdir())))


def all_cases(models: Models, engine: Engine) -> list[Case]:
    """Return the cases, whose answers the engine computes now."""
    return [
        *_explanations(models.folder, engine),
        *_large_pictures(models.folder, engine),
        *_drawings(models.folder, engine),
        *_graphs(models.folder),
    ]


def explanation_case(
    engine: Engine, path: Path, picture: Any, name: str = "", **options: Any
) -> Case:
    """Return the case of one explanation.

    name: of the model on the service, by default that of the file.
    """
    wanted = engine.explain(path, picture, **options)
    method = options.get("method", "deconvnet")

    def fault(found: Any) -> str:
        if found.channels.tolist() != wanted.channels.tolist():
            return f"channels {found.channels.tolist()}, not {wanted.channels.tolist()}"
        return close(found.attribution, wanted.attribution) or close(found.score, wanted.score)

    async def call(client: AsyncClient) -> Any:
        return await client.explain(name or path.stem, picture, **options)

    return Case(f"explain {path.stem if not name else 'an upload'}, {method}", call, fault)


def close(found: Any, wanted: Any) -> str:
    """Return how two arrays differ by more than rounding, "" if they do not."""
    found, wanted = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
    if found.shape != wanted.shape:
        return f"shape {found.shape}, not {wanted.shape}"
    if not np.array_equal(np.isnan(found), np.isnan(wanted)):
        return "other values are not numbers"
    size = np.linalg.norm(np.nan_to_num(wanted))
    off = np.linalg.norm(np.nan_to_num(found - wanted)) / (size or 1)
    return f"values are off by {off:.2g} of their norm" if off > TOLERANCE else ""


def _explanations(folder: Path, engine: Engine) -> Iterator[Case]:
    pictures = sorted((SHAPES.parent / "pictures").glob("*.png"))
    for (method, options), number in itertools.product(METHODS, range(4)):
        path = folder / ("shapes.onnx" if number % 2 else "shapes_again.onnx")
        yield explanation_case(engine, path, pictures[4 * number], method=method, **options)
    random = np.random.default_rng(1)
    for method, _ in itertools.product(("gradient", "guided_backprop", "rise"), range(4)):
        pixels = random.integers(0, 256, (32, 32, 3), np.uint8)
        options = {"masks": 16} if method == "rise" else {"units": "all"}
        path = folder / "small.onnx"
        yield explanation_case(engine, path, pixels, method=method, preprocess="unit", **options)


def _large_pictures(folder: Path, engine: Engine) -> Iterator[Case]:
    random = np.random.default_rng(2)
    for size, method in (((240, 320), "gradient"), ((480, 640), "deconvnet")):
        pixels = random.integers(0, 256, (*size, 3), np.uint8)
        chosen = {"layer": "y", "units": "all", "preprocess": "unit"}
        yield explanation_case(engine, folder / "large.onnx", pixels, method=method, **chosen)


def _drawings(folder: Path, engine: Engine) -> Iterator[Case]:
    picture = SHAPES.parent / "pictures/heart_1.png"
    path = folder / "shapes.onnx"
    wanted = engine.explain(path, picture, "mixed", "gradient", "top:2")
    evaluated = engine.evaluate(path, picture, ["gradient", "grad_cam"])

    async def view(client: AsyncClient) -> Any:
        chosen = {"layer": "mixed", "methods": ["gradient"], "units": "top:2"}
        return await client.view("shapes", picture, "maps", **chosen)

    def view_fault(found: Any) -> str:
        if not found.drawing.startswith(b"\x89PNG"):
            return "no PNG file"
        return close(found.arrays["attribution"], wanted.attribution)

    async def operation(client: AsyncClient) -> Any:
        chosen = {"layer": "mixed", "methods": ["gradient"], "units": "top:2"}
        started = await client.start_view("shapes", picture, "maps", **chosen)
        try:
            found = await started.result()
        except asyncio.CancelledError:
            await started.cancel()
            raise
        await started.delete()
        return found

    async def evaluate(client: AsyncClient) -> Any:
        return await client.evaluate("shapes", picture, ["gradient", "grad_cam"])

    def evaluate_fault(found: Any) -> str:
        areas = [each.deletion_area for each in found]
        return close(areas, [each.deletion_area for each in evaluated])

    yield Case("view", view, view_fault)
    yield Case("evaluate", evaluate, evaluate_fault)
    yield Case("operation", operation, view_fault)


def _graphs(folder: Path) -> Iterator[Case]:
    wanted = rewrite(load(folder / "shapes.onnx"), "mixed", "gradient").SerializeToString()

    async def rewritten(client: AsyncClient) -> Any:
        return await client.rewrite("shapes", "mixed", "gradient")

    async def layers(client: AsyncClient) -> Any:
        return [layer.tensor for layer in await client.layers("small")]

    async def listed(client: AsyncClient) -> Any:
        return {model.name: model.problem for model in await client.list_models()}

    def missing(found: Any) -> str:
        needed = {f"models/{path.stem}/versions/1": "" for path in folder.iterdir()}
        return "" if needed.items() <= found.items() else f"lists {found}"

    async def check(client: AsyncClient) -> Any:
        return await client.check("shapes", "mixed", "gradient")

    names = ["image", "c", "r", "p", "f", "score", "probabilities"]
    yield Case("rewrite", rewritten, lambda found: "" if found == wanted else "another file")
    yield Case("layers", layers, lambda found: "" if found == names else f"layers {found}")
    yield Case("list models", listed, missing)
    yield Case("check", check, lambda found: "" if found.ok else found.problem)


def _model(text: str, seed: int) -> onnx.ModelProto:
    """Parse a model; inputs after the first become weights of random values."""
    parsed = onnx.parser.parse_model(text)
    random = np.random.default_rng(seed)
    for value in list(parsed.graph.input)[1:]:
        shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
        weights = (random.normal(size=shape) / np.sqrt(np.prod(shape[1:] or [1]))).astype("f")
        parsed.graph.initializer.append(numpy_helper.from_array(weights, value.name))
        parsed.graph.input.remove(value)
    return parsed

"""A tour: list a network's layers, rewrite it, serve it, explain pictures, draw the results.

Run: make demo, or python examples/demo.py. The files are written to demo-out/.
"""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import onnx
from matplotlib.figure import Figure

from onnxplain.client import Client, Result
from onnxplain.engine.drawing import (
    Frame,
    Page,
    Panel,
    Style,
    attribution_panel,
    drawn_page,
    heat_panel,
    kind_of,
    method_title,
    picture_panel,
)
from onnxplain.engine.methods import drawn_as

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "demo-out"
MODEL = "examples/shapes.onnx"
PICTURES = [ROOT / "examples" / "pictures" / f"{n}_1.png" for n in ("ring", "star", "cross")]
METHODS = ("deconvnet", "guided_backprop")
LAYER = "mixed"
UNITS = "top:4"
PROGRAM = (sys.executable, "-m", "onnxplain.cli")  # the command, even if not on PATH


def main() -> None:
    """Run the six steps, each under a heading."""
    OUT.mkdir(exist_ok=True)
    artefact = f"demo-out/shapes-{LAYER}.onnx"

    heading("1. The layers of a small network that classifies eight shapes")
    onnxplain("layers", MODEL)

    heading(f"2. Rewrite it: forward to the layer '{LAYER}', then backward to the pixels")
    onnxplain("rewrite", MODEL, "--layer", LAYER, "-o", artefact)

    heading("3. The artefact is plain ONNX")
    check(ROOT / artefact)

    heading("4. Serve the network over gRPC")
    with service() as address, Client(address, timeout=60) as client:
        heading("5. Ask the service which channels fire, and what they saw")
        classes = client.explain("shapes", PICTURES)
        results = [
            client.explain("shapes", PICTURES, LAYER, method, UNITS, position="max", pictures=True)
            for method in METHODS
        ]
    for picture, (label,), channels in zip(
        PICTURES, classes.channels, results[0].channels, strict=True
    ):
        listed = ", ".join(str(c) for c in channels)
        print(f"{picture.name}: a {classes.labels[label]}; strongest channels {listed}")

    heading("6. The grid: picture, what each channel saw, and where")
    grid = OUT / "grid.png"
    draw(results).savefig(grid)
    print(grid)


def heading(text: str) -> None:
    """Print the title of a step."""
    print(f"\n== {text}\n", flush=True)


def onnxplain(*arguments: str) -> None:
    """Print a command and run it."""
    print("$ onnxplain", *arguments, flush=True)
    subprocess.run([*PROGRAM, *arguments], cwd=ROOT, check=True)


def check(path: Path) -> None:
    """Check a model with onnx.checker, and print the operators of its backward part."""
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    counts = Counter(node.op_type for node in model.graph.node)
    backward = ("ConvTranspose", "MaxUnpool", "ScatterElements")
    print("onnx.checker with full_check: passed")
    print("backward pass:", ", ".join(f"{counts[o]} {o}" for o in backward if counts[o]))


@contextmanager
def service() -> Iterator[str]:
    """Run the service on a free local port; yield its address, and stop it at the end."""
    arguments = ("serve", "--models", "examples", "--listen", "127.0.0.1:0")
    print("$ onnxplain", *arguments, flush=True)
    with subprocess.Popen(
        [*PROGRAM, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            ready = process.stdout.readline() if process.stdout else ""
            if not ready:
                sys.exit("the service did not start")
            print(ready, end="", flush=True)
            yield ready.split()[-1]
        finally:
            process.terminate()


def draw(results: Sequence[Result]) -> Figure:
    """Draw each picture, and beside it by each method a row of its channels' projections."""
    rows: list[list[Panel | None]] = []
    for i, path in enumerate(PICTURES):
        frame = Frame.whole(results[0].pictures[i].shape[:2], results[0].pictures[i])
        for result in results:
            first = result is results[0]
            row = [picture_panel((path.stem,), frame) if first else None]
            for u, channel in enumerate(result.channels[i]):
                attribution = partial(result.attribution.__getitem__, (i, u))
                kind = kind_of(attribution(), drawn_as(result.method), None)
                caption = f"channel {channel} · {method_title(result.method)}"
                row.append(attribution_panel((caption,), attribution, kind, None, frame))
                row.append(heat_panel((), attribution, frame))
            rows.append(row)
    title = f"What the four strongest channels of the layer '{LAYER}' saw"
    lines = ("Each channel, where it fires most: its projection to the pixels, and an overlay",)
    return drawn_page(Page(title, rows, lines), Style())


if __name__ == "__main__":
    main()

"""Draws the gallery of docs/gallery.md: every view, for the example network, by one command each.

Run: make gallery. The page shows the commands that were run.
"""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import sys
from pathlib import Path

from PIL import Image

from onnxplain.cli.main import main

ROOT = Path(__file__).parents[1]
FOLDER = "docs/gallery"
MODEL, PICTURES = "examples/shapes.onnx", "examples/pictures"
CHECKPOINTS = [f".gallery/epoch_{epoch:02}.onnx" for epoch in (1, 2, 5, 10)]
LARGE = ".gallery/large.png"  # written by draw()
STAR, RING = f"{PICTURES}/star_1.png", f"{PICTURES}/ring_1.png"

# Title, caption, the command without its output flag, the output's name.
VIEWS = [
    (
        "All features of a layer",
        "The 16 channels of the first convolution, on one picture.",
        f"explain {MODEL} {STAR} --layer stem --channel 0:16 --method activation",
        "features",
    ),
    (
        "Their projections",
        "The four strongest channels of a deeper layer, projected back to the pixels by DeconvNet.",
        f"explain {MODEL} {STAR} --layer mixed --channel top:4",
        "projections",
    ),
    (
        "One feature over many pictures",
        "Channel 44 of that layer, on four pictures.",
        f"explain {MODEL} {STAR} {RING} {PICTURES}/square_1.png {PICTURES}/heart_1.png"
        " --layer mixed --channel 44",
        "feature",
    ),
    (
        "The pictures that excite a feature most",
        "For each of three channels, the patches of the 16 pictures that excite it most, and their "
        "projections.",
        f"top {MODEL} {PICTURES} --layer mixed --channel 7,44,60 --count 5",
        "top",
    ),
    (
        "A feature through training",
        "Four channels at four checkpoints of a training run (`examples/train_checkpoints.py`).",
        f"training {' '.join(CHECKPOINTS)} --image {STAR} --layer mixed --channel top:4",
        "training",
    ),
    (
        "Invariance",
        "The picture shifted, resized and rotated: the change in two layers' values, and the class "
        "probability.",
        f"invariance {MODEL} {STAR} --layer stem --layer block2",
        "invariance",
    ),
    (
        "Occlusion",
        "The class probability and a feature's activity as a grey square slides over the picture.",
        f"occlusion {MODEL} {STAR} --layer block2 --window 12 --stride 4",
        "occlusion",
    ),
    (
        "Sliding window",
        "The heat map of the class star, on a picture larger than the network was trained on: four "
        "pictures in one.",
        f"slide {MODEL} {LARGE} --channel 3",
        "slide",
    ),
    (
        "Methods side by side",
        "The evidence for the predicted class, by ten methods.",
        f"explain {MODEL} {STAR} {RING} --method gradient,guided_backprop,deconvnet,smoothgrad,"
        "integrated_gradients,deeplift,grad_cam,lrp,excitation_backprop,occlusion",
        "methods",
    ),
    (
        "Activation maximisation",
        "A picture that excites each class, by gradient ascent from noise.",
        f"explain {MODEL} {STAR} --method activation_maximisation --channel all",
        "maximised",
    ),
]

HEAD = """\
# The gallery

Every view, for [the example network](../examples/README.md), by one command each. `make gallery`
runs them.
"""
LAYERS = f"layers {MODEL} --arithmetic"
COUNTED = (
    "Parameters are the floats that a layer reads from the file, including BatchNormalization "
    "statistics.\nMultiply-adds are per picture."
)


def draw() -> None:
    """Run every command, and write the page that shows the drawings."""
    os.chdir(ROOT)
    four = [Image.open(f"{PICTURES}/{name}_1.png") for name in ("ring", "star", "heart", "square")]
    large = Image.new("RGB", (128, 128))
    for number, picture in enumerate(four):
        large.paste(picture, (64 * (number % 2), 64 * (number // 2)))
    large.save(LARGE)
    Path(FOLDER).mkdir(exist_ok=True)
    page = [HEAD]
    for title, seen, command, name in VIEWS:
        drawn = f"{FOLDER}/{name}.png"
        if run(f"{command} -o {drawn}"):
            raise SystemExit(f"the command failed: onnxplain {command}")
        shown = f"gallery/{name}.png"
        page.append(
            f"## {title}\n\n{seen}\n\n```sh\nonnxplain {command}\n```\n\n![{seen}]({shown})\n"
        )
    table = io.StringIO()
    with contextlib.redirect_stdout(table):
        run(LAYERS)
    page.append(
        f"## Layer by layer\n\n{COUNTED}\n\n```sh\nonnxplain {LAYERS}\n```\n\n"
        f"```\n{table.getvalue()}```\n"
    )
    Path("docs/gallery.md").write_text("\n".join(page), encoding="utf-8")


def run(command: str) -> int:
    """Run one command line of onnxplain and return its exit code."""
    print(f"onnxplain {command}", file=sys.stderr)
    return main(shlex.split(command))


if __name__ == "__main__":
    draw()

"""Draws the gallery of docs/gallery.md: every view, and figures of papers, for the example network.

Run: make gallery. The page shows the commands that were run.
"""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import subprocess
import sys
from pathlib import Path

from PIL import Image

from onnxplain.cli.main import main

ROOT = Path(__file__).parents[1]
FOLDER = "docs/gallery"
MODEL, PICTURES = "examples/shapes.onnx", "examples/pictures"
CHECKPOINTS = [f".gallery/epoch_{epoch:02}.onnx" for epoch in (1, 2, 5, 10)]
LARGE = ".gallery/large.png"  # written by draw()
DPI = 100  # enough for pictures of 64 pixels
STAR, RING = f"{PICTURES}/star_1.png", f"{PICTURES}/ring_1.png"

# Title, caption, the command without its output flag, the output's name.
VIEWS = [
    (
        "All features of a layer",
        "The 16 channels of the first convolution, on one picture.",
        f"explain {MODEL} {STAR} --layer stem --channel 0:16 --method activation --width 8",
        "features",
    ),
    (
        "Their projections",
        "The four strongest channels of a deeper layer, projected back to the pixels by DeconvNet.",
        f"explain {MODEL} {STAR} --layer mixed --channel top:4",
        "projections",
    ),
    (
        "What an early unit sees",
        "A unit of the first convolution sees 7x7 pixels: they are enlarged, and outlined in the "
        "picture.",
        f"explain {MODEL} {STAR} --layer stem --channel top:4",
        "early",
    ),
    (
        "One feature over many pictures",
        "Channel 44 of the deeper layer, on three pictures.",
        f"explain {MODEL} {STAR} {RING} {PICTURES}/square_1.png --layer mixed --channel 44",
        "feature",
    ),
    (
        "The pictures that excite a feature most",
        "For each of the six channels that stand out most, its projections beside the patches of "
        "the nine pictures that excite it most.",
        f"top {MODEL} {PICTURES} --layer mixed --channel top:6",
        "top",
    ),
    (
        "Methods side by side",
        "The evidence for the predicted class, by ten methods.",
        f"explain {MODEL} {STAR} --method gradient,guided_backprop,deconvnet,smoothgrad,"
        "integrated_gradients,deeplift,grad_cam,lrp,excitation_backprop,occlusion --width 9",
        "methods",
    ),
    (
        "A figure for one column of a paper",
        "A figure of 3.3 inches without a title, and in the folder `panels` each of its panels as "
        "a file of its own, without captions.",
        f"explain {MODEL} {STAR} --method grad_cam --width 3.3 --no-title --panels panels",
        "column",
    ),
    (
        "Occlusion",
        "The class probability and a feature's activity as a grey square slides over the picture.",
        f"occlusion {MODEL} {STAR} --layer block2 --window 12 --stride 4",
        "occlusion",
    ),
    (
        "Invariance",
        "The picture translated, scaled and rotated: the change in two layers' values, and the "
        "class probability.",
        f"invariance {MODEL} {STAR} --layer stem --layer block2",
        "invariance",
    ),
    (
        "Sliding window",
        "The heat map of the class star, on a picture larger than the network was trained on: four "
        "pictures in one.",
        f"slide {MODEL} {LARGE} --channel 3",
        "slide",
    ),
    (
        "A feature through training",
        "Three channels at four checkpoints of a training run (`examples/train_checkpoints.py`).",
        f"training {' '.join(CHECKPOINTS)} --image {STAR} --layer mixed --channel top:3",
        "training",
    ),
    (
        "Activation maximisation",
        "A picture that excites each class, by gradient ascent from noise.",
        f"explain {MODEL} {STAR} --method activation_maximisation --channel all",
        "maximised",
    ),
]
# Captions of the figures that `paper_figures.py` draws, by their names.
PAPERS = {
    "zeiler_fergus_2": "Zeiler and Fergus 2014, figure 2: the channels of four layers that stand "
    "out most, their projections beside the patches that excite them.",
    "zeiler_fergus_5": "Figure 5: five pictures translated, scaled and rotated, the distance of an "
    "early and a late layer's values, and the probability of the class.",
    "guided_grad_cam": "Selvaraju et al. 2017, figure 1: two classes in one picture, by guided "
    "backpropagation, Grad-CAM and their product.",
}

HEAD = f"""\
# The gallery

Every view, for [the example network](../examples/README.md), by one command each. `-o` takes
`.png`, `.pdf`, `.svg` or `.jpg`; below each command is its PNG at `--dpi {DPI}`, with a link to its
PDF. `make gallery` draws them all.
"""
COMPOSED = """\
## Figures of papers, redrawn

Each result draws single panels into axes of matplotlib (`.plot(ax=...)`), so that a figure of one's
own is composed in a few lines: [`examples/paper_figures.py`](../examples/paper_figures.py) redraws
three known ones. `python examples/paper_figures.py MODEL PICTURES` does it for another network.
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
        run_here = command.replace("--panels panels", "--panels .gallery/panels")
        for suffix in ("png", "pdf"):
            drawn = f"{FOLDER}/{name}.{suffix}"
            if run(f"{run_here} --dpi {DPI} -o {drawn}"):
                raise SystemExit(f"the command failed: onnxplain {command}")
        page.append(f"## {title}\n\n{seen}\n\n```sh\nonnxplain {command} -o {name}.png\n```\n")
        page.append(figure(name, seen))
    page.append(COMPOSED)
    redrawn = [sys.executable, "examples/paper_figures.py", "--out", FOLDER, "--dpi", "110"]
    subprocess.run(redrawn, check=True)
    for name, seen in PAPERS.items():
        page.append(f"{seen}\n\n{figure(name, seen)}")
    table = io.StringIO()
    with contextlib.redirect_stdout(table):
        run(LAYERS)
    page.append(
        f"## Layer by layer\n\n{COUNTED}\n\n```sh\nonnxplain {LAYERS}\n```\n\n"
        f"```\n{table.getvalue()}```\n"
    )
    Path("docs/gallery.md").write_text("\n".join(page), encoding="utf-8")


def figure(name: str, seen: str) -> str:
    """Make a figure's PNG small, and return the lines of the page that show it."""
    path = Path(FOLDER, f"{name}.png")
    with Image.open(path) as image:
        opaque = image.convert("RGB")
    opaque.save(path, optimize=True)
    return f"![{seen}](gallery/{name}.png)\n\n[As PDF](gallery/{name}.pdf)\n"


def run(command: str) -> int:
    """Run one command line of onnxplain and return its exit code."""
    print(f"onnxplain {command}", file=sys.stderr)
    return main(shlex.split(command))


if __name__ == "__main__":
    draw()

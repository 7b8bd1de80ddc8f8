"""Redraws three figures of papers, with figures composed of the panels of the Python API.

zeiler_fergus_2: what excites layers' channels most (Zeiler and Fergus 2014, figure 2).
zeiler_fergus_5: how layers and class probabilities respond to changed pictures (their figure 5).
guided_grad_cam: two classes in one picture (Selvaraju et al. 2017, figure 1).

Run: python examples/paper_figures.py, for the example network, or for another one
     python examples/paper_figures.py MODEL PICTURE... --labels imagenet --preprocess torchvision
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from onnxplain.engine import Engine, Invariance

EXAMPLES = Path(__file__).resolve().parent
MODEL = EXAMPLES / "shapes.onnx"
SUFFIXES = {".png", ".jpg", ".jpeg", ".webp"}
LAYERS = ("stem", "block1", "mixed", "block2")
WIDTH = 6.9  # inches of a page of two columns
CHANNELS = 4  # of each layer in the first figure
MOST = 5  # pictures in the second figure, as in the paper
CAPTION, LABEL, TICK = 8, 7, 6  # points
CHANGES = {
    "translation": ("vertical translation", "of the height"),
    "scale": ("scale", "times"),
    "rotation": ("rotation", "degrees"),
}
METHODS = {
    "guided_backprop": "guided backpropagation",
    "grad_cam": "Grad-CAM",
    "guided_grad_cam": "guided Grad-CAM",
}
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00")


def main() -> None:
    """Draw the three figures, each as PNG and PDF."""
    chosen = arguments()
    rcParams.update({"figure.dpi": chosen.dpi, "pdf.fonttype": 42})  # TrueType, as journals ask
    chosen.out.mkdir(parents=True, exist_ok=True)
    engine, how = Engine(), {"labels": chosen.labels, "preprocess": chosen.preprocess}
    pictures = chosen.pictures or sorted((EXAMPLES / "pictures").glob("*.png"))
    scene = pictures[0] if chosen.pictures else two_shapes()
    figures = {
        "zeiler_fergus_2": strongest(engine, chosen.model, pictures, chosen.layers, how),
        "zeiler_fergus_5": invariances(
            engine, chosen.model, spread(pictures), (chosen.layers[0], chosen.layers[-1]), how
        ),
        "guided_grad_cam": two_classes(engine, chosen.model, scene, chosen.classes, how),
    }
    for name, figure in figures.items():
        for suffix in ("png", "pdf"):
            file = chosen.out / f"{name}.{suffix}"
            figure.savefig(file)
            print(file)


def strongest(
    engine: Engine,
    model: Path,
    pictures: Sequence[Path],
    layers: Sequence[str],
    how: dict[str, Any],
) -> Figure:
    """Draw the channels of each layer that stand out most: projections beside patches."""
    found = {
        layer: engine.top(model, pictures, layer, f"top:{CHANNELS}", **how) for layer in layers
    }
    tiles = min(9, len(pictures))  # of a square block, beside another one
    side = math.ceil(math.sqrt(tiles))
    panel = (WIDTH - 0.2) / CHANNELS - 0.08
    tall = panel * math.ceil(tiles / side) / side / 2
    row = tall + 0.42
    height = row * len(layers)
    figure = Figure(figsize=(WIDTH, height))
    for r, (layer, one) in enumerate(found.items()):
        top = height - r * row
        figure.text(0.1 / WIDTH, (top - 0.16) / height, layer, size=CAPTION)
        for c, channel in enumerate(each[0].channel for each in one.rows):
            left = 0.1 + c * (panel + 0.08)
            place = (left / WIDTH, (top - 0.24 - tall) / height, panel / WIDTH, tall / height)
            ax = figure.add_axes(place)
            one.plot(ax=ax, panel=c, title=False)
            ax.set_xlabel(f"channel {channel}", size=TICK, labelpad=2)
    return figure


def invariances(
    engine: Engine,
    model: Path,
    pictures: Sequence[Path],
    layers: Sequence[str],
    how: dict[str, Any],
) -> Figure:
    """Draw, for each change: the changed pictures, the distances in two layers, the probability."""
    found = {path: engine.invariance(model, path, layers, **how) for path in pictures}
    figure = Figure(figsize=(WIDTH, 5.4), layout="constrained")
    grid = figure.add_gridspec(len(CHANGES), 4, width_ratios=(1.4, 1, 1, 1))
    for r, (change, (title, unit)) in enumerate(CHANGES.items()):
        strips = grid[r, 0].subgridspec(len(found), 1, hspace=0)
        for i, (one, colour) in enumerate(zip(found.values(), COLOURS, strict=False)):
            ax = figure.add_subplot(strips[i])
            one.plot(ax=ax, change=change, quantity="pictures", title=False)
            ax.set(xticks=[], ylabel=one.label.partition(",")[0])
            ax.yaxis.label.set(size=TICK, color=colour, rotation=0, ha="right", va="center")
            if i == 0:
                ax.set_title(f"({'abc'[r]}) {title}", size=CAPTION, loc="left")
        charts = [figure.add_subplot(grid[r, column]) for column in (1, 2, 3)]
        draw_curves(charts, list(found.values()), change, layers)
        for ax in charts:
            ax.set_xlabel(unit, size=TICK, labelpad=1)
    return figure


def draw_curves(
    charts: Sequence[Axes], found: Sequence[Invariance], change: str, layers: Sequence[str]
) -> None:
    """Draw one curve for each picture: the distance in both layers, and the probability."""
    for one, colour in zip(found, COLOURS, strict=False):
        curve = next(curve for curve in one.curves if curve.change == change)
        for ax, layer in zip(charts, layers, strict=False):
            ax.plot(curve.amounts, curve.distance[layer], color=colour, lw=1)
        charts[2].plot(curve.amounts, curve.probability, color=colour, lw=1)
    titles = [f"{layer}: distance" for layer in layers] + ["probability of the class"]
    for ax, title in zip(charts, titles, strict=True):
        ax.set_title(title, size=LABEL)
        ax.tick_params(labelsize=TICK)
        ax.margins(x=0)
        ax.set_ylim(bottom=0)
        ax.spines[["top", "right"]].set_visible(False)
        if change == "rotation":
            ax.set_xticks([0, 90, 180, 270, 360])
    charts[2].set_ylim(0, 1.05)


def two_classes(
    engine: Engine,
    model: Path,
    picture: Path | Image.Image,
    classes: Sequence[int] | None,
    how: dict[str, Any],
) -> Figure:
    """Draw a row for each class: the picture, and three methods' maps of the class's evidence."""
    units = classes or "top:2"
    found = engine.explain(model, picture, method=list(METHODS), units=units, **how)
    first = next(iter(found.values()))
    rows, columns = first.channels.shape[1], 1 + len(METHODS)
    height, width = (first.photographs or first.pictures)[0].shape[:2]
    side = (WIDTH - 0.25) / columns - 0.06
    figure = Figure(figsize=(WIDTH, rows * (side * height / width + 0.06) + 0.2))
    figure.set_layout_engine("constrained", h_pad=0.03, w_pad=0.03, hspace=0, wspace=0)
    axes = figure.subplots(rows, columns, squeeze=False)
    axes[0, 0].set_title("original", size=CAPTION)
    for unit in range(rows):
        label = first.captions(0, unit)[-1]
        first.plot(ax=axes[unit, 0], what="input", title=False)
        axes[unit, 0].set_ylabel(label.partition(",")[0], size=CAPTION)
        for ax, (method, title) in zip(axes[unit, 1:], METHODS.items(), strict=True):
            what = "overlay" if method == "grad_cam" else "attribution"
            found[method].plot(ax=ax, unit=unit, what=what, title=False)
            if unit == 0:
                ax.set_title(title, size=CAPTION)
    return figure


def two_shapes() -> Image.Image:
    """Return a picture of a star and a square: the latter's shape pasted into a corner."""
    star, square = (Image.open(EXAMPLES / f"pictures/{n}.png") for n in ("star_1", "square_2"))
    mask = Image.open(EXAMPLES / "masks/square_2.png").convert("L")
    picture, box = star.convert("RGB"), mask.getbbox()
    picture.paste(square.crop(box), (0, 0), mask.crop(box))
    return picture


def spread(pictures: Sequence[Path]) -> list[Path]:
    """Return up to MOST of the pictures, evenly spread."""
    places = np.linspace(0, len(pictures) - 1, min(MOST, len(pictures)))
    return [pictures[round(place)] for place in places.tolist()]


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model", nargs="?", type=Path, default=MODEL, metavar="MODEL")
    parser.add_argument(
        "pictures", nargs="*", type=Path, metavar="PICTURE", help="pictures or folders of them"
    )
    parser.add_argument("--layers", nargs="+", default=LAYERS, help="from early to late")
    parser.add_argument("--classes", nargs="+", type=int, help="those of the last figure")
    parser.add_argument("--labels", help="class names: a file, or imagenet")
    parser.add_argument("--preprocess", help="as `onnxplain explain --preprocess`")
    parser.add_argument("--dpi", type=int, default=150)
    parser.add_argument("--out", type=Path, default=Path("paper-figures"), help="folder")
    chosen = parser.parse_args()
    chosen.pictures = [file for path in chosen.pictures for file in files(path)]
    return chosen


def files(path: Path) -> list[Path]:
    """Return the pictures of a folder, or the file itself."""
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)


if __name__ == "__main__":
    main()

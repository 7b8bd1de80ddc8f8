"""What a network makes of a picture of which a part is covered: its class, and one feature."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from onnxplain.engine.drawing import Note, Panel, Pixels, View, enlarged, figure, heat, laid
from onnxplain.engine.engine import Engine
from onnxplain.engine.methods import windows
from onnxplain.engine.pictures import Picture, Preprocess, read_picture
from onnxplain.engine.runtime import Model
from onnxplain.engine.views.predictions import choose_class, class_probabilities
from onnxplain.graphops.errors import OptionError

__all__ = ["Covered", "covered", "summary"]

GREY = 127
SIDE = 224
BAR = 120
AT_ONCE = 16  # covered pictures that are explained together


@dataclass(frozen=True, eq=False)
class Covered(View):
    """What is left of a class and of a feature while a grey square slides over a picture.

    label: the class's name. probability: of the class, [rows, columns] of the square's places.
    strength: the feature's values summed over all its positions, likewise. untouched: both of the
    picture itself. rows, columns: the first pixel that the square covers at each of its places;
    window: its side, of which the picture's border may cut off a part.
    """

    picture: npt.NDArray[np.uint8]
    class_index: int
    label: str
    layer: str
    channel: int
    probability: npt.NDArray[np.float64]
    strength: npt.NDArray[np.float64]
    untouched: tuple[float, float]
    window: int
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    notes: tuple[str, ...] = ()

    def draw(self) -> Image.Image:
        """Draw the picture, and both maps beside it, dark where covering takes most away."""
        panels: list[Panel | None] = [Panel(("input",), (enlarged(self.picture, SIDE),))]
        maps = (
            (f"probability of {self.label}", self.probability),
            (f"channel {self.channel}", self.strength),
        )
        notes = []
        for (caption, values), whole in zip(maps, self.untouched, strict=True):
            low, high = float(values.min()), float(max(values.max(), whole))
            drawn = enlarged(self.loss_map(values, low, high), SIDE)
            panels.append(Panel((caption,), (drawn,)))
            ramp = heat(np.linspace(0, 1, BAR))
            notes.append(
                Note(f"{caption}, untouched {whole:.3g}:", ramp, (f"{high:.3g}", f"{low:.3g}"))
            )
        notes.append(Note("Each colour lies at the middle of what the square covered"))
        return figure([panels], f"Covered piece by piece · {self.layer}", notes)

    def loss_map(self, values: npt.NDArray[np.float64], low: float, high: float) -> Pixels:
        """Return the picture with the loss of each place laid over the middle of its square.

        values: [rows, columns] of the square's places. low, high: the values drawn as the greatest
        loss and as none. Returns uint8 [H, W, 3].
        """
        sides = (self.rows, self.columns)
        centres = [
            [(start + min(start + self.window, size)) / 2 for start in starts]
            for starts, size in zip(sides, self.picture.shape, strict=False)
        ]
        gaps = [b - a for starts in sides for a, b in itertools.pairwise(starts)]
        reach = min(self.window, max(gaps, default=self.window)) / 2
        lost = high - values
        return laid(lost, 0.0, high - low, self.picture, centres, reach)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return both maps, what they are of, and both numbers of the picture itself."""
        return {
            "probability": self.probability,
            "strength": self.strength,
            "untouched": np.array(self.untouched),
            "class": np.array(self.class_index),
            "label": np.array(self.label),
            "layer": np.array(self.layer),
            "channel": np.array(self.channel),
            "window": np.array(self.window),
            "rows": np.array(self.rows),
            "columns": np.array(self.columns),
        }


def covered(
    engine: Engine,
    model: Model,
    picture: Picture,
    layer: str | None = None,
    channel: int | None = None,
    *,
    class_index: int | None = None,
    window: int | None = None,
    stride: int | None = None,
    labels: Sequence[str] | None = None,
    preprocess: Preprocess | str | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Covered:
    """Slide a grey square over the picture, as Zeiler and Fergus 2014 do in figure 7.

    layer: whose channel's strength is watched, default the class score.
    channel: of the layer, default its strongest; class_index: default the predicted one. window,
    stride: of the square in pixels, default an eighth of the longer side, and half of that.
    """
    model, picture = engine.open(model), read_picture(picture)
    clean = engine.explain(model, picture, layer, "activation", channel, preprocess=preprocess)
    seen = engine.explain(model, picture, method="activation", preprocess=preprocess, labels=labels)
    (pixels,), how, chosen = clean.pictures, clean.preprocess, int(clean.channels[0, 0])
    longest = max(pixels.shape[:2])
    size = max(1, longest // 8) if window is None else window
    step = max(1, size // 2) if stride is None else stride
    if size < 1 or step < 1:
        raise OptionError(f"a window of {size} and a stride of {step} pixels: give 1 or more")
    if size >= longest:
        raise OptionError(
            f"a window of {size} pixels covers the whole picture of {pixels.shape[0]}x"
            f"{pixels.shape[1]}: give a smaller one"
        )
    scores = class_probabilities(engine, model, [pixels], how)[0]
    target = choose_class(scores, class_index)
    places = windows(pixels.shape[:2], (size, size), (step, step))
    rows, columns = (sorted({place[axis].start for place in places}) for axis in range(2))
    left, strong = [], []
    progress(0, len(places))
    for start in range(0, len(places), AT_ONCE):
        frames = []
        for place in places[start : start + AT_ONCE]:
            frame = pixels.copy()
            frame[place] = GREY
            frames.append(frame)
        left.append(class_probabilities(engine, model, frames, how)[:, target])
        found = engine.explain(model, frames, layer, "activation", chosen, preprocess=how)
        strong.append(found.score[:, 0].astype(np.float64))
        progress(start + len(frames), len(places))
    return Covered(
        picture=pixels,
        class_index=target,
        label=(*seen.labels[target : target + 1], f"class {target}")[0],
        layer=clean.layer,
        channel=chosen,
        probability=np.concatenate(left).reshape(len(rows), -1),
        strength=np.concatenate(strong).reshape(len(rows), -1),
        untouched=(float(scores[target]), float(clean.score[0, 0])),
        window=size,
        rows=tuple(rows),
        columns=tuple(columns),
        notes=tuple(dict.fromkeys((*clean.notes, *seen.notes))),
    )


def summary(arrays: Mapping[str, npt.NDArray[Any]]) -> list[str]:
    """Return two lines: the class's probability and the channel's strength in the picture itself.

    arrays: those of `Covered.arrays`.
    """
    probability, strength = arrays["untouched"].tolist()
    return [
        f"{arrays['label']}: probability {probability:.4g}",
        f"channel {arrays['channel']} of {arrays['layer']}: strength {strength:.4g}",
    ]

"""What an explanation is: the arrays, what was assumed on the way, and how it draws itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from onnxplain.engine.drawing import Panel, View, drawn, enlarged, figure, legend, overlay
from onnxplain.engine.methods import drawn_as
from onnxplain.engine.pictures import Preprocess
from onnxplain.graphops.errors import OptionError, PictureError

__all__ = ["Explanation", "join_images", "join_units", "require_same_size"]

Pixels = npt.NDArray[np.uint8]

SIDE = 224  # pixels of a drawn picture's longer side, where there is room
PAGE = 30e6  # pixels that all the drawn pictures of a page have together, at most
WITH_OVERLAYS = 16  # units of a picture that still get an overlay each; beyond, they only crowd


@dataclass(frozen=True, eq=False)
class Explanation(View):
    """Projections of units of a layer back to a picture, for one or more pictures.

    attribution: float32 [images, units, *shape of `to` without its batch].
    score: float32 [images, units], the cotangent-weighted sum of the layer's values.
    channels: int64 [images, units], which channel each unit is, -1 for the whole layer; they may
        differ by image.
    position: int64 [images, units, spatial rank] for positions "max" and given ones, else None.
    layer, to: the tensors projected from and to. method: the method's name.
    pictures: uint8 [H, W, 3] each, as the network saw them; empty if images came as float arrays.
    labels: class names by channel when the layer is the class score, else empty.
    preprocess: what was done to the pictures, None if images came as float arrays.
    notes: sentences that say what was assumed or looked odd.
    seed_value: what the signal started with, "one" or the unit's own "activation".
    names: what the pictures are called, "" for those without a name; empty where none has one.
    first_image: which of the images given the first one here is; 0 but for pieces of a result.
    completeness_error: float32 [images, units], what should be zero by the method's own law of
        conservation; None where it has none.
    """

    attribution: npt.NDArray[np.float32]
    score: npt.NDArray[np.float32]
    channels: npt.NDArray[np.int64]
    position: npt.NDArray[np.int64] | None
    layer: str
    to: str
    method: str
    pictures: tuple[Pixels, ...] = ()
    labels: tuple[str, ...] = ()
    preprocess: Preprocess | None = None
    notes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    first_image: int = 0
    seed_value: str = "one"
    completeness_error: npt.NDArray[np.float32] | None = None

    def draw(self) -> Image.Image:
        """Draw one row for each picture: the picture, each unit's projection and its overlay.

        Many units take several rows, and above 16 the overlays are left out; many pictures of one
        unit each share rows. Raises OptionError where the attribution is not a map, such as one of
        a vector.
        """
        self.require_drawable()
        images, units = self.channels.shape
        overlays = (
            bool(self.pictures) and units <= WITH_OVERLAYS and drawn_as(self.method) != "picture"
        )
        side = int(min(SIDE, math.sqrt(PAGE / (images * units * (1 + overlays)))))
        columns = _columns(units, 4) if overlays else math.ceil(math.sqrt(units))
        rows: list[list[Panel | None]] = []
        for i in range(images):
            panels = [self._panel(i, u, side, overlays) for u in range(units)]
            for start in range(0, units, columns):
                row: list[Panel | None] = list(panels[start : start + columns])
                if self.pictures:
                    shown = Panel((self.name(i) or "input",), (enlarged(self.pictures[i], side),))
                    row.insert(0, None if start else shown)
                rows.append(row)
        if units == 1:
            together = max(1, round(math.sqrt(images / 3)))  # panels are three times as wide
            rows = [
                [panel for row in rows[start : start + together] for panel in row]
                for start in range(0, images, together)
            ]
        notes = legend(self.attribution[0, 0], self.method, overlays)
        return figure(rows, f"{self.method} · {self.layer}", notes)

    def name(self, image: int) -> str:
        """Return what a picture is called beside others; "" where it is alone or has no name."""
        return self.names[image] if len(self.names) > 1 else ""

    def named(self, captions: tuple[str, ...], image: int) -> tuple[str, ...]:
        """Return captions with the picture's name, if it has one."""
        name = self.name(image)
        return tuple(f"{caption} · {name}" for caption in captions) if name else captions

    def require_drawable(self) -> None:
        """Raise OptionError where the attribution is not a map, such as one of a vector."""
        if self.attribution.ndim not in (4, 5):
            raise OptionError(
                f"what '{self.method}' gives to '{self.to}', of shape "
                f"{list(self.attribution.shape[2:])}, is not a picture and cannot be drawn: save "
                "its numbers instead"
            )

    def drawn(self, image: int, unit: int) -> Pixels:
        """Return one unit's attribution as a picture, uint8 [H, W, 3]."""
        return drawn(self.attribution[image, unit], self.method, self.preprocess)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays and names that `save_npz` writes."""
        arrays: dict[str, npt.NDArray[Any]] = {
            "attribution": self.attribution,
            "score": self.score,
            "channels": self.channels,
            "layer": np.array(self.layer),
            "to": np.array(self.to),
            "method": np.array(self.method),
            "labels": np.array(self.labels, np.str_),
            "notes": np.array(self.notes, np.str_),
            "seed_value": np.array(self.seed_value),
        }
        if any(self.names):
            arrays["names"] = np.array(self.names, np.str_)
        if self.position is not None:
            arrays["position"] = self.position
        if self.completeness_error is not None:
            arrays["completeness_error"] = self.completeness_error
        return arrays

    def _panel(self, image: int, unit: int, side: int, overlays: bool) -> Panel:
        pictures = [enlarged(self.drawn(image, unit), side)]
        if overlays:
            over = overlay(self.attribution[image, unit], self.pictures[image])
            pictures.append(enlarged(over, side))
        captions = self.captions(image, unit)
        return Panel(captions if self.pictures else self.named(captions, image), tuple(pictures))

    def captions(self, image: int, unit: int) -> tuple[str, ...]:
        """Return wordings of which unit it is and how strong, the longest first."""
        channel, value = int(self.channels[image, unit]), _short(self.strength[image, unit])
        told = f"{self.strength_name} {value}"
        if 0 <= channel < len(self.labels):
            label = self.labels[channel]
            short = label.partition(",")[0]  # ImageNet's names list their synonyms
            return (f"{label} ({told})", f"{short} ({told})", short)
        if channel < 0:
            return (f"whole layer ({told})", f"whole ({value})", "whole")
        return (f"channel {channel} ({told})", f"{channel} ({value})", str(channel))

    @property
    def strength(self) -> npt.NDArray[np.float32]:
        """How active each unit is, [images, units]: its score, or what that is the square of.

        A signal that starts with the unit's own activity makes a score of its squares: this is then
        the root, the length of the activity that was sent back, which has lost its sign.
        """
        if self.seed_value != "activation":
            return self.score
        return np.sqrt(np.maximum(self.score, 0))

    @property
    def strength_name(self) -> str:
        """What `strength` is called in drawings: "score", or "activity" where it is a root."""
        return "activity" if self.seed_value == "activation" else "score"


def join_units(pieces: Sequence[Explanation]) -> Explanation:
    """Join explanations of the same pictures along their units."""
    return _join(pieces, 1, pieces[:1])


def join_images(pieces: Sequence[Explanation]) -> Explanation:
    """Join explanations of pictures of one size along their pictures."""
    return _join(pieces, 0, pieces)


def require_same_size(one: Explanation, other: Explanation) -> None:
    """Raise PictureError where the attributions differ in size, so that no one array holds them."""
    shapes = [list(e.attribution.shape[2:]) for e in (one, other)]
    if shapes[0] != shapes[1]:
        raise PictureError(
            f"the pictures differ in size, so their attributions {shapes[0]} and {shapes[1]} do "
            "not fit one array: choose a size for the preprocessing, or explain them one by one"
        )


def _join(pieces: Sequence[Explanation], axis: int, images: Sequence[Explanation]) -> Explanation:
    """Join along an axis. images: the pieces whose pictures are those of the result."""
    positions = [p.position for p in pieces if p.position is not None]
    errors = [p.completeness_error for p in pieces if p.completeness_error is not None]
    return replace(
        pieces[0],
        attribution=np.concatenate([p.attribution for p in pieces], axis),
        score=np.concatenate([p.score for p in pieces], axis),
        channels=np.concatenate([p.channels for p in pieces], axis),
        position=np.concatenate(positions, axis) if positions else None,
        completeness_error=np.concatenate(errors, axis) if errors else None,
        pictures=tuple(picture for p in images for picture in p.pictures),
        names=tuple(name for p in images for name in p.names),
        notes=tuple(dict.fromkeys(note for p in pieces for note in p.notes)),
    )


def _columns(count: int, most: int) -> int:
    """Return a number of columns up to `most` that fills the rows as evenly as can be."""
    return math.ceil(count / math.ceil(count / most))


def _short(score: float) -> str:
    return f"{score:,.0f}" if 1000 <= abs(score) < 1e9 else f"{score:.3g}"

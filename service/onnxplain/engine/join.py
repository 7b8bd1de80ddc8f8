"""Joining the pieces of an explanation, as `Engine.explain_units` yields them, into one."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from onnxplain.engine.explanation import Explanation
from onnxplain.graphops.errors import AnswerTooLarge, PictureError

__all__ = ["join_pieces"]


def join_pieces(pieces: Iterable[Explanation], result_bytes: float) -> Explanation:
    """Join pieces that come in the order of images and units.

    Raises PictureError where the attributions differ in size, so that no one array holds them, and
    AnswerTooLarge once they exceed `result_bytes`.
    """
    images: list[Explanation] = []
    for _, group in itertools.groupby(_bounded(pieces, result_bytes), lambda p: p.first_image):
        units = list(group)
        images.append(_join(units, 1, units[:1]))
        _require_same_size(images[0], images[-1])
    return _join(images, 0, images)


def _bounded(pieces: Iterable[Explanation], result_bytes: float) -> Iterator[Explanation]:
    size = 0
    for piece in pieces:
        size += piece.attribution.nbytes + sum(v.nbytes for v in piece.others.values())
        if size > result_bytes:
            raise AnswerTooLarge(
                f"the attributions exceed {result_bytes:,.0f} bytes: ask for fewer images or "
                "units, or call explain_units, which yields them one by one"
            )
        yield piece


def _require_same_size(one: Explanation, other: Explanation) -> None:
    shapes = [list(e.attribution.shape[2:]) for e in (one, other)]
    if shapes[0] != shapes[1]:
        raise PictureError(
            f"the pictures differ in size, so their attributions {shapes[0]} and {shapes[1]} do "
            "not fit one array: choose a size for the preprocessing, or explain them one by one"
        )


def _join(pieces: Sequence[Explanation], axis: int, images: Sequence[Explanation]) -> Explanation:
    """Join along the axis of images or units. images: one piece per image of the result."""
    notes = tuple(dict.fromkeys(note for p in pieces for note in p.notes))
    if len(pieces) == 1:  # attributions are large: no copy
        return replace(pieces[0], notes=notes)
    positions = [p.position for p in pieces if p.position is not None]
    boxes = [p.box for p in pieces if p.box is not None]
    errors = [p.completeness_error for p in pieces if p.completeness_error is not None]
    probabilities = [p.probability for p in pieces if p.probability is not None]
    return replace(
        pieces[0],
        attribution=np.concatenate([p.attribution for p in pieces], axis),
        score=np.concatenate([p.score for p in pieces], axis),
        channels=np.concatenate([p.channels for p in pieces], axis),
        position=np.concatenate(positions, axis) if positions else None,
        box=np.concatenate(boxes, axis) if boxes else None,
        completeness_error=np.concatenate(errors, axis) if errors else None,
        probability=np.concatenate(probabilities, axis) if probabilities else None,
        others={
            name: np.concatenate([p.others[name] for p in pieces], axis)
            for name in pieces[0].others
        },
        inputs=tuple(row for p in images for row in p.inputs),
        pictures=tuple(picture for p in images for picture in p.pictures),
        photographs=tuple(picture for p in images for picture in p.photographs),
        names=tuple(name for p in images for name in p.names),
        notes=notes,
    )

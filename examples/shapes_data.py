"""Draws the pictures of the example network: one textured shape on a cluttered background.

The class is the shape alone. Its colour, texture, position, size and rotation are random, and so is
the background: only the outline distinguishes the classes.
"""

import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

__all__ = ["CLASSES", "SIZE", "TEXTURES", "draw_picture", "draw_set"]

SIZE = 64
CLASSES = ("circle", "square", "triangle", "star", "ring", "cross", "crescent", "heart")
TEXTURES = ("plain", "stripes", "checks", "dots")

OVERSAMPLE = 3  # drawn this many times larger, then averaged down, for smooth edges
BIG = SIZE * OVERSAMPLE
X = np.arange(BIG, dtype=np.float32)[None, :]
Y = np.arange(BIG, dtype=np.float32)[:, None]
Rng = np.random.Generator


def draw_set(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw `count` pictures with the classes in turn.

    Returns the pictures uint8 [count, 64, 64, 3], the shapes' masks bool [count, 64, 64] and the
    class indices int64 [count]. The same seed gives the same pictures.
    """
    rng = np.random.default_rng(seed)
    pictures = np.empty((count, SIZE, SIZE, 3), np.uint8)
    masks = np.empty((count, SIZE, SIZE), bool)
    labels = np.arange(count) % len(CLASSES)
    for i, label in enumerate(labels):
        pictures[i], masks[i] = draw_picture(CLASSES[label], rng)
    return pictures, masks, labels


def draw_picture(shape: str, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    """Draw one picture of `shape`: the picture uint8 [64, 64, 3] and its mask bool [64, 64]."""
    ground, ground_colours = _background(rng)
    mask = _shape_mask(shape, rng)
    surface = _texture(rng.choice(TEXTURES), *_shape_colours(ground_colours, rng), rng)

    picture = Image.composite(Image.fromarray(surface), ground, mask)
    picture = np.asarray(picture.reduce(OVERSAMPLE), np.float32)
    picture = picture + rng.normal(0, rng.uniform(2, 12), picture.shape)
    return np.clip(picture, 0, 255).astype(np.uint8), np.asarray(mask.reduce(OVERSAMPLE)) > 127


# -- the shape -------------------------------------------------------------------------


def _shape_mask(shape: str, rng: Rng) -> Image.Image:
    """The shape in white on black, at a random position, size and rotation inside the picture."""
    radius = rng.uniform(0.19, 0.38) * BIG
    centre = rng.uniform(radius, BIG - radius, 2)
    angle = rng.uniform(0, math.tau)
    cos, sin = math.cos(angle), math.sin(angle)
    turn = radius * np.array([[cos, sin], [-sin, cos]])

    mask = Image.new("L", (BIG, BIG), 0)
    pen = ImageDraw.Draw(mask)
    solid, hole = OUTLINES[shape]()
    for outline, fill in ((solid, 255), (hole, 0)):
        if len(outline):
            pen.polygon([tuple(p) for p in outline @ turn + centre], fill=fill)
    return mask


NO_HOLE = np.empty((0, 2))
Outlines = tuple[np.ndarray, np.ndarray]  # points [K, 2] of the solid part, then of the hole in it


def _regular(corners: int, radius: float = 1.0) -> np.ndarray:
    """The corners of a regular polygon [corners, 2], the first pointing up."""
    angle = math.tau * np.arange(corners) / corners
    return radius * np.stack([np.sin(angle), -np.cos(angle)], axis=1)


def _star() -> Outlines:
    points = _regular(10)
    points[1::2] *= 0.45
    return points, NO_HOLE


def _cross() -> Outlines:
    a, b = 0.95, 0.3  # half the length and half the width of an arm
    corner = np.array([[b, -a], [b, -b], [a, -b]])
    quarter = np.array([[0, 1], [-1, 0]])
    turns = [np.linalg.matrix_power(quarter, k) for k in range(4)]
    return np.concatenate([corner @ turn for turn in turns]), NO_HOLE


def _heart() -> Outlines:
    t = np.linspace(0, math.tau, 60)
    x = 16 * np.sin(t) ** 3
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([x, -y - 2.5], axis=1) / 17.5, NO_HOLE


OUTLINES: dict[str, Callable[[], Outlines]] = {  # in a circle of radius 1 around (0, 0)
    "circle": lambda: (_regular(60, 0.95), NO_HOLE),
    "square": lambda: (_regular(4), NO_HOLE),
    "triangle": lambda: (_regular(3), NO_HOLE),
    "star": _star,
    "ring": lambda: (_regular(60), _regular(60, 0.55)),
    "cross": _cross,
    "crescent": lambda: (_regular(60), _regular(60, 0.85) + [0.5, 0]),
    "heart": _heart,
}


# -- colours and textures --------------------------------------------------------------


def _shape_colours(ground_colours: np.ndarray, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    """Two colours [3], far from both of the background's and apart from each other."""
    chosen: list[np.ndarray] = []
    apart = 110.0
    while len(chosen) < 2:
        colour = rng.uniform(0, 255, 3)
        others = np.array([*ground_colours, *chosen])
        if np.linalg.norm(others - colour, axis=1).min() > apart:
            chosen.append(colour)
        apart *= 0.995  # the search ends, whatever the other colours are
    return chosen[0], chosen[1]


def _texture(kind: str, one: np.ndarray, two: np.ndarray, rng: Rng) -> np.ndarray:
    """A surface uint8 [BIG, BIG, 3] of two colours; `plain` shows the first alone."""
    one, two = np.uint8(one), np.uint8(two)
    if kind == "plain":
        return np.broadcast_to(one, (BIG, BIG, 3))
    angle = rng.uniform(0, math.tau)
    per_pixel = math.tau / (rng.uniform(5, 9) * OVERSAMPLE)
    cos, sin = per_pixel * math.cos(angle), per_pixel * math.sin(angle)
    u = np.sin(X * cos + Y * sin + rng.uniform(0, math.tau))
    v = np.sin(Y * cos - X * sin + rng.uniform(0, math.tau))
    where = {"stripes": u > 0, "checks": u * v > 0, "dots": u + v > 0.7}[kind]
    return np.take([one, two], where.astype(int), axis=0)


# -- the background --------------------------------------------------------------------


def _background(rng: Rng) -> tuple[Image.Image, np.ndarray]:
    """A cluttered background, and the two colours [2, 3] that it blends."""
    first = np.clip(rng.uniform(30, 225) + rng.uniform(-50, 50, 3), 0, 255)
    second = np.clip(first + rng.uniform(-60, 60, 3), 0, 255)
    if rng.random() < 0.5:
        ground = _gradient(first, second, rng)
    else:
        ground = _texture(rng.choice(TEXTURES), first, 0.6 * first + 0.4 * second, rng)
    picture = Image.fromarray(ground)
    _clutter(ImageDraw.Draw(picture), rng)
    return picture, np.stack([first, second])


def _gradient(first: np.ndarray, second: np.ndarray, rng: Rng) -> np.ndarray:
    """From one colour to the other in a random direction, in 256 steps: uint8 [BIG, BIG, 3]."""
    angle = rng.uniform(0, math.tau)
    along = (X / BIG - 0.5) * math.cos(angle) + (Y / BIG - 0.5) * math.sin(angle)  # to +-0.71
    step = ((along / 1.42 + 0.5) * 255).astype(int)
    return np.take(np.linspace(first, second, 256).astype(np.uint8), step, axis=0)


def _clutter(pen: ImageDraw.ImageDraw, rng: Rng) -> None:
    """Long lines, short strokes, arcs and blobs; none as large as a shape."""
    for _ in range(rng.integers(4, 14)):
        colour = tuple(int(c) for c in rng.integers(0, 256, 3))
        width = int(rng.integers(2, 6))
        x, y = rng.uniform(0, BIG, 2)
        half = rng.uniform(2, 5) * OVERSAMPLE
        box = (x - half, y - half * rng.uniform(0.4, 1), x + half, y + half * rng.uniform(0.4, 1))
        match rng.choice(["line", "stroke", "arc", "blob"], p=[0.15, 0.4, 0.2, 0.25]):
            case "line":
                pen.line([x, y, *rng.uniform(0, BIG, 2)], fill=colour, width=width)
            case "stroke":
                corners = rng.uniform(-2 * half, 2 * half, (2, 2)) + [x, y]
                pen.line([(x, y), *map(tuple, corners)], fill=colour, width=width)
            case "arc":
                start = rng.uniform(0, 360)
                pen.arc(box, start, start + rng.uniform(60, 240), fill=colour, width=width)
            case "blob":
                pen.ellipse(box, fill=colour)

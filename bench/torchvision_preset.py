"""The preset `torchvision` against the preprocessing of torchvision's and timm's networks.

Usage: `python bench/torchvision_preset.py` with torchvision and timm, or `make torchvision-preset`.
Prints each setting of their classifiers once, as `--preprocess` takes it, with the largest
difference on pictures of many sizes as a fraction of the pixels' range, and fails above 1/255.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import timm
import torch
import torchvision
from PIL import Image

from onnxplain.engine.pictures import Preprocess, parse

Transform = Callable[[Image.Image], torch.Tensor]
SIZES = (
    (224, 224),
    (375, 500),
    (500, 333),
    (256, 391),
    (1001, 777),
    (90, 120),
    (30, 400),
    (640, 41),
)
LIMIT = 1 / 255


def main() -> None:
    pictures = [picture(*size) for size in SIZES]
    seen: dict[str, tuple[float, list[str]]] = {}
    for text, transform, name in (*of_torchvision(), *of_timm()):
        if text not in seen:
            seen[text] = (difference(parse(text), transform, pictures), [])
        seen[text][1].append(name)
    for text, (worst, names) in sorted(seen.items(), key=lambda item: -len(item[1][1])):
        print(f"{worst:.1e}  {len(names):4} networks, such as {names[0]}: {text}")
    worst = max(difference for difference, _ in seen.values())
    networks = sum(len(names) for _, names in seen.values())
    print(f"{networks} networks, {len(seen)} settings, {len(SIZES)} pictures: {worst:.1e}")
    if worst > LIMIT:
        sys.exit(f"the preset differs by more than {LIMIT:.1e}")


def of_torchvision() -> Iterator[tuple[str, Transform, str]]:
    """Yield the preprocessing of every classifier's weights: as a text, and as it is there."""
    for name in torchvision.models.list_models(module=torchvision.models):
        for weights in torchvision.models.get_model_weights(name):
            how = weights.transforms()
            text = as_text(
                how.crop_size[0], how.resize_size[0], how.interpolation.value, how.mean, how.std
            )
            yield text, how, str(weights)


def of_timm() -> Iterator[tuple[str, Transform, str]]:
    """Yield the same for timm's networks that resize the shorter side and crop to the centre."""
    for name in timm.list_models(pretrained=True):
        config = timm.data.resolve_data_config(
            pretrained_cfg=timm.get_pretrained_cfg(name).to_dict()
        )
        height, width = config["input_size"][1:]
        if config["crop_mode"] != "center" or height != width or config["input_size"][0] != 3:
            continue
        resize = int(height / config["crop_pct"])
        text = as_text(height, resize, config["interpolation"], config["mean"], config["std"])
        yield text, timm.data.create_transform(**config), name


def as_text(size: int, resize: int, interpolation: str, mean: Any, std: Any) -> str:
    """Return a preprocessing as a text, without what is as in the preset or in proportion to it."""
    pairs = [] if size == 224 else [f"size={size}"]
    chosen = parse(",".join(["torchvision", *pairs]))
    if resize != (chosen.resize if pairs else 256):
        pairs.append(f"resize={resize}")
    if interpolation != "bilinear":
        pairs.append(f"interpolation={interpolation}")
    for name, values in (("mean", mean), ("std", std)):
        if tuple(values) != getattr(chosen, name):
            pairs.append(f"{name}={','.join(map(str, values))}")
    return ",".join(["torchvision", *pairs])


def difference(how: Preprocess, transform: Transform, pictures: list[Image.Image]) -> float:
    """Return the largest difference of values before they are normalised, from 0 to 1."""
    how = how if how.size else how.at((224, 224))
    std = np.array(how.std)[:, None, None]
    worst = 0.0
    for image in pictures:
        theirs = transform(image).numpy()
        ours = how.values(how.fit(np.asarray(image)))
        worst = max(worst, float(np.abs((ours - theirs) * std).max()))
    return worst


def picture(height: int, width: int) -> Image.Image:
    """Return a picture of smooth colours and noise."""
    rng = np.random.default_rng(height * width)
    coarse = Image.fromarray(rng.integers(0, 200, (5, 5, 3), np.uint8))
    pixels = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))
    return Image.fromarray(pixels + rng.integers(0, 56, pixels.shape, np.uint8))


if __name__ == "__main__":
    main()

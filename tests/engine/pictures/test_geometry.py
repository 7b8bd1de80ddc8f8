"""Resizing and cropping, against Pillow and torchvision's formulas, and what the network sees."""

import json
import math

import numpy as np
import pytest
from engine.nets import classifier
from PIL import Image, ImageOps

from onnxplain.engine import PRESETS, Preprocess
from onnxplain.engine.pictures import parse
from onnxplain.engine.pictures.inputs import prepare
from onnxplain.engine.pictures.network_input import Input
from onnxplain.graphops.errors import OptionError, PictureError

RNG = np.random.default_rng(0)
SIZES = [
    (300, 400),
    (400, 300),
    (257, 383),
    (383, 256),
    (100, 640),
    (640, 99),
    (224, 224),
    (50, 60),
]
RESAMPLING = {
    "nearest": Image.NEAREST,
    "bilinear": Image.BILINEAR,
    "bicubic": Image.BICUBIC,
    "lanczos": Image.LANCZOS,
}


def picture(height, width):
    noise = RNG.integers(0, 60, (height, width, 3))
    slope = np.add.outer(np.arange(height), np.arange(width))[:, :, None] * 195 // (height + width)
    return (noise + slope).astype(np.uint8)


def as_torchvision(pixels, size, resize, resampling):
    """Resize and centre crop by the rules of torchvision.transforms for Pillow images."""
    height, width = pixels.shape[:2]
    if height < width:
        new = (resize, math.floor(resize * width / height))
    else:
        new = (math.floor(resize * height / width), resize)
    image = Image.fromarray(pixels).resize(new[::-1], resampling)
    black = np.zeros((max(new[0], size[0]), max(new[1], size[1]), 3), np.uint8)
    top, left = (max(kept - n, 0) // 2 for n, kept in zip(new, size, strict=True))
    black[top : top + new[0], left : left + new[1]] = np.asarray(image)
    top, left = (round((n - kept) / 2) for n, kept in zip(black.shape, size, strict=False))
    return black[top : top + size[0], left : left + size[1]]


@pytest.mark.parametrize("shape", SIZES)
def test_torchvision_s_preset_is_torchvision_s(shape):
    pixels = picture(*shape)
    chosen = PRESETS["torchvision"].at((224, 224))
    seen = as_torchvision(pixels, (224, 224), 256, Image.BILINEAR)
    np.testing.assert_array_equal(chosen.fit(pixels), seen)
    expected = (seen / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    found = chosen.values(chosen.fit(pixels)).transpose(1, 2, 0)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("interpolation", list(RESAMPLING))
@pytest.mark.parametrize(("size", "resize"), [((299, 299), 342), ((224, 192), 232), ((96, 96), 64)])
def test_its_variants_are_torchvision_s(interpolation, size, resize):
    text = f"torchvision,size={size[0]}x{size[1]},resize={resize},interpolation={interpolation}"
    for shape in ((300, 401), (401, 300), (33, 60)):
        pixels = picture(*shape)
        expected = as_torchvision(pixels, size, resize, RESAMPLING[interpolation])
        np.testing.assert_array_equal(parse(text).fit(pixels), expected)


@pytest.mark.parametrize(
    ("text", "size", "expected"),
    [
        ("torchvision", (224, 224), ((224, 224), 256)),
        ("torchvision", (299, 299), ((299, 299), 342)),
        ("torchvision", None, ((224, 224), 256)),
        ("torchvision,resize=232", (224, 224), ((224, 224), 232)),
        ("torchvision,size=299", (299, 299), ((299, 299), 342)),
        ("torchvision,size=224x160", (224, 160), ((224, 160), 256)),
        ("torchvision,size=299,resize=320", (299, 299), ((299, 299), 320)),
        ("imagenet", (224, 224), ((224, 224), None)),
        ("imagenet", None, (None, None)),
    ],
)
def test_the_size_is_the_network_s_and_resize_in_proportion(text, size, expected):
    chosen = parse(text)
    chosen = chosen if chosen.size else chosen.at(size)
    assert (chosen.size, chosen.resize) == expected


def test_the_network_s_size_is_taken_by_prepare():
    target = Input("x", (None, 3, 299, 299), np.dtype(np.float32))
    prepared = prepare(classifier(), picture(300, 400), "torchvision", target)
    assert (prepared.preprocess.size, prepared.preprocess.resize) == ((299, 299), 342)
    free = prepare(classifier(), picture(300, 400), "torchvision")
    assert free.rows[0].shape == (3, 224, 224)


@pytest.mark.parametrize("name", [name for name in PRESETS if name != "torchvision"])
@pytest.mark.parametrize("shape", SIZES)
def test_the_other_presets_fit_bilinearly_to_what_covers_the_size(name, shape):
    pixels, chosen = picture(*shape), PRESETS[name].at((120, 90))
    image = Image.fromarray(pixels)
    if chosen.color == "GRAY":
        image = image.convert("L").convert("RGB")
    if chosen.crop == "center":
        expected = ImageOps.fit(image, (90, 120), Image.BILINEAR)
    else:
        expected = image.resize((90, 120), Image.BILINEAR)
    np.testing.assert_array_equal(chosen.fit(pixels), np.asarray(expected))


@pytest.mark.parametrize(
    "text", ["unit", "imagenet", "torchvision", "torchvision,resize=300,interpolation=bicubic"]
)
@pytest.mark.parametrize("shape", [(300, 400), (512, 300)])
def test_the_box_is_the_part_of_the_picture_that_is_seen(text, shape):
    """A picture whose values are its own coordinates says where each pixel of the input is from."""
    rows, columns = np.meshgrid(*map(np.arange, shape), indexing="ij")
    pixels = np.stack([rows * 255 / shape[0], columns * 255 / shape[1], rows * 0], axis=2)
    chosen = parse(text).at((224, 160))
    top, left, bottom, right = chosen.seen_box(*shape)
    seen = chosen.fit(np.rint(pixels).astype(np.uint8)).astype(float)
    for axis, (start, end) in enumerate([(top, bottom), (left, right)]):
        count, length = (224, 160)[axis], shape[axis]
        centres = start + (np.arange(count) + 0.5) * (end - start) / count - 0.5
        found = seen[:, :, axis].mean(axis=1 - axis) * length / 255
        inner = slice(3, -3)  # at the border the filter has less of the picture
        np.testing.assert_allclose(found[inner], centres[inner], atol=2)


def test_the_box_is_outside_where_the_input_has_a_border():
    chosen = Preprocess(size=(100, 100), resize=80, crop="center")
    assert chosen.seen_box(40, 80) == (-5.0, 15.0, 45.0, 65.0)
    seen = chosen.fit(np.full((40, 80, 3), 9, np.uint8))
    assert (seen[10:90] == 9).all()
    assert not seen[:10].any() and not seen[90:].any()


def test_without_a_size_the_whole_picture_is_seen():
    assert PRESETS["imagenet"].seen_box(30, 40) == (0, 0, 30, 40)


def test_new_fields_are_stored_where_they_are_not_the_default():
    chosen = parse("torchvision,interpolation=bicubic")
    stored = json.loads(chosen.to_json())
    assert (stored["resize"], stored["interpolation"]) == (256, "bicubic")
    assert Preprocess.from_json(chosen.to_json()) == chosen
    for name in ("resize", "interpolation"):
        assert name not in json.loads(PRESETS["imagenet"].to_json())


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"resize": 256}, "crop=center"),
        ({"resize": 0, "crop": "center"}, "resize is 0"),
        ({"resize": 10**6, "crop": "center"}, "resize is 1000000"),
        ({"resize": 1.5, "crop": "center"}, "resize is 1.5"),
        ({"interpolation": "cubic"}, "no interpolation 'cubic'.*bicubic"),
    ],
)
def test_wrong_values_are_refused(wrong, named):
    with pytest.raises(OptionError, match=named):
        Preprocess(**wrong)


@pytest.mark.parametrize("text", ["torchvision,resize=a", "torchvision,interpolation=area"])
def test_wrong_texts_are_refused(text):
    with pytest.raises(OptionError, match=r"resize=256|bilinear"):
        parse(text)


def test_a_very_long_picture_is_refused_before_it_is_enlarged():
    with pytest.raises(PictureError, match="cut it to a part"):
        PRESETS["torchvision"].at((224, 224)).fit(np.zeros((1, 400_000, 3), np.uint8))

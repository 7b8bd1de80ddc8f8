"""Preprocessing, against values computed by hand."""

import json
import time

import numpy as np
import pytest
from artefacts import network

from onnxplain.engine import PRESETS, Preprocess
from onnxplain.engine.pictures.inputs import prepare
from onnxplain.engine.pictures.presets import parse
from onnxplain.graphops.errors import OptionError

PIXEL = (255, 51, 0)  # red, green, blue: 1, 0.2 and 0 of the full scale
PICTURE = np.full((1, 1, 3), PIXEL, np.uint8)


def values(name):
    chosen = PRESETS[name]
    return chosen.values(chosen.fit(PICTURE))[:, 0, 0]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("imagenet", [(1 - 0.485) / 0.229, (0.2 - 0.456) / 0.224, (0 - 0.406) / 0.225]),
        ("torchvision", [(1 - 0.485) / 0.229, (0.2 - 0.456) / 0.224, (0 - 0.406) / 0.225]),
        ("unit", [1, 0.2, 0]),
        ("signed", [1, -0.6, -1]),
        ("raw", [255, 51, 0]),
        ("raw_bgr", [0, 51, 255]),
        ("caffe", [0 - 103.939, 51 - 116.779, 255 - 123.68]),
        ("gray", [106 / 255]),  # 0.299 * 255 + 0.587 * 51 = 106.2
        ("gray_raw", [106]),
    ],
)
def test_presets(name, expected):
    np.testing.assert_allclose(values(name), expected, rtol=1e-5, atol=1e-6)


def test_every_preset_is_tested_and_survives_json():
    assert set(PRESETS) == {
        "imagenet", "torchvision", "unit", "signed", "raw", "raw_bgr", "caffe", "gray", "gray_raw",
    }  # fmt: skip
    for chosen in PRESETS.values():
        assert Preprocess.from_json(chosen.to_json()) == chosen


def test_json_keys_are_those_agreed_on():
    found = json.loads(Preprocess(size=(4, 6)).to_json())
    assert set(found) == {"size", "crop", "color", "mean", "std", "scale"}
    assert found["size"] == [4, 6]


def test_center_crop_keeps_the_aspect_ratio_and_the_middle():
    picture = np.zeros((4, 8, 3), np.uint8)
    picture[:, 2:6] = 200  # the middle square is bright, the sides are dark
    assert (Preprocess(size=(4, 4), crop="center").fit(picture) == 200).all()
    stretched = Preprocess(size=(4, 4)).fit(picture)
    assert stretched.shape == (4, 4, 3)
    assert stretched[:, 0].max() < 100


def test_size_is_height_then_width():
    assert Preprocess(size=(5, 9)).fit(np.zeros((20, 20, 3), np.uint8)).shape == (5, 9, 3)


def test_without_a_size_the_picture_keeps_its_own():
    assert Preprocess().fit(np.zeros((3, 7, 3), np.uint8)).shape == (3, 7, 3)


def test_grey_is_drawn_as_the_network_sees_it():
    fitted = PRESETS["gray"].fit(PICTURE)
    assert fitted.tolist() == [[[106, 106, 106]]]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"size": (0, 5)}, "size"),
        ({"size": 224}, "size"),
        ({"size": (True, 5)}, "size"),
        ({"color": "CMYK"}, "CMYK"),
        ({"crop": "left"}, "left"),
        ({"std": (0.0,)}, "std"),
        ({"mean": (1.0, 2.0)}, "2 values for 3 channels"),
        ({"mean": ("a",)}, "mean"),
        ({"scale": float("nan")}, "scale"),
    ],
)
def test_wrong_values_are_refused_by_name(wrong, named):
    with pytest.raises(OptionError, match=named):
        Preprocess(**wrong)


@pytest.mark.parametrize("text", ["{", "[]", '{"size": null}', "null"])
def test_json_of_another_form_is_refused(text):
    with pytest.raises(OptionError, match="JSON"):
        Preprocess.from_json(text)


def test_a_text_says_it_wherever_a_preprocessing_is_given():
    wanted = Preprocess(color="BGR", size=(9, 8), mean=(1.0, 2.0, 3.0), crop="center")
    assert parse("raw_bgr,size=9x8,mean=1,2,3,crop=center") == wanted
    model = network("""
    <ir_version: 8, opset_import: ["": 17]>
    net (float[N, 3, H, W] x) => (float[N, 3, H, W] y) { y = Relu (x) }
    """)
    picture = np.zeros((30, 20, 3), np.uint8)
    prepared = prepare(model, picture, "raw_bgr,size=9x8")
    assert prepared.rows[0].shape == (3, 9, 8)
    with pytest.raises(OptionError, match="no preprocessing key 'sizes'"):
        prepare(model, picture, "raw_bgr,sizes=9x8")


def test_a_long_text_is_refused_at_once():
    """Splitting a run of commas takes the square of its length, and holds the interpreter."""
    start = time.monotonic()
    with pytest.raises(OptionError, match="1,000,000 characters"):
        parse("," * 1_000_000)
    with pytest.raises(OptionError):
        parse("raw" + "," * 900)
    assert time.monotonic() - start < 1


def test_unknown_preset_names_the_nearest():
    with pytest.raises(OptionError, match="'imagenet'"):
        parse("imagnet")

"""Arguments of a wrong type or value: an error names the argument, and none comes from inside."""

import inspect

import numpy as np
import pytest
import torch
from artefacts import network
from engine.viewed import NET, UNIT
from PIL import Image

import onnxplain.engine
from onnxplain.engine import METHODS, Engine, Preprocess, explain, read_picture
from onnxplain.engine.methods import method_options
from onnxplain.graphops.errors import (
    ChannelError,
    InputError,
    MissingFile,
    OnnxplainError,
    OptionError,
    PictureError,
    UnknownLayer,
)

MODEL = network(NET)
PICTURE = np.random.default_rng(0).integers(0, 256, (24, 20, 3), np.uint8)
VIEWS = ("explain", "maps", "top", "training", "invariance", "occlusion", "slide", "evaluate")
RIGHT = {
    "model": MODEL,
    "checkpoints": [MODEL],
    "images": PICTURE,
    "picture": PICTURE,
    "pictures": [PICTURE],
    "methods": ["gradient"],
    "layers": ["s"],
}
NOTHING_TAKES = (object(), 1.5 + 2j, {"a": 1}, [[1, 2], [3]], [object()])
WRONG = {
    "model": (None, 5, torch.nn.Linear(1, 1), ["net.onnx"], PICTURE),
    "checkpoints": (None, 5, "net.onnx", [None]),
    "images": (None, 5, [None], [5], [[PICTURE]]),
    "picture": (None, 5, [PICTURE]),
    "pictures": (None, 5, [None]),
    "layer": (5, b"s", ["s"]),
    "layers": (None, 5, [5]),
    "method": (None, 7, [7], b"gradient"),
    "methods": (7, [None], [7]),
    "units": (1.5, "some", [1.5], ["a"], b"top:1"),
    "channels": (1.5, "some", [1.5]),
    "channel": ("a", 1.5, [1]),
    "class_index": ("cat", 1.5, [1]),
    "count": ("a", 1.5, None),
    "window": ("a", 1.5),
    "stride": ("a", 1.5),
    "size": (5, "a", ("a", "b"), (1,), (0, 0)),
    "masks": (5, "mask.png", [None]),
    "randomize": ("a", None, 1.5),
    "labels": (5, [5], b"labels.txt", {"cat": 1}),
    "names": (5, "a", [5]),
    "preprocess": (3, ["unit"], b"unit"),
    "bands": ("a", [1.5]),
    "position": (1.5, "here", (1.5, 2), b"max"),
    "region": (5, [None]),
    "seed_value": (5, "two"),
    "negate": ("yes", 2),
    "to": (5, b"x"),
    "inputs": (5, [1]),
    "unpool": (5, "magic"),
    "channel_axis": ("a", 1.5),
    "timeout": ("a", [1]),
    "cancel": (5, True),
    "progress": (5, "a"),
    "passes": (5, "a"),
    "device": (None, 5, "gpu"),
    "cache_bytes": ("a", None),
    "memory_bytes": ("a", None),
    "threads": ("a", None, 1.5),
}
REFUSED = (TypeError, OnnxplainError)


@pytest.fixture(scope="module")
def engine():
    return Engine("cpu")


def signature(view):
    return inspect.signature(getattr(onnxplain.engine, view))


def required(view):
    parameters = signature(view).parameters.values()
    return {p.name: RIGHT[p.name] for p in parameters if p.default is p.empty}


CASES = [
    (view, name)
    for view in VIEWS
    for name in signature(view).parameters
    if name not in method_options() or view not in ("explain", "maps")
]


@pytest.mark.parametrize(("view", "name"), CASES)
def test_a_wrong_argument_of_a_view(engine, view, name):
    """The error's text has the argument's name, or its word where that is a list of its kind."""
    types = () if name in ("progress", "passes") else (int,)  # a type can be called
    for value in (*WRONG[name], *NOTHING_TAKES, *types):
        given = {**required(view), "preprocess": UNIT, name: value}
        with pytest.raises(REFUSED) as caught:
            getattr(engine, view)(**given)
        if isinstance(caught.value, TypeError):
            assert f"{name} " in str(caught.value), (value, caught.value)
            assert " not " in str(caught.value)


@pytest.mark.parametrize("name", sorted(method_options()))
def test_a_wrong_option_of_a_method(engine, name):
    method = next(m for m in METHODS.values() if name in {option.name for option in m.takes})
    for value in ("wrong", object(), {"a": 1}, [object()]):
        with pytest.raises(REFUSED):
            engine.explain(MODEL, PICTURE, "s", method, 1, preprocess=UNIT, **{name: value})


@pytest.mark.parametrize("name", ["device", "cache_bytes", "memory_bytes", "threads"])
def test_a_wrong_argument_of_the_engine(name):
    for value in (*WRONG[name], *NOTHING_TAKES):
        with pytest.raises(REFUSED, match=name):
            Engine(**{"device": "cpu", name: value})


@pytest.mark.parametrize(
    ("source", "error", "says"),
    [
        (None, TypeError, "the picture must be a path.*not None"),
        (5, TypeError, r"a NumPy array, not 5 \(int\)"),
        ([PICTURE], TypeError, "the picture must be a path"),
        ("nothing.png", MissingFile, "nothing.png"),
        (np.zeros((4, 4)), PictureError, "float64"),
    ],
)
def test_a_wrong_picture(source, error, says):
    with pytest.raises(error, match=says):
        read_picture(source)


def test_a_preprocessing_of_wrong_values():
    for wrong in ({"size": 5}, {"color": 5}, {"mean": "a"}, {"std": None}, {"scale": "a"}):
        with pytest.raises(OptionError):
            Preprocess(**wrong)


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"model": torch.nn.Linear(1, 1)}, TypeError, "export a network of another framework"),
        ({"model": "nothing.onnx"}, MissingFile, "nothing.onnx"),
        ({"model": ""}, InputError, "''"),
        ({"images": []}, PictureError, "at least one"),
        (
            {"images": [[1, 2], [3, 4]]},
            TypeError,
            "NumPy array.*not \\[\\[1, 2\\], \\[3, 4\\]\\] .list",
        ),
        ({"layer": "nothing"}, UnknownLayer, "'nothing'"),
        ({"method": 7}, TypeError, "method must be the name of a method"),
        ({"labels": "nothing.txt"}, MissingFile, "'imagenet' or a list of names"),
        ({"units": 99}, ChannelError, "0 to 3"),
        ({"units": True}, OptionError, "True"),
        ({"preprocess": 3}, TypeError, "preprocess must be a Preprocess"),
    ],
)
def test_what_is_expected_is_said(arguments, error, says):
    with pytest.raises(error, match=says):
        explain(**{"model": MODEL, "images": PICTURE, "preprocess": UNIT, **arguments})


def test_no_value_is_shown_at_full_length():
    with pytest.raises(TypeError) as caught:
        explain(MODEL, [["a" * 10**6]])
    assert len(str(caught.value)) < 300


def test_arrays_of_other_libraries_are_taken(engine):
    """PyTorch's as NumPy's: uint8 [H, W, 3] is a picture, floats are the network's input."""
    choices = {"layer": "s", "method": "gradient", "units": 1}
    expected = engine.explain(MODEL, PICTURE, preprocess=UNIT, **choices).attribution
    given = engine.explain(MODEL, torch.tensor(PICTURE), preprocess=UNIT, **choices)
    np.testing.assert_array_equal(given.attribution, expected)
    listed = engine.explain(MODEL, [torch.tensor(PICTURE)], preprocess=UNIT, **choices)
    np.testing.assert_array_equal(listed.attribution, expected)
    values = torch.tensor(PICTURE).permute(2, 0, 1)[None].float() / 255
    np.testing.assert_array_equal(engine.explain(MODEL, values, **choices).attribution, expected)
    with pytest.raises(TypeError, match=r"a Tensor cannot be read as a NumPy array.*detach"):
        engine.explain(MODEL, values.requires_grad_(), **choices)


def test_pictures_of_every_kind_are_one(engine, tmp_path):
    path = tmp_path / "picture.png"
    Image.fromarray(PICTURE).save(path)
    sources = (path, str(path), path.read_bytes(), Image.open(path), PICTURE, iter([path]))
    found = [engine.explain(MODEL, one, preprocess=UNIT).attribution for one in sources]
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])

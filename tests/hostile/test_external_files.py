"""Values in other files: only a regular file of the model's own folder is opened."""

import os

import numpy as np
import pytest
from hostile.hidden_tensors import WEIGHT, network, outside
from onnx import numpy_helper

from onnxplain.graphops import load
from onnxplain.graphops.errors import CorruptModel, MissingFile, UnsafeModel


@pytest.fixture
def folder(tmp_path):
    """Return the folder of a model, beside which lies what is not its own."""
    (tmp_path / "secret.data").write_bytes(WEIGHT.tobytes())
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "net.data").write_bytes(WEIGHT.tobytes())
    return folder


def loaded(folder, location, **places):
    tensor = outside(location)
    for key, value in places.items():
        tensor.external_data.add(key=key, value=value)
    (folder / "net.onnx").write_bytes(network(tensor).SerializeToString())
    return load(folder / "net.onnx")


def symbolic(folder):
    (folder / "link.data").symlink_to(folder / "net.data")
    return "link.data"


def symbolic_to_a_secret(folder):
    (folder / "link.data").symlink_to(folder.parent / "secret.data")
    return "link.data"


def a_folder_behind_a_link(folder):
    (folder / "link").symlink_to(folder.parent)
    return "link/secret.data"


def hard(folder):
    os.link(folder.parent / "secret.data", folder / "link.data")
    return "link.data"


def a_pipe(folder):
    os.mkfifo(folder / "pipe")
    return "pipe"


def a_folder(folder):
    (folder / "values").mkdir()
    return "values"


@pytest.mark.parametrize(
    "place",
    [
        symbolic,
        symbolic_to_a_secret,
        a_folder_behind_a_link,
        hard,
        a_pipe,
        a_folder,
        lambda folder: "../secret.data",
        lambda folder: str(folder.parent / "secret.data"),
        lambda folder: "/dev/zero",
        lambda folder: "/proc/self/environ",
        lambda folder: "",
        lambda folder: "n" * 5000,
    ],
)
def test_what_is_no_file_of_the_model(folder, place):
    with pytest.raises(UnsafeModel, match="tensor 'w' of .*net.onnx' is stored") as caught:
        loaded(folder, place(folder))
    assert str(folder.parent / "secret") not in str(caught.value)


@pytest.mark.parametrize(
    "places",
    [
        {"offset": "-1"},
        {"offset": "8"},
        {"offset": "100"},
        {"offset": "x"},
        {"length": "-1"},
        {"length": "1000000000000"},
        {"length": "8"},
        {"offset": "0", "length": "0"},
    ],
)
def test_a_place_that_is_not_in_the_file(folder, places):
    with pytest.raises(CorruptModel, match="net.onnx"):
        loaded(folder, "net.data", **places)


def test_a_missing_file(folder):
    with pytest.raises(MissingFile, match="stored in 'other.data', which is missing"):
        loaded(folder, "other.data")


def test_no_more_than_the_tensor_is_read(folder):
    """A file may hold the values of several tensors, and the last entry may name no length."""
    (folder / "net.data").write_bytes(bytes(8) + WEIGHT.tobytes() + bytes(1000))
    tensor = loaded(folder, "net.data", offset="8").graph.initializer[0]
    np.testing.assert_array_equal(numpy_helper.to_array(tensor), WEIGHT)

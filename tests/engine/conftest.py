"""A small network in a file, and pictures that it takes, for the tests of views."""

import numpy as np
import onnx
import pytest
from artefacts import network
from engine.viewed import NET
from PIL import Image


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("views") / "net.onnx"
    onnx.save(network(NET), path)
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    paths = []
    for i in range(4):
        path = folder / f"picture_{i}.png"
        Image.fromarray(rng.integers(0, 256, (24, 20, 3), np.uint8)).save(path)
        paths.append(path)
    return paths

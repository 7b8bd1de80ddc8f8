"""Of a file of several pages the first is shown, and every view says so."""

import numpy as np
import pytest
from engine.viewed import UNIT, pixels
from PIL import Image

from onnxplain.engine import Engine


@pytest.fixture(scope="module")
def engine():
    return Engine("cpu")


@pytest.fixture
def scan(tmp_path, pictures):
    pages = [Image.fromarray(pixels(path)) for path in pictures[:2]]
    path = tmp_path / "scan.tif"
    pages[0].save(path, save_all=True, append_images=pages[1:])
    return path


@pytest.mark.parametrize("view", ["explain", "occlusion", "invariance", "slide", "training"])
def test_the_first_page_is_shown_and_told(engine, model, pictures, scan, view):
    given = {
        "explain": {},
        "occlusion": {"window": 12},
        "invariance": {"layers": ["s"]},
        "slide": {},
        "training": {"layer": "s"},
    }[view]
    source = [model] if view == "training" else model
    found = getattr(engine, view)(source, scan, preprocess=UNIT, **given)
    (note,) = [note for note in found.notes if "pages" in note]
    assert "has 2 pages, and the first is read" in note and "scan.tif" in note
    first = getattr(engine, view)(source, pictures[0], preprocess=UNIT, **given)
    assert not any("pages" in note for note in first.notes)
    np.testing.assert_array_equal(found.to_numpy(), first.to_numpy())


def test_top_names_them_in_one_note(engine, model, pictures, scan):
    asked = [scan, *pictures[2:4], scan.read_bytes()]
    found = engine.top(model, asked, "s", [2], preprocess=UNIT)
    (note,) = [note for note in found.notes if "pages" in note]
    assert note == "of files of several pages, the first page is searched: scan.tif, picture 3"
    assert found.skipped == ()

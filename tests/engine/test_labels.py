"""The names of classes: a list, a file, or the set of ImageNet that comes with the package."""

import numpy as np
import pytest
from artefacts import network
from engine.viewed import NET, UNIT

from onnxplain.engine import Engine
from onnxplain.engine.labels import read_labels
from onnxplain.graphops.errors import InputError, MissingFile, OptionError

MODEL = network(NET)  # of four classes
PICTURE = np.random.default_rng(0).integers(0, 256, (24, 20, 3), np.uint8)
NAMES = ["ant", "bee", "cat", "dog"]


@pytest.fixture(scope="module")
def engine():
    return Engine("cpu")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_text("\n".join(NAMES) + "\n")
    return path


def test_imagenet_has_a_thousand_names():
    """The indices are those of ILSVRC 2012, as every tutorial has them."""
    names = read_labels("imagenet")
    assert len(names) == len(set(names)) == 1000
    assert all(name and name == name.strip() for name in names)
    known = {0: "tench", 1: "goldfish", 207: "golden retriever", 281: "tabby", 285: "Egyptian cat"}
    known |= {
        340: "zebra",
        388: "giant panda",
        817: "sports car",
        954: "banana",
        999: "toilet tissue",
    }
    assert {index: names[index] for index in known} == known


def test_a_list_a_file_and_its_text_are_one(engine, file):
    for labels in (NAMES, tuple(NAMES), np.array(NAMES), file, str(file)):
        assert read_labels(labels) == tuple(NAMES)
        assert engine.explain(MODEL, PICTURE, preprocess=UNIT, labels=labels).labels == tuple(NAMES)


def test_every_view_takes_a_file(engine, file):
    for found in (
        engine.occlusion(MODEL, PICTURE, window=12, preprocess=UNIT, labels=file),
        engine.invariance(MODEL, PICTURE, ["s"], preprocess=UNIT, labels=file),
        engine.slide(MODEL, PICTURE, preprocess=UNIT, labels=file),
    ):
        assert found.label in NAMES
    for found in (
        engine.top(MODEL, [PICTURE], preprocess=UNIT, labels=file),
        engine.training([MODEL], PICTURE, preprocess=UNIT, labels=file).explanations[0],
        engine.explain(MODEL, PICTURE, method=["gradient"], labels=file)["gradient"],
    ):
        assert found.labels == tuple(NAMES)


def test_numbered_labels_may_have_gaps(tmp_path):
    file = tmp_path / "labels.txt"
    file.write_text("2, cat\n0,ant\n")
    assert read_labels(file) == ("ant", "", "cat")


def test_wrong_labels(tmp_path):
    file = tmp_path / "labels.txt"
    with pytest.raises(MissingFile, match=r"labels.txt'.*'imagenet' or a list"):
        read_labels(file)
    file.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(InputError, match="UTF-8"):
        read_labels(file)
    file.write_text("\n \n")
    with pytest.raises(InputError, match="empty"):
        read_labels(file)
    for wrong in (5, [5], b"cat", {"cat": 0}):
        with pytest.raises(TypeError, match="labels must be a list of names, a path"):
            read_labels(wrong)


def test_the_number_of_names_is_compared_with_the_classes(engine):
    for view in (engine.explain, engine.slide):
        short = view(MODEL, PICTURE, preprocess=UNIT, labels=NAMES[:2])
        assert any("2 labels for 4 classes" in note for note in short.notes)
        assert not any(
            "labels for" in note
            for note in view(MODEL, PICTURE, preprocess=UNIT, labels=NAMES).notes
        )
        with pytest.raises(OptionError, match="1000 labels for 4 classes: give the names of this"):
            view(MODEL, PICTURE, preprocess=UNIT, labels="imagenet")
    # Those of another layer are no classes.
    assert engine.explain(MODEL, PICTURE, "s", preprocess=UNIT, labels="imagenet").labels == ()


def test_a_wrong_file_is_told_before_the_work(engine):
    steps = []
    with pytest.raises(MissingFile, match="nothing.txt"):
        engine.explain(
            MODEL, PICTURE, labels="nothing.txt", progress=lambda *step: steps.append(step)
        )
    assert not steps

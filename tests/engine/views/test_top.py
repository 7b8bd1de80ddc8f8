"""The strongest pictures of channels, against the layer's values for each picture."""

import os

import numpy as np
import onnx
import pytest
from engine.viewed import UNIT, pixels, values
from onnx import numpy_helper

from onnxplain.engine import Engine
from onnxplain.engine.views import top_search
from onnxplain.graphops.errors import ChannelError, MissingFile, OptionError, PictureError


@pytest.fixture(scope="module")
def engine():
    return Engine("cpu")


def test_the_strongest_pictures(engine, model, pictures):
    found = engine.top(model, pictures, "s", [4, 1], 3, preprocess=UNIT)
    assert [[one.channel for one in row] for row in found.rows] == [[4] * 3, [1] * 3]
    for row, channel in zip(found.rows, (4, 1), strict=True):
        maps = [values(model, "s", pixels(path))[channel] for path in pictures]
        order = np.argsort([-m.max() for m in maps], kind="stable")[:3]
        assert [one.picture for one in row] == list(order)
        assert [one.name for one in row] == [pictures[i].name for i in order]
        for one, i in zip(row, order, strict=True):
            assert one.score == pytest.approx(maps[i].max(), rel=1e-4)
            assert maps[i][one.position] == maps[i].max()
            # A unit of `s` sees 3 windows of 2 pixels, each of which sees one pixel around it.
            top, left = (2 * p - 1 for p in one.position)
            box = max(top, 0), max(left, 0), min(top + 8, 24), min(left + 8, 20)
            assert one.box == box
            np.testing.assert_array_equal(
                one.patch, pixels(pictures[one.picture])[box[0] : box[2], box[1] : box[3]]
            )
            whole = engine.explain(
                model, pictures[one.picture], "s", units=[channel], preprocess=UNIT
            ).attribution[0, 0]
            outside = whole.copy()
            outside[:, box[0] : box[2], box[1] : box[3]] = 0
            assert not outside.any()  # the patch has all of it
            np.testing.assert_array_equal(
                one.projection, whole[:, box[0] : box[2], box[1] : box[3]]
            )
    arrays = found.arrays()
    assert arrays["score"].shape == arrays["picture"].shape == (2, 3)
    np.testing.assert_array_equal(arrays["patch.1.2"], found.rows[1][2].patch)


def test_the_strongest_pictures_of_classes(engine, model, pictures):
    """Class scores have no positions; the patch is then the whole picture."""
    found = engine.top(model, pictures, None, [1], 2, "gradient", preprocess=UNIT)
    scores = [values(model, "y", pixels(path))[1] for path in pictures]
    assert [one.picture for one in found.rows[0]] == np.argsort(scores)[::-1][:2].tolist()
    for one in found.rows[0]:
        assert one.position == ()
        assert one.patch.shape == (24, 20, 3)


@pytest.mark.parametrize("method", ["activation", "grad_cam", "activation_maximisation"])
def test_what_is_no_projection_cannot_show_what_excites(engine, model, pictures, method):
    with pytest.raises(OptionError, match=f"'{method}' does not carry"):
        engine.top(model, pictures, "s", [1], method=method, preprocess=UNIT)


def layer_maps(model, pictures):
    """The values of `e`, [pictures, channels, h, w]."""
    return np.stack([values(model, "e", pixels(path)) for path in pictures])


def standing_out(maps, count):
    """How far the maxima in the strongest pictures are from the mean, in standard deviations."""
    maxima = np.sort(maps.max(axis=(2, 3)), axis=0)[::-1]
    used = min(count, max(1, len(maps) // 2))
    deviation = maps.std(axis=(0, 2, 3))
    deviation[deviation == 0] = np.inf
    return (maxima[:used].mean(axis=0) - maps.mean(axis=(0, 2, 3))) / deviation


@pytest.mark.parametrize("count", [1, 9])
def test_the_channels_that_stand_out_most(engine, model, pictures, count):
    expected = np.argsort(-standing_out(layer_maps(model, pictures), count), kind="stable")
    assert list(expected) != sorted(expected)
    found = engine.top(model, pictures, "e", "top:4", count, preprocess=UNIT)
    assert [row[0].channel for row in found.rows] == expected[:4].tolist()
    every = engine.top(model, pictures, "e", count=count, preprocess=UNIT)
    assert [row[0].channel for row in every.rows] == expected.tolist()  # of six, not nine
    assert [len(row) for row in every.rows] == [min(count, 4)] * 6


def test_a_channel_does_not_stand_out_by_its_scale(engine, model, pictures, tmp_path):
    """Nor does one that is the same everywhere."""
    scaled, off = onnx.load(model), 1
    weights = next(i for i in scaled.graph.initializer if i.name == "v")
    array = numpy_helper.to_array(weights) * np.reshape([1e-3, 1, 1e3, 1, 1, 1], (6, 1, 1, 1))
    array[off] = 0
    weights.CopyFrom(numpy_helper.from_array(array.astype(np.float32), "v"))
    onnx.save(scaled, tmp_path / "scaled.onnx")
    before, after = (
        [row[0].channel for row in engine.top(path, pictures, "e", "top:6", preprocess=UNIT
        ).rows]
        for path in (model, tmp_path / "scaled.onnx")
    )  # fmt: skip
    assert after == [*(c for c in before if c != off), off]


def test_classes_are_ranked_by_their_scores(engine, model, pictures):
    """They share one scale."""
    scores = np.stack([values(model, "y", pixels(path)) for path in pictures])
    found = engine.top(model, pictures, channels="top:3", preprocess=UNIT)
    assert [row[0].channel for row in found.rows] == np.argsort(-scores.max(axis=0))[:3].tolist()


def test_all_channels(engine, model, pictures):
    found = engine.top(model, pictures, "e", "all", 1, preprocess=UNIT)
    assert [row[0].channel for row in found.rows] == [0, 1, 2, 3, 4, 5]
    strongest = layer_maps(model, pictures).max(axis=(2, 3)).argmax(axis=0)
    assert [row[0].picture for row in found.rows] == strongest.tolist()


@pytest.mark.parametrize(("most", "kept"), [(1, 2**20), (3, 2**20), (32, 0)])
def test_many_pictures_come_in_batches(engine, model, pictures, monkeypatch, most, kept):
    """Of equally strong pictures the first comes first, whatever the batches, and what is kept."""
    many = [*pictures, *pictures, *pictures[:1]]
    expected = engine.top(model, many, "e", "all", 5, preprocess=UNIT)
    monkeypatch.setattr(top_search, "BATCH", most)
    monkeypatch.setattr(top_search, "KEPT_BYTES", kept)
    found = engine.top(model, many, "e", "all", 5, preprocess=UNIT)
    assert found.arrays()["picture"].tolist() == expected.arrays()["picture"].tolist()
    for row in found.rows:
        numbers = [one.picture for one in row]
        assert numbers[0] < 4
        assert numbers[1] == numbers[0] + 4
        for one, other in zip(row[:2], row[1:2], strict=False):
            np.testing.assert_allclose(one.projection, other.projection, atol=1e-5)


def test_each_picture_is_explained_once(engine, model, pictures, monkeypatch):
    asked, steps = [], []
    original = Engine.explain_units

    def explain_units(self, model, images, layer, method, units, **choices):
        if method == "deconvnet":
            asked.append(units)
        return original(self, model, images, layer, method, units, **choices)

    monkeypatch.setattr(Engine, "explain_units", explain_units)
    found = engine.top(model, pictures, "s", "all", 2, preprocess=UNIT,
        progress=lambda *step: steps.append(step),
    )  # fmt: skip
    assert len(asked) == len({one.picture for row in found.rows for one in row}) <= 4
    assert sum(map(len, asked)) == 12
    assert {total for _, total in steps} == {8}


@pytest.fixture
def folder(tmp_path, pictures):
    """Pictures in subfolders, among files that are none."""
    top = tmp_path / "top"
    names = ("b.png", "a/z.PNG", "a/b/c.png", ".hidden/d.png", ".e.png")
    for name, path in zip(names, [*pictures, pictures[0]], strict=True):
        (top / name).parent.mkdir(exist_ok=True, parents=True)
        (top / name).write_bytes(path.read_bytes())
    (top / "bad.tif").write_bytes(b"II*\0 and no more")
    (top / "a" / "empty.jpg").write_bytes(b"")
    (top / "notes.txt").write_text("no picture")
    os.symlink(top / "nowhere.png", top / "broken.png")
    return top


@pytest.mark.parametrize("kind", [str, os.fspath, lambda path: path])
def test_a_folder_is_searched_with_its_subfolders(engine, model, pictures, folder, kind):
    found = engine.top(model, kind(folder), "s", [2], preprocess=UNIT)
    expected = engine.top(model, [pictures[i] for i in (2, 1, 0)], "s", [2], preprocess=UNIT,
        names=["a/b/c.png", "a/z.PNG", "b.png"],
    )  # fmt: skip
    assert [one.name for one in found.rows[0]] == [one.name for one in expected.rows[0]]
    assert [one.score for one in found.rows[0]] == [one.score for one in expected.rows[0]]
    assert found.skipped == ("a/empty.jpg", "bad.tif")
    assert found.notes[-1] == (
        "2 of 5 pictures could not be read and were skipped: a/empty.jpg, bad.tif"
    )
    assert found.arrays()["skipped"].tolist() == list(found.skipped)
    assert expected.skipped == ()
    assert not any("skipped" in note for note in expected.notes)


def test_files_and_bytes_that_cannot_be_read_are_skipped(engine, model, pictures):
    """Their indices stay taken; a note names the first ten."""
    last = pictures[0].read_bytes()
    given = [b"no picture", "nowhere.png", pictures[1], b"\x93NUMPY", *[b""] * 9, last]
    found = engine.top(model, given, "s", [1], preprocess=UNIT)
    assert sorted(one.picture for one in found.rows[0]) == [2, 13]
    assert len(found.skipped) == 12
    assert found.skipped[:2] == ("picture 0", "nowhere.png")
    assert found.notes[-1].startswith("12 of 14 pictures could not be read and were skipped: pict")
    assert found.notes[-1].endswith("picture 10 and 2 more")


def test_what_a_caller_gets_wrong(engine, model, pictures, tmp_path):
    def refused(error, match, pictures=pictures, channels=(1,), **choices):
        with pytest.raises(error, match=match):
            engine.top(model, pictures, "s", channels, preprocess=UNIT, **choices)

    refused(OptionError, "no pictures to search", [])
    refused(OptionError, "count of 0", count=0)
    refused(OptionError, "no units to explain", channels=())
    refused(OptionError, "no units 'whole'", channels="whole")
    refused(OptionError, "no units 'best'", channels="best")
    refused(ChannelError, "no channel 6 in layer 's'", channels=[6])
    refused(ChannelError, "'top:7' are more than the 6", channels="top:7")
    refused(OptionError, "does not carry", method="grad_cam")
    refused(PictureError, "none of the 2 pictures can be read; picture 0 is not", [b"a", b"b"])
    refused(PictureError, "uint8", [np.zeros((4, 4, 3), np.float64)])  # no file: not skipped
    refused(MissingFile, "no folder", tmp_path / "nowhere")
    refused(MissingFile, "no pictures in", tmp_path)


def test_parts_do_not_keep_whole_pictures(engine, model, pictures):
    found = engine.top(model, pictures, "s", "all", preprocess=UNIT)
    for one in (one for row in found.rows for one in row):
        assert one.patch.base is None
        assert one.projection.base is None


def test_a_frame_has_the_place_of_the_unit_in_its_middle(engine, model, pictures):
    """It is as large for all units; what lies outside the picture is not in the box."""
    found = engine.top(model, pictures, "s", "all", preprocess=UNIT)
    for one in (one for row in found.rows for one in row):
        top, left, bottom, right = one.frame
        assert (bottom - top, right - left) == (8, 8)
        assert [top, left] == [2 * p - 1 for p in one.position]
        clipped = max(top, 0), max(left, 0), min(bottom, 24), min(right, 20)
        assert one.box == clipped
    whole = engine.top(model, pictures, "y", [1], preprocess=UNIT)
    assert whole.rows[0][0].frame == whole.rows[0][0].box == (0, 0, 24, 20)

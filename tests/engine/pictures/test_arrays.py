"""Arrays of network inputs, in Python and in .npy and .npz files."""

import io
import re

import numpy as np
import onnx
import pytest
from engine.nets import classifier, pictures

from onnxplain.engine.pictures.inputs import prepare
from onnxplain.engine.pictures.network_input import required_inputs
from onnxplain.graphops.errors import MissingFile, OptionError, PictureError

RNG = np.random.default_rng(0)


def takes(shape, kind="float"):
    return onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["": 17]> net ({kind}[{shape}] x) => (float[K] y) '
        "{ c = Cast <to = 1> (x)  y = Flatten (c) }"
    )


def saved(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize(
    ("shape", "image"),
    [
        ("N, 3, H, W", (3, 5, 4)),
        ("N, 2, L", (2, 9)),
        ("N, 1, D, H, W", (1, 4, 3, 2)),
        ("N, 7", (7,)),
    ],
)
def test_one_image_or_several_in_an_array_or_a_file(shape, image, tmp_path):
    model, batch = takes(shape), RNG.standard_normal((2, *image)).astype(np.float32)
    np.save(tmp_path / "batch.npy", batch)
    np.savez(tmp_path / "batch.npz", anything=batch)
    for source in (batch, tmp_path / "batch.npy", str(tmp_path / "batch.npz"), saved(batch),
                   list(batch), [batch[:1], batch[1]], batch[None]):  # fmt: skip
        prepared = prepare(model, source)
        np.testing.assert_array_equal(np.stack(prepared.rows), batch)
        assert prepared.pictures == prepared.notes == ()
    np.save(tmp_path / "one.npy", batch[1])
    for source in (batch[1], tmp_path / "one.npy", batch[1:]):
        (row,) = prepare(model, source).rows
        np.testing.assert_array_equal(row, batch[1])
    assert prepare(model, tmp_path / "batch.npy").names == ("batch.npy[0]", "batch.npy[1]")
    assert prepare(model, [tmp_path / "one.npy"] * 2).names == ("one.npy", "one.npy")
    assert prepare(model, batch).names == ()


def test_images_of_files_may_differ_in_length(tmp_path):
    for length in (5, 8):
        np.save(tmp_path / f"{length}.npy", RNG.random((2, length)))
    rows = prepare(takes("N, 2, L"), [tmp_path / "5.npy", tmp_path / "8.npy"]).rows
    assert [row.shape for row in rows] == [(2, 5), (2, 8)]


def test_integers_are_values_but_bytes_are_a_picture_where_one_fits():
    values = RNG.integers(-900, 900, (1, 4, 3, 2)).astype(np.int16)
    (row,) = prepare(takes("N, 1, D, H, W"), values).rows
    np.testing.assert_array_equal(row, values.astype(np.float32))
    (row,) = prepare(takes("N, 1, D, H, W", "uint8"), values).rows
    np.testing.assert_array_equal(row, np.clip(values, 0, 255))
    (row,) = prepare(takes("N, 2, L"), np.full((2, 5), 7, np.uint8)).rows
    assert row.dtype == np.float32
    (picture,) = pictures(1)
    for source in (picture, saved(picture)):
        prepared = prepare(classifier(), source, "unit")
        np.testing.assert_array_equal(prepared.pictures[0], picture)


@pytest.mark.parametrize(
    ("source", "error", "match"),
    [
        (np.zeros((2, 3, 5)), PictureError, r"\[N, 2, L\]"),
        (np.zeros((1, 1, 1, 2, 5, 5)), PictureError, r"\[N, 2, L\]"),
        (np.zeros((0, 2, 5)), PictureError, r"\[N, 2, L\]"),
        (np.array([["a"] * 5] * 2), PictureError, "give floats or integers"),
        (saved(np.zeros((2, 5)))[:90], PictureError, "cannot|can be read"),
        (b"PK\x03\x04 no zip", PictureError, "can be read"),
        ("missing.npy", MissingFile, "no file 'missing.npy'"),
    ],
)
def test_arrays_that_are_no_input_are_refused(source, error, match):
    with pytest.raises(error, match=match):
        prepare(takes("N, 2, L"), source)


def test_pickled_objects_are_not_loaded(tmp_path):
    np.save(tmp_path / "objects.npy", np.array([{}, []], dtype=object), allow_pickle=True)
    with pytest.raises(PictureError, match=r"objects\.npy"):
        prepare(takes("N, 2, L"), tmp_path / "objects.npy")


def test_pictures_and_arrays_are_not_mixed_nor_arrays_preprocessed():
    array = RNG.random((3, 17, 15)).astype(np.float32)
    with pytest.raises(PictureError, match="mixed"):
        prepare(classifier(), [pictures(1)[0], array])
    with pytest.raises(OptionError, match="already preprocessed"):
        prepare(classifier(), array, "unit")


def test_an_input_without_a_batch_axis():
    (one,) = required_inputs(takes("3, H, W"), unbatched={"x"})
    array = RNG.random((3, 6, 5)).astype(np.float32)
    (row,) = prepare(takes("3, H, W"), array, target=one).rows
    np.testing.assert_array_equal(row, array)
    assert len(prepare(takes("3, H, W"), np.stack([array, array]), target=one).rows) == 2
    picture = pictures(1, 6, 5)[0]
    (row,) = prepare(takes("3, H, W"), picture, "unit", one).rows
    np.testing.assert_allclose(row, picture.transpose(2, 0, 1) / 255, atol=1e-6)


@pytest.mark.parametrize("shape", [(0, 3, 5, 4), (3, 0, 4)])
def test_an_empty_array_is_called_so(shape):
    with pytest.raises(PictureError, match="for the input 'x' is empty"):
        prepare(takes("N, 3, H, W"), np.zeros(shape, np.float32))


@pytest.mark.parametrize("shape", [(5, 4), (7,)])
def test_an_array_of_too_few_axes_is_refused_with_its_own_shape(shape):
    with pytest.raises(PictureError, match=rf"of shape {re.escape(str(list(shape)))} .*\[N, 3, H"):
        prepare(takes("N, 3, H, W"), np.zeros(shape, np.float32))

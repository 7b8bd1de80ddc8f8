"""Which input takes the picture, and the preprocessing that is used or guessed for it."""

import numpy as np
import onnx
import pytest
from engine.nets import classifier, pictures, set_metadata
from onnx import numpy_helper

from onnxplain.engine import PRESETS, Preprocess
from onnxplain.engine.pictures.inputs import picture_input, prepare
from onnxplain.graphops.errors import OptionError, PictureError, UnsupportedModel


def identity(kind, more=""):
    return onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["": 17]> net ({kind} x{more}) => (float[K] y) '
        "{ c = Cast <to = 1> (x)  y = Flatten (c) }"
    )


@pytest.mark.parametrize(
    ("kind", "name", "shape"),
    [
        ("float[N, 3, 8, 6]", "imagenet", (3, 8, 6)),
        ("float[N, 3, H, W]", "imagenet", (3, 5, 4)),
        ("float16[1, 1, 8, 6]", "gray", (1, 8, 6)),
        ("float[N, 8, 6, 3]", "imagenet", (8, 6, 3)),
        ("float[N, H, W, 1]", "gray", (5, 4, 1)),
        ("uint8[N, 3, H, W]", "raw", (3, 5, 4)),
        ("uint8[N, H, W, 1]", "gray_raw", (5, 4, 1)),
    ],
)
def test_a_guess_follows_the_input_and_is_told(kind, name, shape):
    prepared = prepare(identity(kind), pictures(1, 5, 4))
    assert prepared.rows[0].shape == shape
    assert prepared.preprocess.color == PRESETS[name].color
    note = prepared.notes[0]
    assert f"'{name}'" in note
    assert "--preprocess" in note
    height, width = (n for n in shape if n not in (1, 3))
    known = "8" in kind.partition("[")[2]
    assert (f"at {height}x{width})" if known else "at the picture's own size") in note


def test_rows_hold_the_preprocessed_values_in_the_input_s_type():
    (picture,) = pictures(1, 5, 4)
    expected = picture.astype(np.float64).transpose(2, 0, 1) / 255
    for kind, dtype in (("float", np.float32), ("float16", np.float16), ("double", np.float64)):
        row = prepare(identity(f"{kind}[N, 3, H, W]"), picture, "unit").rows[0]
        assert row.dtype == dtype
        np.testing.assert_allclose(row, expected, atol=1e-3)
    integers = prepare(identity("uint8[N, H, W, 3]"), picture).rows[0]
    np.testing.assert_array_equal(integers, picture)


def test_metadata_wins_over_the_guess_and_the_caller_over_metadata():
    stored = Preprocess(color="BGR", scale=0.5)
    model = set_metadata(classifier(), "onnxplain.preprocess", stored.to_json())
    prepared = prepare(model, pictures(1))
    assert prepared.preprocess == stored
    assert prepared.notes == ()
    assert prepare(model, pictures(1), "unit").preprocess == PRESETS["unit"]


def test_wrong_metadata_is_the_model_s_fault():
    model = set_metadata(classifier(), "onnxplain.preprocess", '{"size": 3}')
    with pytest.raises(UnsupportedModel, match=r"onnxplain\.preprocess"):
        prepare(model, pictures(1))


def test_pictures_come_as_one_as_a_list_or_as_an_array_of_them():
    two = pictures(2)
    for images in (two, np.stack(two), tuple(two)):
        assert len(prepare(classifier(), images, "unit").rows) == 2
    assert len(prepare(classifier(), two[0], "unit").rows) == 1
    with pytest.raises(PictureError, match="no picture"):
        prepare(classifier(), [])


def test_a_float_array_is_taken_as_it_is():
    batch = np.random.default_rng(0).standard_normal((2, 3, 9, 8))
    prepared = prepare(classifier(), batch)
    np.testing.assert_array_equal(np.stack(prepared.rows), batch.astype(np.float32))
    assert prepared.preprocess is None
    assert prepared.pictures == prepared.notes == ()
    with pytest.raises(OptionError, match="already preprocessed"):
        prepare(classifier(), batch, "unit")


@pytest.mark.parametrize("shape", [(1, 4, 8, 6), (1, 3, 8, 7), (8, 6), (3, 8, 7), (0, 3, 8, 6)])
def test_arrays_that_do_not_fit_are_refused_with_both_shapes(shape):
    with pytest.raises(PictureError, match=r"\[N, 3, 8, 6\]"):
        prepare(identity("float[N, 3, 8, 6]"), np.zeros(shape, np.float32))


def test_a_preset_of_other_channels_or_size_is_refused():
    with pytest.raises(PictureError, match="channels"):
        prepare(classifier(), pictures(1), "gray")
    with pytest.raises(PictureError, match=r"\[N, 3, 8, 6\]"):
        prepare(identity("float[N, 3, 8, 6]"), pictures(1), Preprocess(size=(9, 9)))


def test_inputs_that_are_no_picture_are_refused():
    with pytest.raises(PictureError, match="4 channels.*a .npy file"):
        prepare(identity("float[N, 4, 8, 6]"), pictures(1))
    with pytest.raises(PictureError, match="2 dimensions.*a .npy file"):
        prepare(identity("float[N, 40]"), pictures(1))
    with pytest.raises(UnsupportedModel, match="bool"):
        picture_input(identity("bool[N, 3, 8, 6]"))


def test_an_input_besides_the_picture_is_named_unless_it_has_a_default():
    model = identity("float[N, 3, 8, 6]", ", float[2] threshold")
    with pytest.raises(UnsupportedModel, match="'threshold'"):
        prepare(model, pictures(1))
    default = numpy_helper.from_array(np.zeros(2, np.float32), "threshold")
    model.graph.initializer.append(default)
    assert picture_input(model).name == "x"


def test_the_picture_s_input_is_found_behind_another():
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 17]> net (float[2] size, float[N, 3, H, W] x) '
        "=> (float[K] y) { y = Flatten (x) }"
    )
    with pytest.raises(
        UnsupportedModel, match=r"'size' \(float32 \[2\]\) besides the picture's 'x'"
    ):
        picture_input(model)


def test_a_dimension_written_as_zero_is_free():
    model = identity("float[N, 3, 8, 6]")
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 0
    assert picture_input(model).size is None

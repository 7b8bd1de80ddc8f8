"""What every result has: its main array, named axes for xarray, and a repr of two lines."""

import sys

import numpy as np
import onnx
import pytest
import xarray
from artefacts import network
from engine.viewed import NET, UNIT

from onnxplain.engine import Engine, Preprocess
from onnxplain.graphops.errors import OptionError

MODEL = network(NET)
RNG = np.random.default_rng(0)
PICTURES = [RNG.integers(0, 256, (24, 20, 3), np.uint8) for _ in range(2)]
NAMES = ["ant", "bee", "cat", "dog"]


@pytest.fixture(scope="module")
def engine():
    return Engine("cpu")


@pytest.fixture(scope="module")
def results(engine):
    """A result of every kind, by its class."""
    common = {"preprocess": UNIT, "labels": NAMES}
    found = [
        engine.explain(MODEL, PICTURES, "s", "gradient", [4, 1], names=["a", "b"], **common),
        engine.explain(MODEL, PICTURES, method=["gradient", "lrp"], **common),
        engine.top(MODEL, PICTURES, "s", [4, 1], 2, **common),
        engine.training([MODEL, MODEL], PICTURES[0], "s", "gradient", [4, 1], **common),
        engine.invariance(MODEL, PICTURES[0], ["r", "s"], **common),
        engine.occlusion(MODEL, PICTURES[0], "s", window=12, **common),
        engine.slide(MODEL, PICTURES[0], **common),
        engine.evaluate(MODEL, PICTURES, ["gradient", "grad_cam"], preprocess=UNIT),
    ]
    return {type(one).__name__: one for one in found}


def test_the_main_array(engine, results):
    def main(name):
        return results[name].to_numpy()

    expected = results["Explanation"].attribution
    np.testing.assert_array_equal(main("Explanation"), expected)
    assert expected.shape == (2, 2, 3, 24, 20)
    side = results["SideBySide"]
    np.testing.assert_array_equal(main("SideBySide")[1], side["lrp"].attribution)
    strongest = [one[4].max() for one in engine.values(MODEL, PICTURES, "s", UNIT)]
    np.testing.assert_allclose(main("Strongest")[0], sorted(strongest)[::-1], rtol=1e-5)
    np.testing.assert_array_equal(main("Training")[0], expected[0])
    assert main("Invariance").shape == (3, 25)
    np.testing.assert_array_equal(main("Covered"), results["Covered"].probability)
    np.testing.assert_array_equal(main("Sliding"), results["Sliding"].scores)
    first = results["Evaluations"][0]
    assert main("Evaluations")[0].tolist() == [first.deletion_area, first.insertion_area]


def test_methods_of_other_shapes_are_in_no_one_array(engine):
    side = engine.explain(MODEL, PICTURES[0], method=["gradient", "grad_cam"], preprocess=UNIT)
    with pytest.raises(OptionError, match=r"differ in shape.*\['gradient'\]\.to_numpy"):
        side.to_numpy()
    tree = side.to_xarray()  # but in one tree
    assert tree["grad_cam"]["attribution"].shape == (1, 1, 1, 24, 20)


def test_an_explanation_in_xarray(results):
    result = results["Explanation"]
    dataset = result.to_xarray()
    assert dataset["attribution"].dims == ("image", "unit", "channel", "y", "x")
    assert dataset["image"].values.tolist() == ["a", "b"]
    assert dataset["channel"].values.tolist() == ["R", "G", "B"]
    green = dataset["attribution"].sel(image="b", unit=1, channel="G")
    np.testing.assert_array_equal(green, result.attribution[1, 1, 1])
    assert dataset["score"].sel(image="a", unit=4).item() == result.score[0, 0]
    assert dataset.attrs["method"] == "gradient"
    assert dataset.attrs["notes"] == list(result.notes)
    classes = results["SideBySide"].to_xarray()["gradient"].to_dataset()
    named = [[NAMES[c] for c in row] for row in results["SideBySide"]["gradient"].channels.tolist()]
    assert classes["label"].values.tolist() == named


def test_units_that_differ_between_images_have_two_dimensions(engine):
    pictures = [PICTURES[0], np.zeros_like(PICTURES[0])]
    found = engine.explain(MODEL, pictures, "s", "gradient", "top:3", preprocess=UNIT)
    assert (found.channels[0] != found.channels[1]).any()
    dataset = found.to_xarray()
    assert "unit" not in dataset.coords
    np.testing.assert_array_equal(dataset["channels"], found.channels)


@pytest.mark.parametrize(
    ("text", "array", "axes"),
    [
        ("float[N, 24, 20, 3] x", PICTURES[0], ("y", "x", "channel")),
        ("float[N, 24, 20, 3] x", np.ones((1, 24, 20, 3), np.float32), ("channel", "y", "x")),
        ("float[N, 3, 9] x", np.ones((1, 3, 9), np.float32), ("channel", "x")),
        (
            "float[N, 2, 4, 5, 6] x",
            np.ones((1, 2, 4, 5, 6), np.float32),
            ("channel", "z", "y", "x"),
        ),
    ],
)
def test_the_axes_of_other_inputs(engine, text, array, axes):
    net = onnx.parser.parse_model(f"""
    <ir_version: 8, opset_import: ["": 17]>
    net ({text}) => (float[N, C] y) {{ f = Flatten (x) r = Relu (f) y = Mul (r, r) }}
    """)
    how = UNIT if array.dtype == np.uint8 else None
    found = engine.explain(net, array, method="gradient", preprocess=how)
    assert found.to_xarray()["attribution"].dims == ("image", "unit", *axes)


def test_views_in_xarray(results):
    found = {name: one.to_xarray() for name, one in results.items()}
    covered = results["Covered"]
    assert (
        found["Covered"]["probability"].sel(y=covered.rows[1], x=0).item()
        == (covered.probability[1, 0])
    )
    assert found["Sliding"]["scores"].dims == ("y", "x")
    assert (
        found["Strongest"]["score"].sel(unit=1, rank=0).item()
        == results["Strongest"].rows[1][0].score
    )
    training = found["Training"]["attribution"]
    assert training.dims == ("checkpoint", "unit", "channel", "y", "x")
    turned = found["Invariance"]["rotation.distance.s"]
    assert turned.sel(rotation=90).item() == results["Invariance"].curves[2].distance["s"][6]
    assert found["Evaluations"]["area"].sel(
        {"method": "grad_cam", "curve": "insertion"}
    ).item() == (results["Evaluations"][1].insertion_area)
    assert isinstance(found["SideBySide"], xarray.DataTree)


def test_without_xarray_it_says_what_to_install(results, monkeypatch):
    monkeypatch.setitem(sys.modules, "xarray", None)
    for result in results.values():
        with pytest.raises(OptionError, match="pip install xarray"):
            result.to_xarray()


def test_the_repr_has_two_lines(results):
    for name, result in results.items():
        first, second = repr(result).splitlines()
        assert first.startswith(f"{name}: ")
        assert second.startswith("  ")
        assert len(first) < 130 and len(second) < 130
    first, second = repr(results["Explanation"]).splitlines()
    assert first.endswith("of 's' back to 'x' [2 images, 2 units, 3x24x20]")
    assert second.startswith("  a: channel 4")
    noted = repr(results["Sliding"]).splitlines()
    assert (
        noted[1].endswith(f"{len(results['Sliding'].notes)} notes")
        or len(results["Sliding"].notes) == 1
        and noted[1].endswith("; 1 note")
    )


def test_the_repr_of_much_is_short(engine):
    labels = ["a" * 1000, "b\n\n" * 100, "c", "d"]
    found = engine.explain(MODEL, PICTURES[0], units="all", preprocess=UNIT, labels=labels)
    assert len(repr(found)) < 300
    assert len(repr(found).splitlines()) == 2


def test_results_are_saved_and_shown(results, tmp_path):
    for name, result in results.items():
        result.save_npz(tmp_path / f"{name}.npz")
        with np.load(tmp_path / f"{name}.npz") as saved:
            assert set(saved) == set(result.arrays())


def test_the_colours_are_the_network_s(engine):
    found = engine.explain(MODEL, PICTURES[0], "s", preprocess=Preprocess(color="BGR"))
    assert found.to_xarray()["channel"].values.tolist() == ["B", "G", "R"]

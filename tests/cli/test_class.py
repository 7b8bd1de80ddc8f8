"""`--class` by index and by name, and `--negate`."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from cli.running import Run


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    (tmp_path / "labels.txt").write_text("ant, emmet\nbee\ncow\ndog\nelk\n")
    return tmp_path / "labels.txt"


@pytest.fixture
def labelled(network: Path) -> Path:
    """The network with the names of its classes in its metadata."""
    model = onnx.load(network)
    names = ["ant, emmet", "bee", "cow", "dog", "elk"]
    onnx.helper.set_model_props(model, {"onnxplain.labels": json.dumps(names)})
    onnx.save(model, network)
    return network


def channel(result: object) -> int:
    found = json.loads(result.out)["images"][0]["units"]  # type: ignore[attr-defined]
    return int(found[0]["channel"])


@pytest.mark.parametrize(("name", "index"), [("3", 3), ("cow", 2), ("EMMET", 0)])
def test_explain(run: Run, network: Path, picture: Path, labels: Path, name: str, index: int):
    flags = ["--method", "gradient", "--class", name, "--labels", labels, "--json"]
    assert channel(run("explain", network, picture, *flags)) == index


def test_imagenet_s_names_are_known(run: Run, network: Path, picture: Path) -> None:
    """Of a network of five classes they are refused, by both flags."""
    flags = ["--method", "gradient", "--labels", "imagenet"]
    result = run("explain", network, picture, *flags, "--class", "tabby")
    assert result.code == 2
    assert "1000 labels for 5 classes" in result.error_line
    result = run("occlusion", network, picture, "--labels", "imagenet", "--class", "tabbi")
    assert "no class 'tabbi' (nearest: 'tabby'" in result.error_line


def test_names_in_the_metadata(run: Run, labelled: Path, picture: Path) -> None:
    assert channel(run("explain", labelled, picture, "--class", "dog", "--json")) == 3
    flags = ["--class", "cow", "--method", "grad_cam", "--layer", "p", "--json"]
    assert channel(run("explain", labelled, picture, *flags)) == 2
    result = run("explain", labelled, picture, "--class", "cat")
    assert "no class 'cat' (nearest: 'cow'" in result.error_line


def test_names_that_ultralytics_writes(run: Run, network: Path, picture: Path) -> None:
    model = onnx.load(network)
    names = {0: "person", 1: "bicycle", 2: "stop sign", 3: "dog", 4: "cow"}
    onnx.helper.set_model_props(model, {"names": str(names)})
    onnx.save(model, network)
    assert channel(run("explain", network, picture, "--class", "Stop Sign", "--json")) == 2


def test_the_class_of_other_commands(run: Run, labelled: Path, picture: Path) -> None:
    result = run("occlusion", labelled, picture, "--class", "elk")
    assert result.out.startswith("elk: probability")
    result = run(
        "invariance", labelled, picture, "--layer", "p", "--class", "elk", "--npz", "i.npz"
    )
    assert result.code == 0
    assert np.load("i.npz")["class"] == 4
    for flag in ("--class", "--channel"):
        assert run("slide", labelled, picture, flag, "bee").out.startswith("channel 1 (bee)")
    flags = ["--method", "gradient", "--class", "bee", "--json"]
    found = json.loads(run("evaluate", labelled, picture, *flags).out)
    there = json.loads(run("evaluate", labelled, picture, *flags[:3], "1", "--json").out)
    assert found[0] == there[0]


def test_a_class_is_baked_in(run: Run, labelled: Path, picture: Path) -> None:
    run("rewrite", labelled, "--method", "gradient", "--class", "cow", "-o", "cow.onnx")
    run("rewrite", labelled, "--method", "gradient", "--channel", "2", "-o", "2.onnx")
    x = np.random.default_rng(0).random((1, 3, 16, 16), np.float32)
    maps = [
        onnxruntime.InferenceSession(f, providers=["CPUExecutionProvider"]).run(
            ["attribution"], {"image": x}
        )[0]
        for f in ("cow.onnx", "2.onnx")
    ]
    np.testing.assert_array_equal(*maps)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--class", "1", "--channel", "2"], "--class and --channel both name the units"),
        (["--class", "1", "--layer", "p"], "leave --layer out"),
        (
            ["--class", "1", "--layer", "p", "--method", "grad_cam", "--score-layer", "scores"],
            "leave --score-layer out",
        ),
        (["--class", "bee"], "the names of the classes are not known"),
        (["--class", "9"], "no channel 9"),
    ],
)
def test_what_is_wrong_is_named(
    run: Run, network: Path, picture: Path, flags: list[str], says: str
) -> None:
    assert says in run("explain", network, picture, *flags).error_line


def test_negate(run: Run, network: Path, picture: Path) -> None:
    flags = ["--method", "gradient", "--class", "1"]
    run("explain", network, picture, *flags, "--npz", "for.npz")
    result = run("explain", network, picture, *flags, "--negate", "--npz", "against.npz")
    assert "the evidence against the unit" in result.error
    np.testing.assert_array_equal(
        np.load("against.npz")["attribution"], -np.load("for.npz")["attribution"]
    )
    run("rewrite", network, *flags, "--negate", "-o", "against.onnx")
    properties = {p.key: p.value for p in onnx.load("against.onnx").metadata_props}
    assert json.loads(properties["onnxplain.options"])["negate"] is True
    assert properties["onnxplain.contract"] == "3"


def test_several_classes(run: Run, labelled: Path, picture: Path) -> None:
    flags = ["--method", "gradient", "--json"]
    result = run("explain", labelled, picture, "--class", "cow", "--class", "1", *flags)
    units = json.loads(result.out)["images"][0]["units"]
    assert [unit["channel"] for unit in units] == [2, 1]
    result = run("explain", labelled, picture, "--class", "1,2", *flags)
    assert result.code == 2
    assert "it names one class, name several by --channel 1,2" in result.error_line


def test_a_folder_is_no_picture(run: Run, labelled: Path, tmp_path: Path) -> None:
    result = run("explain", labelled, tmp_path)
    assert result.code == 2
    assert "is a folder: name its pictures, such as" in result.error_line

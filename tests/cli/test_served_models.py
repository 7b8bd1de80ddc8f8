"""The commands about models on a server: they print and write what they do on this machine."""

import json
import os
from pathlib import Path

import onnx
import pytest
from cli.running import Run, write_model

LABELS = ["ant, emmet", "bee", "cow", "dog", "elk"]
HALF = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, 8, 8] image) => (float16[N, 3, 8, 8] y)
{ h = Cast <to = 10> (image)  y = Relu (h) }
"""
UNSUPPORTED = """
<ir_version: 8, opset_import: ["": 17, "acme": 1]>
net (float[N, 3, 8, 8] image) => (float[N, 3, 8, 8] y)
{ [odd] h = acme.Magic (image)  y = Relu (h) }
"""


@pytest.fixture
def labelled(network: Path) -> Path:
    """The network with the names of its classes in its metadata."""
    model = onnx.load(network)
    onnx.helper.set_model_props(model, {"onnxplain.labels": json.dumps(LABELS)})
    onnx.save(model, network)
    return network


def test_the_models_of_a_server_and_of_its_folder(run: Run, network: Path, server: str) -> None:
    folder = network.parent
    (folder / "bad.onnx").write_text("not ONNX")
    (folder / "net2" / "3").mkdir(parents=True)
    made = run("rewrite", network, "--layer", "pool", "-o", folder / "net2" / "3" / "model.onnx")
    assert made.code == 0
    for flags in ([], ["--json"]):
        here = run("models", folder, *flags)
        there = run("models", "--server", server, *flags)
        assert (here.code, there.code) == (0, 0), there.error
        assert there.out == here.out
    rows = {row["model"]: row for row in json.loads(there.out)}
    assert sorted(rows) == ["bad", "net", "net2"]
    assert (rows["net2"]["version"], rows["net"]["opset"], rows["net"]["problem"]) == (3, 17, None)
    assert rows["net"]["inputs"] == [
        {"name": "image", "dtype": "float32", "shape": ["N", 3, 16, 16]}
    ]
    assert rows["net"]["size_bytes"] == network.stat().st_size
    assert "not an ONNX model" in rows["bad"]["problem"]
    lines = run("models", "--server", server).out.splitlines()
    assert lines[2].split()[:4] == ["net", "1", "image", "float32[Nx3x16x16]"]
    assert lines[2].endswith("ready") and "p by deconvnet" in lines[3]


def test_models_of_nowhere(run: Run, network: Path, server: str) -> None:
    assert run("models").out == "there are no models at '.'\n"
    missing = run("models", "nowhere")
    assert (missing.code, "'nowhere'" in missing.error_line) == (2, True)
    both = run("models", network.parent, "--server", server)
    assert both.code == 2
    assert "leave FOLDER or --server out" in both.error_line


@pytest.mark.parametrize(
    "flags",
    [
        ["--layer", "pool", "--unpool", "scatter"],
        ["--method", "gradient", "--target", "web", "--json"],
        ["--method", "grad_cam", "--layer", "pool", "--score-layer", "f", "--json"],
        ["--to", "c", "--json"],
        ["--lowering", "fast", "--method", "gradient"],
    ],
)
def test_check(run: Run, network: Path, server: str, flags: list[str]) -> None:
    here = run("check", network, *flags)
    there = run("check", "net", *flags, "--server", server)
    assert (here.code, there.code, there.error) == (0, 0, here.error)
    assert there.out == here.out


def test_check_of_what_cannot_be_explained(run: Run, network: Path, server: str) -> None:
    odd = write_model(network.parent / "odd.onnx", UNSUPPORTED)
    here = run("check", odd, "--json")
    there = run("check", "odd", "--server", server, "--json")
    assert (here.code, there.code) == (3, 3)
    assert there.error_line == here.error_line and "Magic" in there.error_line
    assert there.out == here.out


@pytest.mark.parametrize(
    "flags",
    [
        ["--layer", "pool"],
        ["--class", "cow", "--method", "gradient"],
        ["--class", "emmet", "--method", "grad_cam", "--layer", "pool", "--no-upsample"],
        ["--layer", "p", "--channel", "1,3", "--no-outputs", "--position", "all", "--negate"],
        ["--select", "pairs", "--method", "smoothgrad", "--samples", "3", "--target", "web"],
        [
            "--layer",
            "p",
            "--to",
            "c",
            "--seed-value",
            "one",
            "--unpool",
            "portable",
            "--keep-shape",
        ],
        ["--method", "gradient", "--bake-preprocess", "unit", "--lowering", "fast"],
    ],
)
def test_rewrite(run: Run, labelled: Path, server: str, flags: list[str]) -> None:
    here = run("rewrite", labelled, *flags, "-o", "here.onnx")
    there = run("rewrite", "net", *flags, "-o", "there.onnx", "--server", server)
    assert (here.code, there.code) == (0, 0), there.error
    assert Path("there.onnx").read_bytes() == Path("here.onnx").read_bytes()
    *lines, size = there.out.replace("there.onnx", "here.onnx").splitlines()
    assert lines == here.out.splitlines()[:-1]
    before, arrow, nodes = here.out.splitlines()[-1].rpartition("-> ")
    assert arrow and size == before.rpartition(", ")[0] + ", " + nodes  # only it has the source
    assert there.error == here.error


def test_rewrite_warns_of_half_precision(run: Run, network: Path, server: str) -> None:
    write_model(network.parent / "half.onnx", HALF)
    flags = ["--layer", "y", "--method", "gradient", "-o", "out.onnx", "--server", server]
    assert "backward pass is in float16" in run("rewrite", "half", *flags).error
    assert "in float16" not in run("rewrite", "half", *flags, "--backward", "float32").error


def test_convolutionalize(run: Run, network: Path, server: str) -> None:
    for size in ([], ["--size", "16x16"]):
        here = run("convolutionalize", network, *size, "-o", "here.onnx")
        there = run("convolutionalize", "net", *size, "-o", "there.onnx", "--server", server)
        assert (here.code, there.code) == (0, 0), there.error
        assert there.out.replace("there.onnx", "here.onnx") == here.out
        assert Path("there.onnx").read_bytes() == Path("here.onnx").read_bytes()


def test_methods(run: Run, server: str) -> None:
    for flags in ([], ["--json"]):
        assert run("methods", "--server", server, *flags).out == run("methods", *flags).out
    rows = {row["method"]: row for row in json.loads(run("methods", "--json").out)}
    assert rows["grad_cam_pp"]["name"] == "Grad-CAM++"
    assert rows["integrated_gradients"]["options"] == ["steps", "baseline"]


def test_wrong_requests(run: Run, network: Path, server: str) -> None:
    out = ["-o", "out.onnx"]
    for command, code, word in (
        (["check", "nut"], 2, "no model 'nut' (nearest: 'net'"),
        (["check", "net", "--layer", "pol"], 2, "'pool'"),
        (["check", "net", "--method", "GradCAM"], 2, "did you mean 'grad_cam'?"),
        (["rewrite", "net", "--method", "occlusion", *out], 2, "takes many runs"),
        (["rewrite", "net", "--channel", "9", *out], 2, "9"),
        (["rewrite", "net", "--class", "cat", *out], 2, "no class 'cat'"),
        (["rewrite", "net", "--class", "1", "--layer", "pool", *out], 2, "--layer out"),
        (["convolutionalize", "net", "--size", "9x9", *out], 3, "16"),
    ):
        result = run(*command, "--server", server)
        assert result.code == code, (command, result)
        assert word in result.error_line
    assert os.listdir() == []


def test_a_model_s_file_is_no_name_on_a_server(run: Run, network: Path, server: str) -> None:
    result = run("layers", network, "--server", server)
    assert result.code == 2
    assert "name of one of its models, such as 'net' (`onnxplain models" in result.error_line
    assert run("layers", "net", "--server", server).code == 0

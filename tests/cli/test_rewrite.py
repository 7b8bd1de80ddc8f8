"""`onnxplain rewrite`."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from cli.running import Run, write_model
from PIL import Image

POINTWISE = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, 8, 8] image) => (float[N, 2, 8, 8] y) { y = Conv (image, weight) }
"""
OVERLAPPING = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, 9, 9] image) => (float[N, 3, 4, 4] y)
{ y = MaxPool <kernel_shape = [3, 3], strides = [2, 2]> (image) }
"""


def names(values: object) -> list[str]:
    return [value.name for value in values]  # type: ignore[attr-defined]


def test_it_writes_a_valid_model_and_says_what_it_is(run: Run, network: Path) -> None:
    result = run("rewrite", network, "--layer", "pool", "-o", "out.onnx")
    assert (result.code, result.error) == (0, "")
    model = onnx.load("out.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert names(model.graph.input) == ["image", "channel"]
    assert names(model.graph.output) == ["probabilities", "attribution", "score", "position"]
    assert "inputs   image float32[Nx3x16x16], channel int64[N]" in result.out
    assert "attribution float32[Nx3x16x16]" in result.out
    assert "wrote out.onnx: deconvnet of p" in result.out


@pytest.mark.parametrize(
    ("flags", "inputs", "outputs"),
    [
        (["--select", "pairs"], ["image", "image_index", "channel"], 4),
        (["--channel", "1,3", "--no-outputs"], ["image"], 3),
        (["--select", "fixed", "--channel", "2"], ["image"], 4),
        (["--select", "seed"], ["image", "seed"], 3),
        (["--position", "all", "--seed-value", "one"], ["image", "channel"], 3),
        (["--position", "given"], ["image", "channel", "position"], 4),
        (["--method", "guided_backprop"], ["image", "channel"], 3),
    ],
)
def test_flags_reach_the_rewriter(
    run: Run, network: Path, flags: list[str], inputs: list[str], outputs: int
) -> None:
    result = run("rewrite", network, "--layer", "pool", *flags, "-o", "out.onnx")
    assert result.code == 0, result.error
    model = onnx.load("out.onnx")
    assert names(model.graph.input) == inputs
    assert len(model.graph.output) == outputs


def test_the_rewritten_model_answers_with_the_gradient(run: Run, tmp_path: Path) -> None:
    weight = np.arange(6).reshape(2, 3, 1, 1)
    model = write_model(tmp_path / "pointwise.onnx", POINTWISE, weight=weight)
    flags = ["--method", "gradient", "--channel", "1", "--position", "all"]
    assert run("rewrite", model, "--layer", "y", *flags, "-o", "out.onnx").code == 0
    session = onnxruntime.InferenceSession("out.onnx", providers=["CPUExecutionProvider"])
    (attribution,) = session.run(["attribution"], {"image": np.ones((1, 3, 8, 8), np.float32)})
    np.testing.assert_array_equal(attribution[0, :, 5, 5], [3, 4, 5])


def test_warnings_go_to_stderr(run: Run, tmp_path: Path) -> None:
    model = write_model(tmp_path / "overlapping.onnx", OVERLAPPING)
    result = run("rewrite", model, "--layer", "y", "--unpool", "maxunpool", "-o", "out.onnx")
    assert result.code == 0
    assert result.error.startswith("onnxplain: warning: ")
    assert "overlap" in result.error


CLASSIFIER = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, 8, 8] image) => (float[N, 2] y)
{ c = Conv (image, weight) r = Relu (c) g = GlobalAveragePool (r) f = Flatten (g)
  y = Gemm (f, weight2) }
"""


def test_the_flag_that_would_help_is_named_once(run: Run, picture: Path, tmp_path: Path) -> None:
    weights = {"weight": np.ones((4, 3, 3, 3)), "weight2": np.ones((4, 2))}
    model = write_model(tmp_path / "classifier.onnx", CLASSIFIER, **weights)
    rewritten = run("rewrite", model, "--method", "grad_cam", "-o", "out.onnx").error
    explained = run("explain", model, picture, "--method", "grad_cam", "-o", "out.png").error
    checked = run("check", model, "--method", "grad_cam").out
    for text in (rewritten, explained, checked):
        assert "where the picture has places: name another with `--layer`\n" in text


HALF = """
<ir_version: 8, opset_import: ["": 17]>
half (float16[N, 3, 8, 8] image, float[2, 3, 1, 1] weight) => (float16[N, 2, 1, 1] y)
{ w = Cast <to = 10> (weight) c = Conv (image, w) y = GlobalAveragePool (c) }
"""


def test_relevance_that_underflows_in_half_precision(run: Run, tmp_path: Path) -> None:
    """The score is 3e-6, and one of its 192 pixels gets less than float16's least, 6e-8."""
    weight = np.full((2, 3, 1, 1), 1e-3)
    model = write_model(tmp_path / "half.onnx", HALF, weight=weight)
    flags = ["--layer", "y", "--method", "lrp_epsilon"]
    feeds = {"image": np.full((1, 3, 8, 8), 1e-3, np.float16), "channel": np.array([1])}
    found = {}
    for backward in ([], ["--backward", "float32"]):
        result = run("rewrite", model, *flags, *backward, "-o", "out.onnx")
        assert result.code == 0
        assert ("--backward float32" in result.error) == (not backward)
        session = onnxruntime.InferenceSession("out.onnx", providers=["CPUExecutionProvider"])
        (found[bool(backward)],) = session.run(["attribution"], feeds)
    assert found[True].dtype == np.float32
    assert not found[False].any()
    assert (found[True] > 0).all()


@pytest.mark.parametrize(
    ("flags", "operator", "warned"),
    [
        ([], "MaxUnpool", False),
        (["--target", "cuda"], "ScatterElements", False),
        (["--target", "tensorrt"], "ArgMax", False),
        (["--target", "openvino", "--unpool", "maxunpool"], "MaxUnpool", True),
    ],
)
def test_the_target_decides_the_form(
    run: Run, network: Path, flags: list[str], operator: str, warned: bool
) -> None:
    shown = ["--layer", "pool", "--position", "all", *flags]
    result = run("rewrite", network, *shown, "-o", "out.onnx")
    assert result.code == 0
    found = {node.op_type for node in onnx.load("out.onnx").graph.node}
    assert found & {"MaxUnpool", "ScatterElements", "ArgMax"} == {operator}
    assert ("'openvino' has no kernels" in result.error) == warned


def test_the_model_is_never_overwritten(run: Run, network: Path) -> None:
    before = network.read_bytes()
    result = run("rewrite", network, "--layer", "pool", "-o", network)
    assert result.code == 2
    assert "overwritten" in result.error_line
    assert network.read_bytes() == before


def test_what_onnx_runtime_cannot_load_is_not_written(
    run: Run, network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The artefact is spoilt on its way; `--no-verify` writes it all the same."""
    from onnxplain import graphops

    whole = graphops.rewrite

    def spoilt(*arguments: object) -> onnx.ModelProto:
        model = whole(*arguments)  # type: ignore[arg-type]
        shape = onnx.numpy_helper.from_array(np.array([7, 7], np.int64), "sevens")
        model.graph.initializer.append(shape)
        model.graph.node.append(onnx.helper.make_node("NoSuch", ["sevens"], ["z"]))
        model.graph.output.append(
            onnx.helper.make_tensor_value_info("z", onnx.TensorProto.INT64, [2])
        )
        return model

    monkeypatch.setattr(graphops, "rewrite", spoilt)
    Path("out.onnx").write_bytes(b"an older file")
    result = run("rewrite", network, "--layer", "pool", "-o", "out.onnx")
    assert result.code == 3
    assert "the rewritten model is faulty, and was not written" in result.error_line
    assert "`--no-verify`" in result.error_line
    assert Path("out.onnx").read_bytes() == b"an older file"
    assert run("rewrite", network, "--no-verify", "-o", "out.onnx").code == 0
    assert onnx.load("out.onnx").graph.output[-1].name == "z"


PLUG_IN = """
<ir_version: 8, opset_import: ["": 17, "my.plugins": 1]>
net (float[N, 3, 8, 8] image) => (float[N, 2, 8, 8] y, float[N, 4] boxes)
{ y = Conv (image, weight) boxes = my.plugins.Decode (y) }
"""


def test_a_model_with_a_plug_in_is_written_with_a_warning(run: Run, tmp_path: Path) -> None:
    model = write_model(tmp_path / "net.onnx", PLUG_IN, weight=np.ones((2, 3, 1, 1)))
    result = run("rewrite", model, "--layer", "y", "-o", "out.onnx")
    assert result.code == 0
    assert "boxes float32[Nx4], attribution" in result.out
    assert "the plug-in 'my.plugins'" in result.error and "`--no-outputs`" in result.error
    result = run("rewrite", model, "--layer", "y", "--no-outputs", "-o", "out.onnx")
    assert (result.code, result.error) == (0, "")
    bare = onnx.load(model)
    bare.graph.output[1].type.tensor_type.ClearField("shape")
    onnx.save(bare, model)
    result = run("rewrite", model, "--layer", "y", "-o", "bare.onnx")
    assert "boxes float32, attribution" in result.out
    onnxruntime.InferenceSession("out.onnx")


def test_a_baked_preprocessing_takes_pictures(run: Run, network: Path, picture: Path) -> None:
    flags = ["--method", "gradient", "--channel", "2"]
    result = run("rewrite", network, *flags, "--bake-preprocess", "caffe", "-o", "out.onnx")
    assert (result.code, result.error) == (0, "")
    assert "inputs   pixels uint8[Nx16x16x3]\n" in result.out
    plain = ["--method", "gradient", "--channel", "2", "-o", "out.png", "--npz", "out.npz"]
    assert run("explain", network, picture, *plain, "--preprocess", "caffe").code == 0
    expected = np.load("out.npz")["attribution"]
    session = onnxruntime.InferenceSession("out.onnx", providers=["CPUExecutionProvider"])
    pixels = np.asarray(Image.open(picture))[None]
    (attribution,) = session.run(["attribution"], {"pixels": pixels})
    np.testing.assert_allclose(attribution, expected[0], rtol=1e-6)
    stored = {one.key: one.value for one in onnx.load("out.onnx").metadata_props}
    left = json.loads(stored["onnxplain.preprocess"])  # for a caller who knows no defaults
    assert (left["size"], left["interpolation"]) == ([16, 16], "bilinear")
    again = run("explain", "out.onnx", picture, *plain)
    assert (again.code, again.error) == (0, "")  # no assumption is printed
    np.testing.assert_allclose(np.load("out.npz")["attribution"], expected, rtol=1e-6)


def test_a_preprocessing_that_does_not_exist_is_refused(run: Run, network: Path) -> None:
    result = run("rewrite", network, "--bake-preprocess", "imagnet", "-o", "out.onnx")
    assert (result.code, Path("out.onnx").exists()) == (2, False)
    assert "no preprocessing 'imagnet'" in result.error


def test_optional_inputs_and_what_the_file_needs_are_told(run: Run, network: Path) -> None:
    flags = ["--method", "smoothgrad", "--noise", "drawn", "--samples", "2"]
    result = run("rewrite", network, *flags, "-o", "out.onnx")
    assert result.code == 0
    inputs = next(line for line in result.out.splitlines() if line.startswith("  inputs"))
    assert inputs.endswith("noise_seed int64[] (optional)")
    assert inputs.count("(optional)") == 1
    model = onnx.load("out.onnx")
    opset = next(one.version for one in model.opset_import if not one.domain)
    assert f"  needs    opset {opset}, IR version {model.ir_version}\n" in result.out


def test_an_artefact_has_one_method(run: Run, network: Path) -> None:
    result = run("rewrite", network, "--method", "gradient,lrp", "-o", "out.onnx")
    assert result.code == 2
    assert "an artefact has one method, name one" in result.error_line
    assert not Path("out.onnx").exists()

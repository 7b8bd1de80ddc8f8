"""A method and an option that are declared, and nothing more, are there wherever one asks."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from server.running import CLASSIFIER, model, pixels, running

from onnxplain.cli.main import main
from onnxplain.client import Client
from onnxplain.engine import METHODS as ENGINE_METHODS
from onnxplain.engine import Engine, EngineMethod
from onnxplain.engine.methods.single_graph import project
from onnxplain.graphops import METHODS, Method, Option
from onnxplain.graphops.backward import Attribution
from onnxplain.graphops.errors import OptionError
from onnxplain.graphops.options import OPTIONS

STRENGTH = Option("strength", float, 2.0, "what the gradient is multiplied by", bounds=(0, 9))


def multiplied(walk):
    return Attribution(walk.op.Mul(walk.back(), walk.options.strength))


MULTIPLIED = Method(
    "multiplied", compute=multiplied, takes=(STRENGTH,), summary="a louder gradient"
)


@pytest.fixture(autouse=True)
def declared(monkeypatch):
    monkeypatch.setitem(OPTIONS, "strength", STRENGTH)
    monkeypatch.setitem(METHODS, "multiplied", MULTIPLIED)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    onnx.save(model(CLASSIFIER), folder / "net.onnx")
    return folder


def test_in_python(folder):
    engine = Engine("cpu")
    choices = {"units": [1], "preprocess": "unit"}

    def explained(method, **own):
        found = engine.explain(folder / "net.onnx", pixels(), None, method, **choices, **own)
        return found.attribution

    gradient = explained("gradient")
    np.testing.assert_allclose(explained("multiplied"), 2 * gradient, rtol=1e-6)
    np.testing.assert_allclose(explained("multiplied", strength=3), 3 * gradient, rtol=1e-6)
    np.testing.assert_allclose(explained(MULTIPLIED, strength=3), 3 * gradient, rtol=1e-6)
    with pytest.raises(OptionError, match="strength 10: give a number from 0 to 9"):
        explained("multiplied", strength=10)
    with pytest.raises(OptionError, match="'gradient' takes no strength.*choose multiplied"):
        explained("gradient", strength=3)
    with pytest.raises(TypeError, match="unexpected keyword argument 'strengths'"):
        explained("multiplied", strengths=3)


def test_a_method_of_ones_own_needs_no_registry(folder):
    mine = replace(MULTIPLIED, name="mine")
    found = Engine("cpu").explain(folder / "net.onnx", pixels(), None, mine, preprocess="unit")
    assert found.method == "mine"


def test_a_method_of_many_runs(folder, monkeypatch):
    def halved(run, chosen):
        for image, units, found in project(replace(run, method=METHODS["gradient"]), chosen):
            attribution = found.attribution / run.own["parts"]
            yield image, units, replace(found, attribution=attribution)

    parts = Option("parts", int, 2, "of how many parts one is shown", bounds=(1, 4))
    method = EngineMethod("halved", run=halved, takes=(parts,))
    monkeypatch.setitem(ENGINE_METHODS, "halved", method)
    engine = Engine("cpu")
    gradient, two, four = (
        engine.explain(folder / "net.onnx", pixels(), None, name, [1], preprocess="unit", **own)
        for name, own in (("gradient", {}), ("halved", {}), (method, {"parts": 4}))
    )
    np.testing.assert_array_equal(two.attribution, gradient.attribution / 2)
    np.testing.assert_array_equal(four.attribution, gradient.attribution / 4)
    assert two.method == "halved"
    for refused in ("halved", "nothing"):
        assert main(["rewrite", str(folder / "net.onnx"), "--method", refused, "-o", "x.onnx"]) == 2


@pytest.mark.parametrize("command", ["explain", "rewrite"])
def test_in_the_command_lines_help(command, capsys):
    assert main([command, "--help"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "--strength N for multiplied: what the gradient is multiplied by (default: 2.0)" in told


def test_in_the_list_of_methods(capsys):
    assert main(["methods"]) == 0
    assert "multiplied" in capsys.readouterr().out


def test_on_the_command_line(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = tmp_path / "made.onnx"
    arguments = ["--method", "multiplied", "--strength", "5", "-o", str(made)]
    assert main(["rewrite", str(folder / "net.onnx"), *arguments]) == 0
    metadata = {p.key: p.value for p in onnx.load(made).metadata_props}
    assert '"strength": 5.0' in metadata["onnxplain.options"]


def test_through_the_service(folder):
    with running(folder, in_process=True) as address, Client(address) as client:
        found = {method.name: method for method in client.methods()}["multiplied"]
        assert found.summary == "a louder gradient" and found.exportable
        (option,) = found.options
        assert (option.name, option.type, option.default) == ("strength", "float", "2.0")
        assert (option.minimum, option.maximum) == (0, 9)
        result = client.explain("net", pixels(), method="multiplied", preprocess="unit")
        assert result.method == "multiplied"

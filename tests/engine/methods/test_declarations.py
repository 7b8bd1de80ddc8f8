"""The declarations of methods and options: each holds, and the documentation has them."""

import importlib.util
import pickle
import re
import subprocess
import sys
from dataclasses import replace
from inspect import signature, unwrap
from pathlib import Path

import pytest

from onnxplain.engine import METHODS, Choices, Engine, EngineMethod, explain, maps
from onnxplain.engine.methods import method_options
from onnxplain.graphops import Method, Options, rewrite
from onnxplain.graphops.errors import OptionError
from onnxplain.graphops.options import GENERAL, OPTIONS

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", METHODS)
def test_what_is_declared_by_name_is_there(name):
    method = METHODS[name]
    assert name == method.name
    assert callable(method.run if isinstance(method, EngineMethod) else method.compute)
    assert method.rules
    assert method.alias_of in ("", *METHODS)
    assert method.summary and "|" not in method.summary


@pytest.mark.parametrize("module", ["graphops", "engine", "graphops.methods", "engine.methods"])
def test_a_package_loads_nothing_heavy_and_has_every_name(module):
    code = f"""
import sys
import onnxplain.{module} as package
assert not {{"numpy", "onnx", "onnxruntime", "PIL"}} & set(sys.modules)
for name in package.__all__:
    getattr(package, name)
assert not hasattr(package, "no_such_name")
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_one_name_means_one_option():
    taken = [option for method in METHODS.values() for option in method.takes]
    assert len({option.name for option in taken}) == len(set(taken))
    assert not {option.name for option in taken} & GENERAL.keys()
    rewritten = {o.name for m in METHODS.values() if m.exportable for o in m.takes}
    assert rewritten == OPTIONS.keys()


def test_a_method_takes_options_by_name():
    named = replace(METHODS["smoothgrad"], takes=["samples", OPTIONS["noise_seed"]])
    assert named.takes == (OPTIONS["samples"], OPTIONS["noise_seed"])
    assert named.own({"samples": 3}) == {"samples": 3, "noise_seed": 0}
    assert replace(METHODS["rise"], name="mine").takes == METHODS["rise"].takes
    assert Method("plain").takes == ()
    with pytest.raises(OptionError, match=r"no option 'sampels' \(nearest: 'samples'"):
        Method("mine", takes=("sampels",))


@pytest.mark.parametrize("function", [explain, Engine.explain, Engine.explain_units, maps])
def test_a_misspelt_choice_is_a_type_error(function):
    assert unwrap(function).__annotations__["choices"] == "Unpack[Choices]"
    assert Choices(position="all") == {"position": "all"}


@pytest.mark.parametrize("function", [explain, Engine.explain, Engine.explain_units, maps])
def test_help_lists_every_option_with_its_default(function):
    parameters = signature(function).parameters
    assert "choices" not in parameters
    assert set(Choices.__annotations__) <= set(parameters)
    assert all(parameters[name].default in (None, False) for name in Choices.__annotations__)
    text = " ".join(function.__doc__.split())
    for option in method_options().values():
        default = f" (default: {option.shown_default})" if option.shown_default else ""
        assert re.search(rf" {option.name}: of [\w, ]+: {re.escape(option.help)}.*?", text)
        assert default in text


@pytest.mark.parametrize("name", ["select", "position", "seed_value"])
def test_the_text_of_a_default_that_depends_on_the_method(name):
    """Such as "max for deconvnet, else all"."""
    special, takers, usual = re.fullmatch(
        r"(\w+) for (.*), else (\w+)", GENERAL[name].default_text
    ).groups()
    named = set(re.split(", | and ", takers))
    if "LRP" in named:
        named = named - {"LRP"} | {method for method in METHODS if method.startswith("lrp")}
    defaults = {method: getattr(METHODS[method], name) for method in METHODS}
    assert defaults == {method: special if method in named else usual for method in METHODS}


def test_options_are_values():
    options = Options(samples=25, select="fixed", channels=[1, 2], low=[0, 1])
    assert (options.samples, options.channels, options.low) == (25, (1, 2), (0, 1))
    assert (options.steps, options.noise_level, options.score_layer) == (50, 0.15, None)
    assert options.changed() == ["select", "channels", "low", "samples"]
    same = Options(low=(0, 1), channels=(1, 2), samples=25, select="fixed", steps=50, to=None)
    assert options == same and hash(options) == hash(same)
    assert options != replace(options, samples=26)
    assert replace(options, samples=50, low=()).changed() == ["select", "channels"]
    assert replace(options, own=()) == Options(select="fixed", channels=(1, 2))
    assert pickle.loads(pickle.dumps(options)) == options
    with pytest.raises(AttributeError, match="cannot assign"):
        options.to = "x"
    with pytest.raises(AttributeError, match="no option 'sample'"):
        options.sample  # noqa: B018
    for unknown in ("sample", "baseline"):
        with pytest.raises(TypeError, match=f"unexpected keyword argument '{unknown}'"):
            Options(**{unknown: 1})


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("samples", 0, "samples 0: give a whole number of at least 1"),
        ("samples", 2.5, "samples 2.5: give a whole number of at least 1"),
        ("steps", 1001, "steps 1001: give a whole number from 1 to 1,000"),
        ("noise_level", float("nan"), "noise level nan: give a number of at least 0"),
        ("noise_level", float("inf"), "noise level inf: give a number of at least 0"),
        ("keep", 1, "keep 1: give a number between 0 and 1"),
        ("keep", "0.5", "keep '0.5': give a number between 0 and 1"),
        ("start", "nose", "no start 'nose': choose 'noise' or 'picture'"),
        ("resolution", 1001, "resolution 1001: give a whole number from 1 to 1,000"),
    ],
)
def test_values_are_checked(option, value, told):
    with pytest.raises(OptionError) as refusal:
        method_options()[option].checked(value)
    assert str(refusal.value) == told


def test_the_rewriter_refuses_methods_of_many_runs():
    with pytest.raises(OptionError, match="'rise' takes many runs of the network"):
        rewrite(None, None, METHODS["rise"])


def test_what_is_generated_follows_from_the_declarations():
    """`make generate` writes it."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    for path, text in generate.generated().items():
        assert path.read_text("utf-8") == text, path

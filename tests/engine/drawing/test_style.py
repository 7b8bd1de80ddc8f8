"""How a figure looks: defaults, and what is refused."""

import dataclasses
import subprocess
import sys
import typing

import pytest

from onnxplain.engine.drawing import Style, StyleOptions, style_of
from onnxplain.graphops.errors import OptionError


def test_the_keywords_are_the_fields():
    """For type checkers they are declared beside the fields, with the same types."""
    assert typing.get_type_hints(StyleOptions) == typing.get_type_hints(Style)


def test_every_field_has_a_help():
    assert all(one.metadata["help"] for one in dataclasses.fields(Style))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("dpi", 10, "20 to 2400"),
        ("dpi", 100000, "20 to 2400"),
        ("dpi", 99.5, "whole number"),
        ("width", 0, "inches from 1"),
        ("width", float("nan"), "inches from 1"),
        ("alpha", 1.5, "from 0 to 1"),
        ("alpha", "a", "from 0 to 1"),
        ("columns", 0, "from 1 on"),
        ("at", "photo", "photograph, network"),
        ("show", "input,maps", "'maps': give one or several of input, map, overlay"),
        ("show", "", "one or several of"),
        ("show", None, "one or several of"),
        ("cmap", "seismik", "nearest: 'seismic'"),
        ("cmap", 3, "no colour map '3'"),
        ("colour", 3, "no option 'colour' of figures"),
    ],
)
def test_wrong_values_are_refused(name, value, message):
    with pytest.raises(OptionError, match=message):
        style_of({name: value})


def test_what_is_left_out_is_the_default():
    assert style_of({"cmap": "viridis"}) == Style(cmap="viridis")
    assert style_of({}).title


def test_matplotlib_is_imported_only_to_draw():
    code = (
        "import sys, onnxplain.engine, onnxplain.engine.drawing as d; d.Style(); d.View; "
        "from onnxplain.engine import Explanation, SideBySide; print('matplotlib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"

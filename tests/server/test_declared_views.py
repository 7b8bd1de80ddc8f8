"""The declarations of the views, against explain.proto, their functions and what these return."""

import inspect
import pkgutil
import re
from pathlib import Path

import numpy as np
import pytest
from google.protobuf.descriptor import FieldDescriptor
from server.running import pixels

from onnxplain.engine import VIEWS, Choices, Engine
from onnxplain.engine.views import DECLARED_VIEWS
from onnxplain.v1 import explain_pb2 as pb

PROTO = (Path(pb.__file__).parent / "explain.proto").read_text()
FIELDS = {field.name: field for field in pb.ViewRequest.DESCRIPTOR.oneofs_by_name["view"].fields}
TYPES = {"text": "string", "integer": "int64", "channels": "int64", "class": "int64"}
FIELDS_OF = {"size": ("height", "width"), "channels": ("channels", "all", "top")}
MESSAGES = {"units": "Units", "method_options": "MethodOptions"}
COMMON = {"engine", "labels", "preprocess", "progress"}
KINDS = {"float": "f", "int64": "i", "uint8": "u", "text": "U"}

views = pytest.mark.parametrize("view", DECLARED_VIEWS.values(), ids=DECLARED_VIEWS)


def type_of(field):
    """A field's type, as explain.proto writes it."""
    if field.message_type is not None:
        return field.message_type.name
    return {
        FieldDescriptor.TYPE_STRING: "string",
        FieldDescriptor.TYPE_INT64: "int64",
        FieldDescriptor.TYPE_BOOL: "bool",
    }[field.type]


def message_text(name):
    """The comment and the body of a message in explain.proto."""
    before, _, after = PROTO.partition(f"\nmessage {name} {{\n")
    return before.rpartition("\n\n")[2] + "\n", after.partition("\n}\n")[0]


def test_every_view_has_its_message():
    assert list(DECLARED_VIEWS) == list(FIELDS) == list(VIEWS)


@views
def test_every_argument_has_its_field_and_every_field_its_argument(view):
    fields = FIELDS[view.name].message_type.fields_by_name
    expected = {"earlier"} if view.models == "several" else set()
    for argument in view.arguments:
        names = FIELDS_OF.get(argument.type, (argument.name,))
        expected |= set(names)
        for name in names:
            field = fields[name]
            expected_type = {**TYPES, **MESSAGES, "size": "int64"}[argument.type]
            assert type_of(field) == ("bool" if name == "all" else expected_type), name
            several = argument.many or name == "channels"
            assert field.is_repeated == several, name
            if argument.type in ("integer", "class"):
                assert field.has_presence, f"0 is no different from unset in {name}"
    assert set(fields) == expected
    if "earlier" in fields:
        assert type_of(fields["earlier"]) == "string"
        assert fields["earlier"].is_repeated


@views
def test_every_default_is_in_the_comment_of_its_field(view):
    _, body = message_text(FIELDS[view.name].message_type.name)
    for argument in view.arguments:
        if argument.default is not None:
            comment = re.search(rf" {argument.name} = \d+; *// (.*)", body)[1]
            values = argument.default if argument.many else (argument.default,)
            for value in values:
                assert re.search(rf"\b{value}\b", comment), comment


@views
def test_every_argument_is_its_function_s(view):
    """With the same default. Methods' options are `Choices`, which also have `names`."""
    signature = inspect.signature(view.resolve()).parameters
    model, picture = list(signature)[1:3]
    assert signature[model].name == ("checkpoints" if view.models == "several" else "model")
    assert signature[picture].name == ("pictures" if view.pictures == "several" else "picture")
    declared = {argument.name: argument for argument in view.arguments}
    common = COMMON | {model, picture} | ({"names"} if view.models == "several" else set())
    if "method_options" in declared:
        choices = set(Choices.__annotations__)
        assert COMMON - {"engine"} | {"passes"} <= choices <= set(signature)
        assert set(signature) - common - choices == set(declared) - {"method_options", "names"}
    else:
        assert set(signature) - common == set(declared)
        assert common <= set(signature)
        assert view.passes == ("passes" in signature)
    for name, argument in declared.items():
        if name in signature and signature[name].default not in (inspect.Parameter.empty, ()):
            assert signature[name].default == argument.default, name


@views
def test_the_comment_of_the_message_lists_the_arrays(view):
    comment, _ = message_text(FIELDS[view.name].message_type.name)
    _, _, listed = comment.partition("// Arrays:\n")
    lines = " ".join(line.removeprefix("//").strip() for line in listed.splitlines())
    assert lines == " ".join(f"{name}: {what}" for name, what in view.arrays.items())


ASKED = {
    "maps": [
        {"methods": ["deconvnet"], "layer": "r", "names": ["a", "b"]},
        {"methods": ["lrp"], "names": ["a", "b"]},
        {"methods": ["gradient", "lrp"], "names": ["a", "b"]},
    ],
    "top": [{"layer": "r", "channels": [4, 1], "count": 2, "names": ["a", "b"]}],
    "training": [{"layer": "r", "units": "top:2"}],
    "invariance": [{"layers": ["r", "score"]}],
    "occlusion": [{"layer": "r", "window": 8}],
    "slide": [{}],
}


@views
def test_the_arrays_that_it_returns_are_those_declared(view, folder):
    model = str(folder / "classifier.onnx")
    pictures = [pixels(seed=1), pixels(seed=2)]
    patterns = {re.sub("[A-Z]+", ".+", re.escape(n)): what for n, what in view.arrays.items()}
    returned = set()
    for arguments in ASKED[view.name]:
        result = view.compute(
            Engine("cpu"), [model, model], pictures, lambda *_: None, lambda *_: None,
            preprocess="unit", labels=list("abcde"), **arguments,
        )  # fmt: skip
        for name, array in result.arrays().items():
            matching = [pattern for pattern in patterns if re.fullmatch(pattern, name)]
            assert len(matching) == 1, f"{name} is not declared"
            returned |= set(matching)
            check_array(array, patterns[matching[0]])
    assert returned == set(patterns), "an array is declared that no run returned"


def check_array(array, what):
    """Compare an array with its declaration: a type, a shape if it has one, and a meaning."""
    declared = re.match(r"(float|int64|uint8|text)(?: \[(.*?)\])?, ", what)
    if declared is None:
        assert what == "each of these, by each of several methods"
        return
    assert array.dtype.kind == KINDS[declared[1]], what
    if declared[1] in ("int64", "uint8"):
        assert array.dtype == np.dtype(declared[1]), what
    sizes = declared[2].split(", ") if declared[2] else []
    if "..." in sizes:
        assert array.ndim >= len(sizes), what
        return
    assert array.ndim == len(sizes), what
    for size, length in zip(sizes, array.shape, strict=True):
        assert not size.isdecimal() or int(size) == length, what


@views
def test_every_function_that_is_named_is_there(view):
    assert VIEWS[view.name] is view.resolve()
    if view.command is not None:
        for name in filter(None, (view.command.summary, view.command.rows)):
            assert callable(pkgutil.resolve_name(name))
        assert bool(view.command.rows) == bool(view.command.columns)

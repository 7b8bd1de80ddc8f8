"""Every function at a front door says what it takes, returns and raises."""

import importlib
import inspect
import re

import pytest

RAISE_NOTHING = {
    "read_metadata", "Option.described", "Preprocess.seen_box", "Covered.page", "Invariance.page",
    "Sliding.page",
}  # fmt: skip
DOORS = ("onnxplain.graphops", "onnxplain.engine", "onnxplain.client", "onnxplain.server")


def functions():
    """Yield the public functions of the front doors, and the public methods of their classes."""
    for door in DOORS:
        module = importlib.import_module(door)
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value) and not issubclass(value, Exception):
                for attribute, member in vars(value).items():
                    if inspect.isfunction(member) and not attribute.startswith("_"):
                        yield pytest.param(member, id=f"{door}.{name}.{attribute}")
            elif inspect.isfunction(value):
                yield pytest.param(value, id=f"{door}.{name}")


@pytest.mark.parametrize("function", list(functions()))
def test_a_function_is_documented(function):
    text = inspect.getdoc(function) or ""
    summary, _, rest = text.partition("\n\n")
    assert re.fullmatch(r"[A-Z][^\n]+\.", summary), "the first line is one sentence"
    signature = inspect.signature(function)
    arguments = [name for name in signature.parameters if name not in ("self", "cls")]
    section = re.search(r"Args:\n(.*?)(?:\n\n\S|\Z)", rest, re.DOTALL)
    for name in arguments:
        assert section and re.search(rf"^    \*{{0,2}}{name}: \S", section[1], re.MULTILINE), name
    if signature.return_annotation not in (None, "None", "NoReturn"):
        assert not arguments or "Returns:\n    " in rest or "Yields:\n    " in rest
    raises = function.__qualname__ not in RAISE_NOTHING
    assert ("Raises:\n    " in rest) == raises or not arguments


def test_a_class_is_documented():
    for door in DOORS:
        module = importlib.import_module(door)
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value):
                assert re.match(r"[A-Z][^\n]+[.:]", inspect.getdoc(value) or ""), name

"""Every function at a front door says what it takes, returns and raises, every class its fields."""

import importlib
import importlib.util
import inspect
import re
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

RAISE_NOTHING = {
    "read_metadata", "Option.described", "Preprocess.seen_box", "Covered.page", "Invariance.page",
    "Sliding.page",
}  # fmt: skip
DOORS = (
    "onnxplain.graphops", "onnxplain.engine", "onnxplain.registry", "onnxplain.client",
    "onnxplain.server",
)  # fmt: skip


ROOT = Path(__file__).parents[1]


def arguments(function):
    return list(inspect.signature(function).parameters)


def classes():
    """Yield the public classes of the front doors."""
    for door in DOORS:
        module = importlib.import_module(door)
        for name in module.__all__:
            if inspect.isclass(value := getattr(module, name)):
                yield pytest.param(value, id=f"{door}.{name}")


def functions():
    """Yield the public functions and methods of the front doors, and their arguments.

    A method's first is left out: `self`, or the engine, where it is a function in a class.
    """
    for door in DOORS:
        module = importlib.import_module(door)
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value) and not issubclass(value, Exception):
                for attribute, member in vars(value).items():
                    if inspect.isfunction(member) and not attribute.startswith("_"):
                        yield pytest.param(
                            member, arguments(member)[1:], id=f"{door}.{name}.{attribute}"
                        )
            elif inspect.isfunction(value):
                yield pytest.param(value, arguments(value), id=f"{door}.{name}")


@pytest.mark.parametrize(("function", "arguments"), list(functions()))
def test_a_function_is_documented(function, arguments):
    text = inspect.getdoc(function) or ""
    summary, _, rest = text.partition("\n\n")
    assert re.fullmatch(r"[A-Z][^\n]+\.", summary), "the first line is one sentence"
    signature = inspect.signature(function)
    section = re.search(r"Args:\n(.*?)(?:\n\n\S|\Z)", rest, re.DOTALL)
    for name in arguments:
        assert section and re.search(rf"^    \*{{0,2}}{name}: \S", section[1], re.MULTILINE), name
    if signature.return_annotation not in (None, "None", "NoReturn"):
        assert not arguments or "Returns:\n    " in rest or "Yields:\n    " in rest
    raises = function.__qualname__ not in RAISE_NOTHING
    assert ("Raises:\n    " in rest) == raises or not arguments


@pytest.mark.parametrize("described", list(classes()))
def test_a_class_is_documented(described):
    assert re.match(r"[A-Z][^\n]+[.:]", inspect.getdoc(described) or "")


@pytest.fixture(scope="module")
def reference_sections():
    """The extension that reads the docstrings of classes for the reference."""
    path = ROOT / "docs/reference_sections.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("described", [each for each in classes() if is_dataclass(each.values[0])])
def test_every_field_is_documented(described, reference_sections):
    documented = {}
    for base in (b for b in described.__mro__ if b.__doc__):
        documented |= reference_sections.documented_fields(base)
    assert {field.name for field in fields(described)} <= documented.keys()


def test_fields_are_told_from_prose(reference_sections):
    class Example:
        """One sentence: no entry.

        kernel, step: of its window. note: prose: "b: c", in
            two lines.

        Note that a: b is prose.
        """

        kernel: int
        step: int
        note: str

    assert reference_sections.documented_fields(Example) == {
        "kernel": "of its window.",
        "step": "of its window.",
        "note": 'prose: "b: c", in two lines.',
    }

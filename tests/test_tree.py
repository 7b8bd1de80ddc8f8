"""What holds for the whole tree: folders with front doors, unique names, files of readable size."""

import ast
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = {
    "graphops": ROOT / "graphops/onnxplain/graphops",
    "engine": ROOT / "service/onnxplain/engine",
    "registry": ROOT / "service/onnxplain/registry",
    "server": ROOT / "service/onnxplain/server",
    "client": ROOT / "clients/python/onnxplain/client",
    "cli": ROOT / "clients/python/onnxplain/cli",
}
MOST_LINES = 300


def modules(folder):
    return [p for p in sorted(folder.rglob("*.py")) if p.name != "__init__.py"]


EVERY = [path for folder in SOURCES.values() for path in sorted(folder.rglob("*.py"))]
FOLDERS = [
    path.parent for name in ("graphops", "engine") for path in SOURCES[name].rglob("*/__init__.py")
]
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def label(path):
    return str(path.relative_to(ROOT))


def dotted(folder):
    return "onnxplain." + ".".join(folder.parts[folder.parts.index("onnxplain") + 1 :])


@cache
def nodes(path):
    return list(ast.walk(ast.parse(path.read_text())))


@cache
def imports(path):
    """Return the modules that `from ... import` names, and what is imported from each."""
    found = [n for n in nodes(path) if isinstance(n, ast.ImportFrom) and n.module]
    return [(n.module, [alias.name for alias in n.names]) for n in found]


def public(folder):
    """Return the names in a folder's `__all__`."""
    for node in ast.parse((folder / "__init__.py").read_text()).body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if any(isinstance(t, ast.Name) and t.id == "__all__" for t in targets):
            return set(ast.literal_eval(node.value))
    return set()


@pytest.mark.parametrize("folder", FOLDERS, ids=label)
def test_a_folder_is_entered_by_its_front_door(folder):
    """Whoever is outside imports what the folder's `__init__` names, from there."""
    door, names = dotted(folder), public(folder)
    assert names
    for path in EVERY:
        if folder in path.parents:
            continue
        for module, imported in imports(path):
            assert not module.startswith(f"{door}."), f"{label(path)} imports {module}"
            if module == door:
                assert names >= set(imported), f"{label(path)}: {set(imported) - names}"


@pytest.mark.parametrize("folder", [*FOLDERS, *SOURCES.values()], ids=label)
def test_a_folder_says_what_it_is_for(folder):
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))
    assert re.match(r"[A-Z][^.]{20,}[.:]", text or "")


@pytest.mark.parametrize("package", SOURCES)
def test_no_two_modules_of_a_package_share_a_name(package):
    """But for a command, a method and a view of one thing."""
    places = defaultdict(list)
    for path in modules(SOURCES[package]):
        if path.parent.name not in ("commands", "methods", "views"):
            places[path.stem].append(path)
    assert [paths for paths in places.values() if len(paths) > 1] == []


def test_no_two_classes_share_a_name():
    """A command's private helper classes apart."""
    places = defaultdict(list)
    for path in EVERY:
        for node in nodes(path):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(label(path))
    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}


def test_no_file_is_too_long_to_read():
    lengths = {label(path): len(path.read_text().splitlines()) for path in EVERY}
    assert {name: n for name, n in lengths.items() if n > MOST_LINES} == {}


@pytest.mark.parametrize("path", TESTS, ids=label)
def test_tests_reach_no_private_names(path):
    own = ("self", "cls")
    for node in nodes(path):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("onnxplain"):
            private = [alias.name for alias in node.names if alias.name.startswith("_")]
            assert not private, f"line {node.lineno}: {private}"
        if isinstance(node, ast.Attribute) and re.match(r"_[a-z]", node.attr):
            inside = isinstance(node.value, ast.Name) and node.value.id in own
            known = node.attr in ("_repr_png_", "_asdict")  # protocols of others
            assert inside or known, f"line {node.lineno}: {node.attr}"
        if isinstance(node, ast.Call):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if called in ("setattr", "getattr", "hasattr", "delattr"):
                for argument in node.args:
                    text = argument.value if isinstance(argument, ast.Constant) else ""
                    private = re.search(r"(^|\.)_[a-z]", str(text))
                    assert not private, f"line {node.lineno}: {text}"

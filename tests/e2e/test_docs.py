"""Every file and folder that a page names exists, and the reference has every public name."""

import importlib
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]
PAGES.append(ROOT / "examples/README.md")
PACKAGES = [ROOT / folder for folder in (
    "deploy",
    "graphops/onnxplain/graphops", "service/onnxplain/engine", "service/onnxplain/registry",
    "service/onnxplain/server",
    "clients/python/onnxplain/cli", "clients/python/onnxplain/client",
)]  # fmt: skip
LINK = re.compile(r"\]\((?!https?:)([^)#]+)[^)]*\)")
URL = re.compile(r"https?://\S+")
# Names that begin with a top folder, end as text files of ours do, or end in a slash.
NAME = re.compile(
    r"""(?<![\w./-])(?:
        (?:bench|clients|docs|examples|graphops|proto|service|tests)/[\w./*-]*[\w*/]
        | [\w.*-][\w./*-]*\.(?:py|md|proto|toml)\b
        | [a-z]\w*/(?=[\s`<"),.]|$)
    )""",
    re.VERBOSE,
)


def missing(text, folder):
    """Return the names in a page's text that are no file, neither of a link nor of a package."""
    linked = [name for name in LINK.findall(text) if not (folder / name).exists()]
    named = NAME.findall(URL.sub("", LINK.sub("]", text)))
    bases = [ROOT, folder, *PACKAGES]
    return linked + [n for n in named if not any(list(base.glob(n)) for base in bases)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_a_page_names_exists(page):
    assert missing(page.read_text(), page.parent) == []


def test_a_name_that_is_gone_is_reported():
    page = "[map](map.md) of `operators/relu.py` in rooms/, see `tests/rules/test_*.py`, README.md"
    gone = ["map.md", "operators/relu.py", "rooms/", "tests/rules/test_*.py"]
    assert missing(page, ROOT / "docs") == gone


@pytest.mark.parametrize("package", ["engine", "graphops", "registry", "client"])
def test_the_reference_has_every_public_name(package):
    page = (ROOT / f"docs/reference/{package}.md").read_text()
    shown = re.findall(rf"^::: onnxplain\.{package}\.(?:\w+\.)*(\w+)$", page, re.MULTILINE)
    public = importlib.import_module(f"onnxplain.{package}").__all__
    assert sorted(set(shown) - {"errors"}) == sorted(public)
    assert len(shown) == len(set(shown))


def test_the_version_has_its_heading_in_the_changelog():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[:2] == ["Unreleased", version]

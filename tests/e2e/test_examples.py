"""The examples of every page run as they stand there, in order, and print what their comments show.

The mark `<!-- not run: REASON -->` before an example leaves it out; NOT_RUN lists all of these.
"""

import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "examples/README.md",
    ROOT / "clients/python/README.md",
    *sorted(ROOT.glob("docs/**/*.md")),
]
NOT_RUN = {
    "examples/README.md": ["it trains for ten minutes"],
    "README.md": ["it installs packages", "it installs packages"],
    "docs/command-line.md": ["it changes a shell's settings"],
    "docs/methods.md": ["it takes minutes"],
    "docs/clients.md": [
        "it needs a service with certificates, which tests/client/test_channels.py has",
        *["it needs tritonclient, which tests/server/test_triton.py runs in a process of its own"]
        * 2,
    ],
    "docs/service.md": ["tests/e2e/test_deployment.py runs it, with certificates"],
    "docs/add-a-rule.md": ["parts of modules, which tests/e2e/test_add_a_rule.py runs"] * 3,
}
COMMAND = re.compile(r"^(?:\$ )?(?:onnxplain|make|python|pip) ", re.MULTILINE)
EXAMPLE = re.compile(r"(?:<!-- not run: ([^\n]*) -->\n+)?```(python|sh)\n(.*?)```", re.DOTALL)
# What a print shows: the comment behind it, or the comments below it.
SHOWN = re.compile(r"^ *print\(.*\)(?:  # (.*)|\n((?:# .*\n)+))", re.MULTILINE)
WRITTEN = re.compile(
    r"""\bsave\w*\("([^"{]+)"|^save\(.*, "([^"]+)"\)$|(?<= )-o (\S+)""", re.MULTILINE
)
LISTEN = "127.0.0.1:50051"
SERVE = re.compile(r"^onnxplain serve (?!.*--(?:check-config|new-token))", re.MULTILINE)
# Text that is no program: tests/e2e/test_deployment.py reads it.
DATA = {"dockerfile", "ini", "toml", "yaml"}


def label(page):
    return page.relative_to(ROOT).as_posix()


def examples(page):
    """Return the mark, the language and the code of each example of a page."""
    return EXAMPLE.findall(page.read_text())


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the examples, and `onnxplain` on the PATH, in place of the repository."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    command = tmp_path / "bin/onnxplain"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m onnxplain.cli "$@"\n')
    command.chmod(0o755)
    tools = Path(sys.executable).parent  # such as buf
    monkeypatch.setenv("PATH", f"{command.parent}:{os.environ['PATH']}:{tools}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def gallery(folder):
    """What `make gallery` makes before its commands: checkpoints and a large picture."""
    made = folder / ".gallery"
    made.mkdir()
    for epoch in (1, 2, 5, 10):
        (made / f"epoch_{epoch:02}.onnx").symlink_to(ROOT / "examples/shapes.onnx")
    with Image.open(ROOT / "examples/pictures/star_1.png") as star:
        star.resize((192, 160)).save(made / "large.png")


@contextlib.contextmanager
def served(command):
    """Run the command of a service on a free port, and yield its address."""
    server = subprocess.Popen(
        ["bash", "-c", "exec " + command.replace(LISTEN, "127.0.0.1:0")],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    with server:
        try:
            yield server.stdout.readline().split()[-1]
        finally:
            server.terminate()


def run_python(code, names):
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(code, names)
    shown = [one or below.replace("# ", "").strip() for one, below in SHOWN.findall(code)]
    assert output.getvalue().splitlines() == "\n".join(shown).splitlines()


def run_shell(code):
    done = subprocess.run(["bash", "-ec", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# What PyTorch's exporter warns of itself is not our concern.
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning:torch")
@pytest.mark.parametrize("page", [p for p in PAGES if examples(p)], ids=label)
def test_the_examples_run(page, folder, gallery):
    if label(page) == "docs/gallery.md" and "ONNXPLAIN_PROPERTY_CASES" not in os.environ:
        pytest.skip("its many drawings are part of make test-all")
    names, address = {}, LISTEN
    with contextlib.ExitStack() as servers:
        for mark, language, code in examples(page):
            code = code.replace(LISTEN, address)
            if mark:
                continue
            if SERVE.search(code):
                address = servers.enter_context(served(code))
            elif language == "sh":
                run_shell(code)
            else:
                run_python(code, names)
            for written in WRITTEN.findall(code):
                assert (folder / "".join(written)).stat().st_size > 0, written


@pytest.mark.parametrize("page", PAGES, ids=label)
def test_only_these_examples_are_not_run(page):
    assert [mark for mark, _, _ in examples(page) if mark] == NOT_RUN.get(label(page), [])


@pytest.mark.parametrize("page", PAGES, ids=label)
def test_every_example_is_taken_for_one(page):
    text = page.read_text()
    assert text.count("<!-- not run") == len(NOT_RUN.get(label(page), []))
    fences = re.findall(r"^```(\w*)\n((?s:.*?))^```$", text, re.MULTILINE)
    assert {language for language, _ in fences} <= {"python", "sh", "mermaid", "", *DATA}
    assert not [code for language, code in fences if not language and COMMAND.search(code)]

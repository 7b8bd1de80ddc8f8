"""Tables, sizes and progress."""

import io
import sys
import time

import pytest

from onnxplain.cli.output import Progress, printable, size, table, working


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_table_is_aligned_and_without_empty_columns() -> None:
    text = table(("name", "note", "size"), [("a", "", "10"), ("longer", "", "7")])
    assert text.splitlines() == ["name    size", "a       10", "longer  7"]


def test_control_characters_are_escaped() -> None:
    assert printable("caf\u00e9\x1b[2J\n\u202e") == "caf\u00e9\\x1b[2J\\n\\u202e"


@pytest.mark.parametrize(
    ("count", "text"),
    [(999, "999 B"), (1234, "1.23 kB"), (97_800_000, "97.8 MB"), (2**31, "2.15 GB")],
)
def test_size(count: int, text: str) -> None:
    assert size(count) == text


def test_progress_shows_after_a_second_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with working("counting") as progress:
        progress(3, 7)
        time.sleep(1.2)
    shown = terminal.getvalue().split("\r\x1b[K")
    assert shown[0] == ""
    assert shown[1].startswith("counting 3/7 (1 s)")
    assert shown[-1] == ""


def test_progress_tells_the_runs_of_a_step_under_way() -> None:
    progress = Progress()
    assert str(progress) == ""
    progress(3, 8)
    assert str(progress) == " 3/8"
    progress.runs(20, 50)
    assert str(progress) == " 3/8 + 20/50"
    progress(4, 8)
    assert str(progress) == " 4/8"


def test_quick_work_shows_no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with working("counting") as progress:
        progress(1, 1)
    assert terminal.getvalue() == ""


def test_no_progress_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)
    with working("counting") as progress:
        progress(3, 7)
        time.sleep(1.2)
    assert file.getvalue() == ""

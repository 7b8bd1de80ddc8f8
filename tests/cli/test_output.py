"""Tables and sizes."""

import pytest

from onnxplain.cli.output import printable, size, table


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

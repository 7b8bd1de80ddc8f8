"""Texts on figures: measured, cut and wrapped; characters that no font has."""

import pytest
from matplotlib import font_manager

from onnxplain.engine.drawing.lettering import Lettering, plain_text


def test_a_text_is_cut_where_it_is_too_wide():
    letters = Lettering("")
    text = "a caption of many words"
    assert letters.cut(text, 8, 10) == text
    cut = letters.cut(text, 8, 0.7)
    assert cut.endswith("…")
    assert text.startswith(cut[:-1].rstrip())
    assert letters.width(cut, 8) <= 0.7 < letters.width(text[: len(cut) + 2] + "…", 8)


def test_a_text_is_wrapped_between_words_and_a_long_word_is_cut():
    letters = Lettering("")
    lines = letters.wrapped("one two three " + "x" * 200, 8, 0.8)
    assert " ".join(lines[:-1]) == "one two three"
    assert lines[-1].endswith("…")
    assert all(letters.width(line, 8) <= 0.8 for line in lines)


def test_a_line_has_no_breaks_and_no_control_characters():
    assert plain_text("a\nb\tc  d") == "a b c d"
    assert plain_text("a\x1bb") == "a\ufffdb"


def test_characters_are_found_in_another_installed_font():
    """Of the default font they are missing; matplotlib's own STIX fonts have them."""
    default = font_manager.get_font(font_manager.findfont(font_manager.FontProperties()))
    for font in ("STIXGeneral", "cmsy10", "cmex10", "STIXNonUnicode"):
        path = font_manager.findfont(font)
        lacking = set(font_manager.get_font(path).get_charmap()) - set(default.get_charmap())
        if lacking:
            break
    character = next(chr(code) for code in sorted(lacking) if chr(code).isprintable())
    letters = Lettering(f"a{character}")
    assert len(letters.family) > 1
    assert letters.written(f"a{character}") == f"a{character}"
    found = font_manager.findfont(letters.family[-1])
    assert ord(character) in font_manager.get_font(found).get_charmap()


def test_characters_that_no_font_has_are_replaced():
    letters = Lettering("a\U000100fa")
    assert letters.written("a\U000100fa") == "a\ufffd"


@pytest.mark.parametrize("text", ["", "$", "a$b$c", "猫", "\U0001f600"])
def test_any_text_has_a_width(text):
    letters = Lettering(text)
    assert letters.width(text, 8) >= 0
    assert (letters.width(text, 8) > 0) == bool(text)

"""A view that is declared has its command: its flags, its files, its summary and its help."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from cli.running import Run
from PIL import Image

from onnxplain.engine import VIEWS, View
from onnxplain.engine.drawing import Frame, Page, Style, picture_panel
from onnxplain.engine.views import DECLARED_VIEWS, ViewArgument, ViewCommand, ViewDeclaration


@dataclass
class Colour(View):
    mean: np.ndarray
    notes: tuple[str, ...] = ("it has a colour",)

    def page(self, style: Style) -> Page:
        pixels = self.mean.astype(np.uint8)[None, None]
        return Page("colour", [[picture_panel(("mean",), Frame.whole((1, 1), pixels))]])

    def arrays(self) -> dict[str, np.ndarray]:
        return {"mean": self.mean}


def mean_colour(
    engine, model, picture, times=1, words=(), *, labels=None, preprocess=None, progress
):
    progress(0, 1)
    pixels = np.asarray(Image.open(picture)).astype(np.float64)
    return Colour(times * pixels.mean(axis=(0, 1)) + len(words))


def summary(arrays):
    return [f"mean: {arrays['mean'].mean():.2f}"]


def rows(arrays, pictures):
    return [{"picture": pictures[0], "mean": value} for value in arrays["mean"].tolist()]


DECLARED = ViewDeclaration(
    name="colour",
    function=f"{__name__}:mean_colour",
    arguments=(
        ViewArgument("times", "integer", "a factor", 2, "--times"),
        ViewArgument("words", "text", "words", flag="--word", metavar="WORD", many=True),
    ),
    arrays={"mean": "float [3], the mean of each colour"},
    command=ViewCommand(
        help="draw a colour",
        description="Draw the mean colour.",
        doing="looking",
        summary=f"{__name__}:summary",
        rows=f"{__name__}:rows",
        columns=("picture", "mean"),
    ),
)


@pytest.fixture(autouse=True)
def declared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DECLARED_VIEWS, "colour", DECLARED)


def test_its_command_draws_it(run: Run, network: Path, picture: Path) -> None:
    mean = np.asarray(Image.open(picture)).astype(np.float64).mean(axis=(0, 1))
    result = run("colour", network, picture)
    assert result.code == 0, result.error
    expected = [f"{picture}  {2 * value:.4g}" for value in mean]
    assert result.out.splitlines()[1:4] == expected
    assert result.out.splitlines()[4:] == [f"mean: {2 * mean.mean():.2f}", "wrote cat_colour.png"]
    assert result.error == "onnxplain: it has a colour\n"
    assert Path("cat_colour.png").exists()
    flags = ("--times", 3, "--word", "a", "--word", "b", "--npz", "c.npz", "--json")
    result = run("colour", network, picture, *flags)
    assert [row["mean"] for row in json.loads(result.out)] == pytest.approx(3 * mean + 2)
    with np.load("c.npz") as saved:
        np.testing.assert_allclose(saved["mean"], 3 * mean + 2)
    shown = ("--dpi", 50, "--width", 2, "-o", "c.png")
    assert run("colour", network, picture, *shown).code == 0
    with Image.open("c.png") as drawn:
        assert drawn.width == 100


def test_its_help_says_what_is_declared(run: Run) -> None:
    text = " ".join(run("colour", "--help").out.split())
    for words in ("--times N a factor (default: 2)", "--word WORD words", "Draw the mean colour",
                  "IMAGE_colour.png", "mean (float [3], the mean of each colour)"):  # fmt: skip
        assert words in text
    assert "draw a colour" in run("--help").out


def test_it_is_among_the_views() -> None:
    assert VIEWS["colour"] is mean_colour
    assert len(VIEWS) == len(DECLARED_VIEWS)

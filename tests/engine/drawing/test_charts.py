"""Line charts: colours, round ticks, labels."""

import numpy as np
from matplotlib.figure import Figure

from onnxplain.engine.drawing import Style, chart_panel

X = np.linspace(-0.25, 0.25, 25)


def chart(curves, axis="x"):
    ax = Figure(figsize=(3, 2)).add_subplot()
    chart_panel(("c",), X, curves, axis).paint(ax, Style())
    return ax


def test_curves_have_colours_that_colour_blind_readers_distinguish():
    """Okabe and Ito's, of which no two repeat with the same dashes."""
    ax = chart({f"layer {n}": X + n for n in range(9)})
    looks = [(line.get_color(), line.get_linestyle()) for line in ax.get_lines()]
    assert [colour for colour, _ in looks[:3]] == ["#0072b2", "#d55e00", "#009e73"]
    assert len(set(looks)) == 9
    assert [t.get_text() for t in ax.get_legend().get_texts()] == [f"layer {n}" for n in range(9)]
    assert chart({"one": X**2}).get_legend() is None


def test_ticks_are_round_and_start_at_zero():
    ax = chart({"p": 0.1 + X**2})
    for ticks in (ax.get_xticks(), ax.get_yticks()):
        step = np.diff(ticks)[0]
        np.testing.assert_allclose(ticks / step, np.rint(ticks / step), atol=1e-9)
        assert float(f"{step:.0e}") == step or float(f"{step:.1e}") == step
    assert ax.get_ylim()[0] == 0
    assert chart({"p": X}).get_ylim()[0] < -0.2


def test_labels_are_texts_not_formulas():
    ax = chart({"$a": X, "b$": X}, axis="cost in $ and $")
    Figure.draw_without_rendering(ax.figure)
    assert ax.xaxis.label.get_text() == "cost in $ and $"
    assert not ax.xaxis.label.get_parse_math()
    assert not any(t.get_parse_math() for t in ax.get_legend().get_texts())


def test_nan_does_not_stop_a_chart():
    values = X.copy()
    values[3] = np.nan
    assert len(chart({"a": values}).get_lines()) == 1

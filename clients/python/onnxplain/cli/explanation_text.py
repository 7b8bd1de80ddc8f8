"""The numbers of an explanation as the command line prints them: a table, or JSON."""

from __future__ import annotations

import argparse
import math
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from onnxplain.cli.inputs import image_names
from onnxplain.cli.output import table

if TYPE_CHECKING:
    from onnxplain.engine import Explanation

__all__ = ["percent", "summary_of", "table_of"]


def table_of(images: list[str], explanation: Explanation) -> str:
    """Return one line per unit: its score or activity, its probability, and the like."""
    lines, value = [], _value_name(explanation)
    for i, image in enumerate(image_names(images, len(explanation.score))):
        for j, row in enumerate(_rows(explanation, i)):
            lines.append(
                (
                    os.path.basename(image) if j == 0 else "",
                    "whole" if row["channel"] < 0 else str(row["channel"]),
                    row["label"],
                    _number(row[value]),
                    percent(row["probability"]) if "probability" in row else "",
                    ",".join(str(p) for p in row["position"] or []),
                    _number(row["completeness_error"]) if "completeness_error" in row else "",
                )
            )
    header = (
        "picture", "channel", "label", value, "probability", "position", "completeness error",
    )  # fmt: skip
    return table(header, lines)


def summary_of(
    arguments: argparse.Namespace, explanation: Explanation, files: dict[str, str]
) -> dict[str, Any]:
    """Return what `--json` prints of an explanation."""
    used = explanation.preprocess
    return {
        "model": arguments.model,
        "layer": explanation.layer,
        "method": explanation.method,
        "to": explanation.to,
        "preprocess": None if used is None else asdict(used),
        "notes": list(explanation.notes),
        "files": files,
        "images": [
            {"image": image, "units": _rows(explanation, i)}
            for i, image in enumerate(image_names(arguments.images, len(explanation.score)))
        ],
    }


def percent(fraction: float | None) -> str:
    """Return a probability in percent, to three digits: '26.4%'."""
    return "not finite" if fraction is None else f"{100 * fraction:.3g}%"


def _value_name(explanation: Explanation) -> str:
    """Return "score" for a class's raw score, the network's output before the Softmax.

    Else "activity": of a unit at its position, or summed over all; or, where the signal starts with
    the unit's own activation, the norm of that, which has no sign.
    """
    is_class = explanation.probability is not None or bool(explanation.labels)
    return "score" if is_class and explanation.seed_value != "activation" else "activity"


def _rows(explanation: Explanation, image: int) -> list[dict[str, Any]]:
    """Return the channel, label, score or activity, and position of each unit on one picture."""
    rows, value = [], _value_name(explanation)
    position, error = explanation.position, explanation.completeness_error
    sign = -1 if explanation.negated and explanation.seed_value != "activation" else 1
    for unit, channel in enumerate(explanation.channels[image].tolist()):
        row = {
            "channel": channel,
            "label": (explanation.labels[channel : channel + 1] or ("",))[0],
            value: _finite(sign * explanation.strength[image, unit]),
            "position": None if position is None else position[image, unit].tolist(),
        }
        if explanation.probability is not None:
            row["probability"] = _finite(explanation.probability[image, unit])
        if error is not None:
            row["completeness_error"] = _finite(error[image, unit])
        rows.append(row)
    return rows


def _finite(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None


def _number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.4g}"

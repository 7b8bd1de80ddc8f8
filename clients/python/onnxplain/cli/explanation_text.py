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

__all__ = ["summary_of", "table_of"]


def table_of(images: list[str], explanation: Explanation) -> str:
    """Return one line per unit: its strength and probability, the method's completeness error."""
    lines, strength = [], explanation.strength_name
    for i, image in enumerate(image_names(images, len(explanation.score))):
        for j, row in enumerate(_rows(explanation, i)):
            probability = row.get("probability", "")
            error = row.get("completeness_error", "")
            lines.append(
                (
                    os.path.basename(image) if j == 0 else "",
                    "whole" if row["channel"] < 0 else str(row["channel"]),
                    row["label"],
                    _number(row[strength]),
                    "" if probability == "" else _number(probability),
                    ",".join(str(p) for p in row["position"] or []),
                    "" if error == "" else _number(error),
                )
            )
    header = (
        "picture", "channel", "label", strength, "probability", "position", "completeness error",
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


def _rows(explanation: Explanation, image: int) -> list[dict[str, Any]]:
    """Return the channel, label, score and position of each unit on one picture."""
    rows = []
    position, error = explanation.position, explanation.completeness_error
    for unit, channel in enumerate(explanation.channels[image].tolist()):
        row = {
            "channel": channel,
            "label": (explanation.labels[channel : channel + 1] or ("",))[0],
            "score": _finite(explanation.score[image, unit]),
            "position": None if position is None else position[image, unit].tolist(),
        }
        if explanation.seed_value == "activation":
            row["activity"] = _finite(explanation.strength[image, unit])
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

"""The page that `default_layers.py` writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from parity_table import VERSIONS

__all__ = ["write_page"]

EXPORTERS = ("TorchScript", "dynamo")
HEADER = ("family", "network", "last stage", "exporter", "class score", "map layer", "LRP error")


def write_page(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write the page, one row per network and exporter."""
    path.write_text("\n".join(_page(rows)) + "\n")


def _page(rows: list[dict[str, Any]]) -> Iterator[str]:
    files = [row[e] for row in rows for e in EXPORTERS]
    score = sum(f.get("score") == "right" for f in files)
    maps = sum(f.get("map") == "right" for f in files)
    yield "# Default layers of well-known networks"
    yield ""
    yield "`make default-layers` writes this page, with " + ", ".join(
        f"{package} {version}" for package, version in VERSIONS.items()
    )
    yield ""
    yield (
        f"Networks of torchvision and timm, each with a softmax behind it, written by two\n"
        f"exporters. Of {len(files)} files, the default class score is right in {score}: it has\n"
        f"the values of the classifier's output. The default layer of class activation maps is\n"
        f"right in {maps}: it has the values of the module that the library calls the last stage\n"
        f"(behind DenseNet's functional ReLU), or there is none where the classes have positions.\n"
        f"The LRP error is the completeness error of method lrp for the top class, relative to\n"
        f"its score; biases absorb relevance, and weights are random."
    )
    yield ""
    yield "| " + " | ".join(HEADER) + " |"
    yield "|" + "---|" * len(HEADER)
    for row in rows:
        for exporter in EXPORTERS:
            found = row[exporter]
            cells = [row["family"], row["net"], f"`{row['stage']}`", exporter]
            if "failure" in found:
                cells += [found["failure"], "", ""]
            else:
                cells += [
                    f"`{found['score layer']}` {found['score']}",
                    f"`{found['map layer']}` {found['map']}",
                    f"{found['lrp']:.0e}" if "lrp" in found else "",
                ]
            yield "| " + " | ".join(cells) + " |"

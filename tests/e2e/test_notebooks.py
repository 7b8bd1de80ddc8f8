"""The notebooks of examples/ run from top to bottom, and are stored without outputs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}

parametrize = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@parametrize
def test_a_notebook_runs(path, tmp_path):
    (tmp_path / "examples").symlink_to(EXAMPLES)
    done = subprocess.run(
        [sys.executable, EXAMPLES / "run_notebooks.py", tmp_path / "out", path],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    cells = json.loads((tmp_path / "out" / path.name).read_text())["cells"]
    drawn = [
        o for cell in cells for o in cell.get("outputs", []) if "image/png" in o.get("data", {})
    ]
    assert drawn or path.stem == "from_pytorch_to_production"


@parametrize
def test_a_notebook_is_stored_without_outputs(path):
    stored = json.loads(path.read_text("utf-8"))
    assert stored["metadata"] == METADATA
    for cell in stored["cells"]:
        assert cell["metadata"] == {}
        assert cell.get("execution_count") is None
        assert not cell.get("outputs")


def test_there_are_notebooks():
    assert len(NOTEBOOKS) == 4

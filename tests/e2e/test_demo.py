"""What `make demo` runs."""

import subprocess
import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[2]


def test_the_demo_runs_and_shows_where_its_pictures_are():
    command = [sys.executable, str(ROOT / "examples/demo.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    grid = Path(done.stdout.splitlines()[-1])
    with Image.open(grid) as image:
        assert image.width > 500

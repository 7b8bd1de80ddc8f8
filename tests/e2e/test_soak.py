"""`make soak` in short: mixed load through edge and workers while workers are killed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(sys.platform != "linux", reason="workers are isolated on Linux only")
def test_every_call_ends_with_the_right_answer_or_a_documented_status(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Reliability\n\n## Fuzzing\n\nNothing.\n")
    command = ["bench/soak.py", "--minutes", "0.3", "--clients", "6", "--kill-every", "4"]
    done = subprocess.run(
        [sys.executable, *command, "--page", page],
        cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Nothing went wrong, and at the end no slot was taken." in done.stdout
    heading, fuzzing, soak = page.read_text().split("\n## ")
    assert (heading, fuzzing) == ("# Reliability\n", "Fuzzing\n\nNothing.\n")
    assert done.stdout.strip() in soak

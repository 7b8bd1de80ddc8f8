"""Nothing of what is explained is reported to anyone."""

import subprocess
import sys


def test_the_runtime_is_told_before_it_is_imported():
    code = "import os, sys; import onnxplain.engine; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1"]

"""Models made to do harm: each ends in the right error, soon and without a path in its text."""

import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from hostile.crafted_models import CRAFTED

from onnxplain.engine import Engine
from onnxplain.graphops import Network, check, layers, load, rewrite
from onnxplain.graphops.errors import OnnxplainError, OutOfMemory

IMAGE = np.zeros((1, 3, 8, 8), np.float32)
SECONDS = 20  # a limit against what takes for ever; most take milliseconds
LIMITED = [name for name, (error, _) in CRAFTED.items() if error is OutOfMemory]


def data_of(name):
    made = CRAFTED[name][1]()
    return made if isinstance(made, bytes) else made.SerializeToString()


def explain(data):
    network = Network(data)
    layers(network)
    check(network)
    rewrite(network, None, "gradient")
    Engine("cpu", threads=1).limited(SECONDS, None).explain(network.model, IMAGE, None, "gradient")


@pytest.mark.parametrize("name", sorted(CRAFTED.keys() - set(LIMITED)))
def test_a_crafted_model(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data, begun = data_of(name), time.monotonic()
    if CRAFTED[name][0] is None:
        explain(data)
    else:
        with pytest.raises(OnnxplainError) as caught:
            explain(data)
        assert type(caught.value) is CRAFTED[name][0], repr(caught.value)
        text = str(caught.value)
        assert "Traceback" not in text and "/" not in text and "\n" not in text
        assert len(text) < 2000
    assert time.monotonic() - begun < SECONDS
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", LIMITED)
def test_more_memory_than_there_is(name, tmp_path):
    """Under a limit such as a worker's. In a process of its own, as the limit is one's own too."""
    (tmp_path / "model.onnx").write_bytes(data_of(name))
    program = f"""if True:
        import resource, sys
        sys.path.insert(0, {str(Path(__file__).parents[1])!r})
        from hostile.test_crafted_models import limit, explain
        limit(2**31)
        explain(open({str(tmp_path / "model.onnx")!r}, "rb").read())
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr.strip().splitlines()[-1].startswith("onnxplain.graphops.errors.OutOfMemory")


def limit(more):
    """Limit this process's addresses to `more` than it has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def test_session_options_of_a_model_are_dropped(tmp_path, monkeypatch):
    """ONNX Runtime reads them where an environment variable says so."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ORT_LOAD_CONFIG_FROM_MODEL", "1")
    data = data_of("session options")
    assert not load(data).metadata_props
    explain(data)
    assert list(tmp_path.iterdir()) == []  # no profile
    explain(onnx.ModelProto.FromString(data))
    assert list(tmp_path.iterdir()) == []


def test_fields_that_onnx_does_not_know_are_dropped():
    """Another version of ONNX, such as ONNX Runtime's own, might read them."""
    data = data_of("two nodes of one name") + b"\xf2\x3e\x04evil"
    assert b"evil" not in load(data).SerializeToString()

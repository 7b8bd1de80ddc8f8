"""Where ONNX Runtime places the nodes of artefacts for CUDA, as ONNX Runtime says itself."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import onnx
import onnxruntime as ort
import pytest
from artefacts import artefact
from nets import export

from onnxplain.graphops import load

ROOT = Path(__file__).parents[2]
PROVIDER = Path(ort.__file__).parent / "capi" / "libonnxruntime_providers_cuda.so"
TOOLS = all(map(shutil.which, ("gcc", "nm", "strings")))
METHODS = ("gradient", "deconvnet", "guided_backprop", "grad_cam", "lrp_epsilon_plus", "deeplift")
UNPOOL = """
<ir_version: 8, opset_import: ["": 17]>
unpool (float[1, 1, 2, 2] x, int64[1, 1, 2, 2] i) => (float[1, 1, 4, 4] y)
{ y = MaxUnpool <kernel_shape = [2, 2], strides = [2, 2]> (x, i) }
"""


@pytest.mark.skipif("ONNXPLAIN_PROPERTY_CASES" not in os.environ, reason="part of make test-all")
@pytest.mark.skipif(not (PROVIDER.exists() and TOOLS), reason="needs onnxruntime-gpu and gcc")
def test_all_but_the_arithmetic_of_sizes_runs_on_the_gpu(tmp_path, monkeypatch):
    """The table is ONNX Runtime's word: a node without a CUDA kernel would be on the CPU."""
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    from gpu_artefacts import to_float16

    nets = {name: export(name) for name in ("inception", "resnet")}  # of any height and width
    nets["example"] = load(ROOT / "examples" / "shapes.onnx")
    made = {"unpool-forward": [onnx.parser.parse_model(UNPOOL)] * 2}
    for name, net in nets.items():
        both = made[f"{name}-forward"] = [net, to_float16(net)]
        for method in METHODS:
            made[f"{name}-{method}"] = [artefact(m, method=method, target="cuda") for m in both]
    for name, models in made.items():
        for model, dtype in zip(models, ("float32", "float16"), strict=True):
            onnx.save(model, tmp_path / f"{name}-{dtype}.onnx")
    command = [sys.executable, str(ROOT / "bench" / "gpu_placement.py"), str(tmp_path)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in printed.splitlines()]
    found = {f"{row[0]}-{row[1]}": row[2:] for row in rows[2:] if len(row) > 2}
    assert found.keys() == made.keys()
    nodes, _, others, *_ = found.pop("unpool-forward")
    assert (nodes, others) == ("0", "nodes 1")  # it has no CUDA kernel: the table can tell
    for name, (nodes, _, others, to_cpu, _, fixed, copies, graph) in found.items():
        assert all(int(n) > 10 for n in nodes.split(" / ")), name
        assert (others, to_cpu) == ("none", "0"), name
        if name.startswith("example") and name != "example-deeplift":  # it doubles the batch
            assert (fixed, copies, graph) == ("0", "0", "yes"), name

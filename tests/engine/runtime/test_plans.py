"""What the engine runs: the fast lowering, which means the same as the plain one."""

import json

import numpy as np
import pytest
from artefacts import run
from engine.nets import with_random_weights

from onnxplain.engine import Engine
from onnxplain.engine.runtime import plans
from onnxplain.graphops import Options, read_metadata, rewrite

# Whole blocks of 16 channels, which the fast lowering keeps in ONNX Runtime's layout.
WIDE = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, 20, 20] x, float[16, 3, 3, 3] w1, float[32, 16, 3, 3] w2, float[32, 5] w3)
    => (float[N, 5] scores)
{
    c1 = Conv <pads = [1, 1, 1, 1]> (x, w1)
    r1 = Relu (c1)
    p1 = MaxPool <kernel_shape = [3, 3], strides = [2, 2]> (r1)
    c2 = Conv <pads = [1, 1, 1, 1]> (p1, w2)
    r2 = Relu (c2)
    g = GlobalAveragePool (r2)
    f = Flatten (g)
    scores = MatMul (f, w3)
}
"""


@pytest.mark.parametrize("method", ["gradient", "deconvnet", "smoothgrad", "grad_cam", "lrp"])
def test_the_engine_runs_the_fast_lowering(monkeypatch, method):
    made = []

    def kept(*arguments):
        made.append(rewrite(*arguments))
        return made[-1]

    monkeypatch.setattr(plans, "rewrite", kept)
    model = with_random_weights(WIDE)
    x = np.random.default_rng(0).standard_normal((2, 3, 20, 20)).astype(np.float32)
    found = Engine("cpu", threads=1).explain(model, x, method=method, units=[3])
    chosen = [json.loads(read_metadata(one)["onnxplain.options"]) for one in made]
    assert chosen and {options["lowering"] for options in chosen} == {"fast"}
    if method != "smoothgrad":  # whose noise is the engine's own
        plain = rewrite(model, None, method, Options(lowering="plain"))
        expected = run(plain, x=x, channel=np.array([3, 3]))["attribution"]
        bound = 1e-5 * np.abs(expected).max()
        np.testing.assert_allclose(found.attribution[:, 0], expected, atol=bound, rtol=0)

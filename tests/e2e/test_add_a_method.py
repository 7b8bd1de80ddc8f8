"""The examples of docs/add-a-method.md run, and compute what it says."""

import re
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
from artefacts import weights
from oracle import relative_error
from torch import nn

from onnxplain.graphops import load, rewrite

ROOT = Path(__file__).parents[2]
EXAMPLE, TIMES_INPUT = re.findall(
    r"```python\n(.*?)```", (ROOT / "docs/add-a-method.md").read_text(), re.DOTALL
)


class PassesAll(nn.Module):
    """A ReLU whose backward pass is that of the identity."""

    def forward(self, x):
        return x + (torch.relu(x) - x).detach()


def example_network(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    from shapes_net import ShapeNet

    net = ShapeNet().eval()
    values = weights(load(ROOT / "examples/shapes.onnx"))
    net.load_state_dict({n: torch.tensor(v) for n, v in values.items()}, strict=False)
    for module in list(net.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.ReLU):
                setattr(module, name, PassesAll())
    return net


def test_the_examples_are_short():
    for example in (EXAMPLE, TIMES_INPUT):
        assert len([line for line in example.splitlines() if line]) < 10


def test_the_second_example_is_gradient_times_input(tmp_path, monkeypatch):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    exec(TIMES_INPUT, {})
    x = np.random.default_rng(0).standard_normal((2, 3, 64, 64)).astype(np.float32)
    feeds = {"image": x, "channel": np.array([3, 1])}
    known = rewrite(load("examples/shapes.onnx"), None, "gradient").SerializeToString()
    gradient, found = (
        ort.InferenceSession(model, providers=["CPUExecutionProvider"]).run(["attribution"], feeds)
        for model in (known, "mine.onnx")
    )
    np.testing.assert_allclose(found[0], gradient[0] * x, rtol=1e-4, atol=1e-6)


def test_the_example_passes_rectifiers_as_if_they_were_not_there(tmp_path, monkeypatch):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    exec(EXAMPLE, {})
    x = np.random.default_rng(0).standard_normal((2, 3, 64, 64)).astype(np.float32)
    session = ort.InferenceSession("linear.onnx", providers=["CPUExecutionProvider"])
    feeds = {"image": x, "channel": np.array([3, 40])}
    scores, found = session.run(["scores", "attribution"], feeds)

    net = example_network(monkeypatch)
    image = torch.tensor(x, requires_grad=True)
    seen = []
    net.mixed.register_forward_hook(lambda module, inputs, y: seen.append(y))
    np.testing.assert_allclose(net(image).detach().numpy(), scores, rtol=1e-4, atol=1e-4)
    score = seen[0][0, 3].sum() + seen[0][1, 40].sum()
    (expected,) = torch.autograd.grad(score, image)
    assert relative_error(found, expected) < 1e-4

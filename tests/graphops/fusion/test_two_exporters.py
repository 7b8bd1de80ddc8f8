"""The same network from two exporters, and the rows of a batch, by every method."""

from functools import cache

import numpy as np
import pytest
import torch
from artefacts import artefact, images, run, session
from exporters import torch_export
from modern_nets import CLASSES, NETS, SIZE, build
from nets import to_onnx
from oracle import relative_error
from zennit_oracle import relevance

from onnxplain.graphops import METHODS, check

EXPORTERS = ("script 12", "script 17", "dynamo 18", "dynamo 20", "dynamo 22")
MAPS = [name for name, method in METHODS.items() if method.over == "target" and name != "inverse"]
SAMPLED = ("smoothgrad", "smoothgrad_sq", "vargrad", "integrated_gradients")


@cache
def exported(name, exporter):
    kind, opset = exporter.split()
    net, x = build(NETS[name]), torch.zeros(2, 3, *SIZE)
    if kind == "script":
        return to_onnx(net, x, {0: "N"}, int(opset))
    free = ({0: torch.export.Dim.DYNAMIC},)
    program = torch_export(
        net, x, dynamo=True, opset_version=int(opset), dynamic_shapes=free, verbose=False
    )
    return program.model_proto


@cache
def opened(name, exporter, method):
    bounds = {"low": (-4.0,), "high": (4.0,)} if "box" in method else {}
    small = {"samples": 3} if method in SAMPLED[:3] else {}
    steps = {"steps": 4} if method == "integrated_gradients" else {}
    return session(artefact(exported(name, exporter), None, method, **bounds, **small, **steps))


def explained(name, exporter, method, rows=slice(None)):
    x, channel = images(3, SIZE)[rows], np.array([0, 2, CLASSES - 1])[rows]
    return run(opened(name, exporter, method), x=x, channel=channel)


@pytest.mark.parametrize("method", MAPS)
@pytest.mark.parametrize("name", NETS)
def test_the_same_map(name, method):
    expected = explained(name, EXPORTERS[1], method)
    assert np.abs(expected["attribution"]).max() > 0
    for exporter in EXPORTERS:
        found = explained(name, exporter, method)
        assert found.keys() == expected.keys()
        # The median, as one unit near zero may turn the rounding of its picture into 1 % of a map.
        pairs = zip(found["attribution"], expected["attribution"], strict=True)
        assert np.median([relative_error(*pair) for pair in pairs]) < 3e-4, exporter
        np.testing.assert_allclose(found["score"], expected["score"], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("method", MAPS)
@pytest.mark.parametrize("name", NETS)
def test_a_row_of_a_batch_is_the_single_runs(name, method):
    if method in SAMPLED:
        return  # the noise differs by row, and the rest is the gradient's
    batch = explained(name, EXPORTERS[1], method)
    for i in range(3):
        single = explained(name, EXPORTERS[1], method, slice(i, i + 1))
        assert relative_error(batch["attribution"][i], single["attribution"][0]) < 1e-4


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("method", ["deeplift", "integrated_gradients", "lrp_epsilon"])
def test_the_completeness_error_is_there(method, exporter):
    found = explained("convnext", exporter, method)
    assert found["completeness_error"].shape == (3,)


@pytest.mark.parametrize("name", NETS)
def test_the_same_nodes(name):
    """Up to the operators that move elements, or name a pool or an activation in another way."""
    moves = ("Transpose", "Reshape", "Flatten")
    named = {"ReduceMean": "GlobalAveragePool", "Gelu": "Activation", "HardSwish": "Activation"}
    paths = []
    for exporter in EXPORTERS:
        nodes = check(exported(name, exporter), None, "lrp_epsilon").nodes
        paths.append([named.get(n.operator, n.operator) for n in nodes if n.operator not in moves])
    assert all(sorted(path) == sorted(paths[0]) for path in paths)


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("method", ["lrp_epsilon", "lrp_epsilon_plus", "lrp_epsilon_plus_flat"])
def test_group_normalization_as_zennit(method, exporter):
    net = build(NETS["unet"])
    made = session(artefact(exported("unet", exporter), None, method, select="seed"))
    errors, floor = [], []
    for i in range(5):
        x = images(2, SIZE, seed=i)
        seed = np.random.default_rng(i).standard_normal((2, CLASSES, *SIZE)).astype(np.float32)
        exact = relevance(net, torch.tensor(x).double(), torch.tensor(seed).double(), method)
        single = relevance(net, torch.tensor(x), torch.tensor(seed), method)
        errors.append(relative_error(run(made, x=x, seed=seed)["attribution"], exact))
        floor.append(relative_error(single, exact))
    assert np.median(errors) <= max(1e-4, 3 * np.median(floor))

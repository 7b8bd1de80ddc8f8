"""Random small networks: the gradient artefact against PyTorch's autograd.

A few hundred networks by default, the same ones each time. ONNXPLAIN_PROPERTY_CASES asks for more
of them, ONNXPLAIN_PROPERTY_SEED for others; what fails is made as small as possible and printed.
"""

import os
from random import Random

import numpy as np
import onnx
import pytest
import torch
from artefacts import run
from hypothesis import HealthCheck, Phase, assume, find, given, note, seed, settings
from hypothesis import strategies as st
from random_networks import FAMILIES, networks

from onnxplain.graphops import Options, rewrite
from onnxplain.graphops.operators import GRADIENT

CASES = int(os.environ.get("ONNXPLAIN_PROPERTY_CASES", "300"))
SEED = int(os.environ.get("ONNXPLAIN_PROPERTY_SEED", "0"))
OUT_OF_REACH = 1e-5  # where PyTorch's own float32 is no nearer, a network shows nothing


@seed(SEED)
@settings(
    max_examples=CASES,
    deadline=None,
    database=None,
    print_blob=True,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
@given(network=networks(*FAMILIES), unpool=st.sampled_from(["auto", "scatter", "portable"]))
def test_the_gradient_is_that_of_autograd(lowering, network, unpool):
    note(f"seed {SEED}")

    def cotangent(y):
        return torch.from_numpy(np.random.default_rng(3).standard_normal(tuple(y.shape)))

    y, exact = network.gradient(cotangent)
    noise = torch.Generator().manual_seed(0)
    singles = [network.gradient(cotangent, torch.float32, noise) for _ in range(3)]
    errors = [max(np.linalg.norm(s[i] - e) for s in singles) for i, e in enumerate((y, exact))]
    assume(errors[1] <= OUT_OF_REACH * np.linalg.norm(exact) or not np.any(exact))

    # ONNX Runtime 1.31 merges two quantised pairs in a row into one with a wrong scale.
    optimized = all(node.op_type != "QuantizeLinear" for node in network.model.graph.node)
    if any(0 in shape for shape in network.shapes.values()):
        # ONNX Runtime has no convolution of empty maps.
        assume(lowering == "plain" and _runs(network, y))
        unpool, optimized = "scatter", False  # as MaxUnpool, some optimisations take none
    options = Options(select="seed", to=network.to, unpool=unpool)
    made = rewrite(network.model, network.layer, "gradient", options)
    onnx.checker.check_model(made, full_check=True)
    signal = cotangent(torch.from_numpy(y)).numpy().astype(np.float32)
    found = run(made, optimized=optimized, **network.feeds, seed=signal)
    _close(found[network.layer], y, errors[0], "the layer itself")
    _close(found["attribution"], exact, errors[1], "the gradient")


def _runs(network, y):
    """Tell whether ONNX Runtime computes it as PyTorch does: not all kernels know empty tensors.

    MatMul does not with a matrix on the left, on which the rule of Resize depends.
    """
    if any(node.op_type == "Resize" for node in network.model.graph.node):
        return False
    model = onnx.ModelProto()
    model.CopyFrom(network.model)
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in network.shapes)
    try:
        found = run(model, optimized=False, **network.feeds)
    except Exception:  # ONNX Runtime's exceptions share no other base
        return False
    same = all(found[name].shape == shape for name, shape in network.shapes.items())
    return same and np.linalg.norm(found[network.layer] - y) <= 1e-5 * np.linalg.norm(y)


def _close(found, exact, error_of_float32, what):
    assert found.shape == exact.shape, what
    assert np.all(np.isfinite(found)), f"{what} is not finite"
    bound = max(1e-4 * np.linalg.norm(exact), 3 * error_of_float32, 1e-6)
    error = np.linalg.norm(found.astype(np.float64) - exact)
    assert error <= bound, f"{what}: error {error:.2g} above {bound:.2g}"


def test_every_rule_takes_part():
    """Each operator of the table can stand in a network that is drawn."""
    drawn = {name for operators in FAMILIES for names in operators for name in names.split()}
    assert GRADIENT.keys() <= drawn


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: min(family))
def test_every_operator_can_be_drawn(family):
    once = settings(phases=[Phase.generate], database=None, max_examples=300)
    for names, operator in family.items():
        wanted = GRADIENT.keys() & {*names.split()}

        def holds(network, wanted=wanted):
            return wanted <= {node.op_type for node in network.model.graph.node}

        find(networks({names: operator}), holds, settings=once, random=Random(SEED))

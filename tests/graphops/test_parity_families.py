"""The artefact's projections equal PyTorch's autograd on nets of every family.

The bound is the design's: the median relative error over five random inputs, each a batch of two,
is at most 1e-4, or three times that of PyTorch's own float32.
"""

from functools import cache

import numpy as np
import pytest
import torch
from artefacts import artefact, images, run, session
from nets import ALL, CORNERED, FAMILIES, build, export
from oracle import project, relative_error

METHODS = ("gradient", "deconvnet", "guided_backprop")
LAYERS = ("class score", "middle")
INPUTS = 5


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("family", FAMILIES)
def test_any_cotangent(family, method, layer):
    check(exported(family), family, method, layer, select="seed")


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("family", CORNERED)
def test_every_corner_before_every_family(family, method, layer):
    check(exported(family), family, method, layer, select="seed")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("family", FAMILIES)
def test_portable_unpooling(family, method):
    made = check(exported(family), family, method, "class score", "seed", unpool="portable")
    assert not {"MaxUnpool", "ScatterElements"} & operators(made)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("unpool", "operator"), [("maxunpool", "MaxUnpool"), ("scatter", "ScatterElements")]
)
def test_both_forms_where_windows_do_not_overlap(method, layer, unpool, operator):
    made = check(exported("vgg"), "vgg", method, layer, "seed", unpool=unpool)
    assert operator in operators(made)


@pytest.mark.parametrize(
    ("family", "operator"), [("vgg", "MaxUnpool"), ("alexnet", "ScatterElements")]
)
def test_auto_is_the_textbook_form_only_where_it_is_exact(family, operator):
    unpooling = {"MaxUnpool", "ScatterElements"}
    assert unpooling & operators(artefact(exported(family), lowering="plain")) == {operator}


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_channel_with_the_defaults_of_the_method(family, method, layer):
    check(exported(family), family, method, layer, select="channel")


@pytest.mark.parametrize("family", ["resnet", "mobilenet", "inception", "densenet"])
def test_batch_norm_kept_as_a_node(family):
    model = exported(family, keep_batch_norm=True)
    assert "BatchNormalization" in operators(model)
    check(model, family, "guided_backprop", "class score", select="seed")


@pytest.mark.parametrize("family", FAMILIES)
def test_every_size_fixed_and_the_batch_of_one_freed(family):
    model = exported(family, batch=1, dynamic=False)
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 1
    check(model, family, "guided_backprop", "class score", select="seed")


@pytest.mark.parametrize("family", FAMILIES)
def test_every_size_fixed_and_the_batch_of_two_kept(family):
    check(exported(family, batch=2, dynamic=False), family, "gradient", "middle", select="channel")


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dynamic", [True, False])
def test_blocks_of_sixteen_channels(method, layer, dynamic, whole_blocks):
    check(exported("wide", dynamic=dynamic), "wide", method, layer, select="channel")


def check(model, family, method, layer, select, unpool="auto"):
    """Compare the artefact with the oracle and return it."""
    name = None if layer == "class score" else ALL[family].middle
    made = artefact(model, name, method, select=select, unpool=unpool)
    opened = session(made)
    errors, bounds = [], []
    for feeds, exact, error_of_float32 in oracle(family, method, layer, select):
        errors.append(relative_error(run(opened, **feeds)["attribution"], exact))
        bounds.append(error_of_float32)
    assert np.median(errors) <= max(1e-4, 3 * np.median(bounds))
    return made


def operators(model):
    return {node.op_type for node in model.graph.node}


@cache
def exported(*args, **kwargs):
    return export(*args, **kwargs)


@cache
def oracle(family, method, layer, select):
    """Return for each input: the feeds, the exact signal, the error of PyTorch's float32."""
    net = build(family)
    module = "classifier" if layer == "class score" else ALL[family].middle
    cases = []
    for seed in range(INPUTS):
        x = images(2, ALL[family].size, seed=seed)
        y = _forward(net, module, x)
        if select == "seed":
            signal = np.random.default_rng(seed).standard_normal(y.shape).astype(np.float32)
            feeds, cotangent = {"seed": signal}, _given(signal)
        else:
            channel = y.reshape(*y.shape[:2], -1).amax(2).argmax(1)
            feeds, cotangent = {"channel": channel.numpy()}, _unit(channel, method)
        exact, single = (
            project(net, module, torch.from_numpy(x).to(dtype), cotangent, method).numpy()
            for dtype in (torch.float64, torch.float32)
        )
        cases.append(({"x": x, **feeds}, exact, relative_error(single, exact)))
    return cases


def _forward(net, module, x):
    seen = []
    handle = net.get_submodule(module).register_forward_hook(lambda m, i, y: seen.append(y))
    with torch.no_grad():
        net(torch.from_numpy(x))
    handle.remove()
    return seen[0]


def _given(signal):
    return lambda y: torch.from_numpy(signal).to(y.dtype)


def _unit(channel, method):
    """Return the method's default signal: deconvnet's is the strongest activation alone."""

    def cotangent(y):
        signal = torch.zeros_like(y)
        for row, unit in enumerate(channel):
            if method == "deconvnet":
                values = y[row, unit].flatten()
                first = values.argmax()  # of several strongest, the first
                signal[row, unit].view(-1)[first] = values[first]
            else:
                signal[row, unit] = 1.0
        return signal

    return cotangent

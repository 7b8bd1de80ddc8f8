"""Class activation maps over their default layer, of nets whose last places are tokens and such.

The oracle is PyTorch: the values and the gradient at the module that people name, laid out by hand.
"""

from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from artefacts import artefact, images, run
from exporters import torch_export
from map_nets import CLASSES, MAP_NETS, build
from nets import to_onnx
from oracle import project, relative_error
from slow_cams import CAMS, METHODS, cam, signals

COUNT = 3
EXPORTERS = ("torchscript", "torchscript, batch of one", "dynamo")


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("name", MAP_NETS)
def test_the_map_is_that_of_the_module(name, exporter):
    model, x, channel = exported(name, exporter), pictures(name), classes(name)
    for method in CAMS:
        found = run_each(artefact(model, None, method, upsample=False), x, channel)
        expected = expected_map(name, method)
        assert found.shape == expected.shape
        assert np.abs(expected).max() > 0
        assert relative_error(found, expected) < 1e-4, method


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["vit", "deit", "swin", "cait"])
def test_on_the_picture(name, method):
    x, channel = pictures(name), classes(name)
    found = run_each(artefact(exported(name, "torchscript"), None, method), x, channel)
    base = method if method in CAMS else "grad_cam"
    expected = torch.from_numpy(expected_map(name, base))
    expected = F.interpolate(expected, x.shape[2:], mode="bilinear")
    if method not in CAMS:
        units = F.one_hot(torch.from_numpy(channel), CLASSES).double()
        values = torch.from_numpy(x).double()
        guided = project(build(name), "classifier", values, lambda y: units, "guided_backprop")
        expected = expected * guided
    assert relative_error(found, expected) < 1e-4


def test_a_squeezenets_three_maps_differ():
    maps = [expected_map("squeezenet", method) for method in CAMS]
    found = [
        run_each(
            artefact(exported("squeezenet", "dynamo"), None, method, upsample=False),
            pictures("squeezenet"),
            classes("squeezenet"),
        )
        for method in CAMS
    ]
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert relative_error(maps[i], maps[j]) > 1e-2
        assert relative_error(found[i], found[j]) > 1e-2


@pytest.mark.parametrize("select", ["pairs", "fixed"])
def test_every_select_lays_tokens_out(select):
    model, x, channel = exported("vit", "torchscript"), pictures("vit"), classes("vit")
    expected = expected_map("vit", "grad_cam")
    if select == "pairs":
        order = np.array([2, 0, 1, 2])
        made = artefact(model, None, "grad_cam", select=select, upsample=False)
        found = run(made, x=x, image_index=order, channel=channel[order])["attribution"]
        assert relative_error(found, expected[order]) < 1e-4
    else:
        units = tuple(range(CLASSES))
        made = artefact(model, None, "grad_cam", select=select, channels=units, upsample=False)
        found = run(made, x=x)["attribution"][np.arange(COUNT) * CLASSES + channel]
        assert relative_error(found, expected) < 1e-4


def run_each(made, x, channel):
    """Run the pictures in one batch where it is free, else one by one."""
    if any(i.name == "x" and i.type.tensor_type.shape.dim[0].dim_value for i in made.graph.input):
        rows = [run(made, x=x[i : i + 1], channel=channel[i : i + 1]) for i in range(len(x))]
        return np.concatenate([row["attribution"] for row in rows])
    return run(made, x=x, channel=channel)["attribution"]


@cache
def expected_map(name, method):
    return module_map(name, method, classes(name))


def module_map(name, method, channel):
    net = MAP_NETS[name]
    found = signals(build(name), net.module, pictures(name), channel, torch.float64)
    return cam(method, *(net.to_map(values) for values in found))


def pictures(name):
    return images(COUNT, MAP_NETS[name].size)


@cache
def classes(name):
    """Return for each picture the class for which there is the most evidence in the layer."""
    maps = [module_map(name, "grad_cam", np.full(COUNT, unit)) for unit in range(CLASSES)]
    return np.stack([m.sum((1, 2, 3)) for m in maps]).argmax(0)


@cache
def exported(name, exporter):
    net, x = build(name), torch.from_numpy(pictures(name))
    if exporter == "dynamo":
        return torch_export(net, x[:1], dynamo=True, verbose=False).model_proto
    free = {0: "N"} if exporter == "torchscript" else None
    return to_onnx(net, x if free else x[:1], free)

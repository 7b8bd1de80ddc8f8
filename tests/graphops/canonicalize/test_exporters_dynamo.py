"""Networks as PyTorch's dynamo exporter writes them, opset 18 to the newest.

Each is exported once, which takes seconds, for all that is tested of it.
"""

import pytest
import torch
from exporters import Twin, check_layers, check_outputs, check_projections, torch_export
from nets import FAMILIES, build
from torch import nn

NEWEST = 26  # beyond 25 the exporter leaves it to onnx's converter, which drops the metadata


@pytest.mark.parametrize(
    ("opset", "family", "optimize", "dynamic"),
    [
        (18, "resnet", False, (0,)),  # BatchNorm and the arithmetic on shapes stay
        (19, "alexnet", True, ()),
        (20, "inception", True, ()),
        (21, "vgg", False, (0,)),
        (23, "mobilenet", True, (0,)),
        (25, "densenet", True, (0, 2, 3)),
        (NEWEST, "vgg", True, (0,)),
    ],
)
def test_a_family(opset, family, optimize, dynamic):
    net = build(family)
    if family == "inception":
        net.head[0] = SharedMax()
    twin = Twin(net, FAMILIES[family].size)
    model = export(net, opset, optimize, dynamic)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", opset)]
    middle = FAMILIES[family].middle
    if opset < NEWEST:
        check_layers(model, twin, modules(net, folded=optimize))
        check_projections(model, twin, {middle: middle, "classifier": "classifier"})
    else:  # a Conv is still known by its weights
        check_projections(model, twin, {middle: middle, None: "classifier"})
    check_outputs(model, middle, twin)


class SharedMax(nn.Module):
    """AdaptiveMaxPool2d(1) as the exporter writes it, a ReduceMax: equal maxima share."""

    def forward(self, x):
        return x.amax((2, 3), keepdim=True)


def export(net, opset, optimize, dynamic):
    program = torch_export(
        net,
        torch.zeros(2 if dynamic else 1, 3, *FAMILIES["vgg"].size),
        dynamo=True,
        opset_version=opset,
        dynamic_shapes=(dict.fromkeys(dynamic, torch.export.Dim.DYNAMIC),),
        optimize=optimize,
        verbose=False,
    )
    return program.model_proto


def modules(net, folded):
    """Return the modules whose own node is there: a folded Conv gives what its BatchNorm gave."""
    kinds = [nn.Linear, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.MaxPool2d, nn.AvgPool2d]
    kinds += [] if folded else [nn.Conv2d, nn.BatchNorm2d]
    leaves = [name for name, module in net.named_modules() if isinstance(module, tuple(kinds))]
    return [*leaves, *(name for name, _ in net.named_children())]

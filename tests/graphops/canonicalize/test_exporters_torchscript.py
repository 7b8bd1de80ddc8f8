"""Networks as PyTorch's TorchScript exporter writes them, at every opset that people still have."""

from functools import cache

import pytest
from exporters import Twin, check_layers, check_outputs, check_projections
from nets import FAMILIES, build, export
from torch import nn

SIZES = {"any size": {}, "every size fixed": {"dynamic": False, "batch": 1}}
OLD = [
    *[(9, name) for name in ("alexnet", "resnet", "mobilenet")],  # those it can express
    *[(opset, name) for opset in (11, 13) for name in FAMILIES],
]
CASES = [*OLD, *[(17, name) for name in FAMILIES]]
IN_THE_FILE = nn.Conv2d, nn.Linear, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.MaxPool2d, nn.AvgPool2d


@pytest.mark.parametrize(("opset", "family"), OLD)
def test_every_method_from_the_middle_and_the_class_score(opset, family):
    """Those of opset 17 are tested with every cotangent and unpooling."""
    model = export(family, opset)
    assert model.opset_import[0].version == opset
    middle = FAMILIES[family].middle
    check_projections(model, twin(family), {middle: middle, "classifier": "classifier"})


@pytest.mark.parametrize(("opset", "family"), CASES)
def test_every_method_where_every_size_was_fixed_and_the_batch_is_freed(opset, family):
    model = export(family, opset, **SIZES["every size fixed"])
    middle = FAMILIES[family].middle
    check_projections(model, twin(family), {middle: middle})


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize(("opset", "family"), CASES)
def test_every_layer_by_its_module(opset, family, sizes):
    """A BatchNorm that is not folded too; and what a block as a whole gives."""
    model = export(family, opset, **SIZES[sizes], keep_batch_norm=True)
    net = twin(family).net
    leaves = [n for n, m in net.named_modules() if isinstance(m, (*IN_THE_FILE, nn.BatchNorm2d))]
    check_layers(model, twin(family), [*leaves, *(name for name, _ in net.named_children())])


@pytest.mark.parametrize("half", [False, True], ids=["float32", "float16"])
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize(("opset", "family"), CASES)
def test_the_networks_own_outputs(opset, family, sizes, half):
    model = export(family, opset, **SIZES[sizes], half=half)
    check_outputs(model, "classifier", twin(family))


@cache
def twin(family):
    return Twin(build(family), FAMILIES[family].size)

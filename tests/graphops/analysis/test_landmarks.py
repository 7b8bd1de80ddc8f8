"""The layers that are marked as those one usually explains."""

import pytest
from artefacts import network
from nets import FAMILIES, export

from onnxplain.graphops import layers


def marked(model, mark="map layer"):
    return [layer for layer in layers(model) if mark in layer.marks]


# What a user of Grad-CAM would name: the last module before the pooling or flattening of the head.
LAST = {
    "alexnet": "features.8",
    "vgg": "features.11",
    "resnet": "layer3.relu",
    "mobilenet": "same.2",
    "inception": "average",
    "densenet": "norm.1",
}


@pytest.mark.parametrize("dynamic", [True, False], ids=["dynamic", "static"])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_last_convolutional_block(family, dynamic):
    (block,) = marked(export(family, dynamic=dynamic, keep_batch_norm=True))
    assert block.module == LAST[family]
    assert len(block.shape) == 4
    (score,) = marked(export(family), "class score")
    assert score.module == "classifier" or score.module.startswith("classifier.")


HEADS = {
    "a global pool": "p = GlobalAveragePool (r)  f = Flatten (p)  y = MatMul (f, dense)",
    "a pool of everything": "p = ReduceMax <axes = [2, 3]> (r)  f = Flatten (p)"
    "  y = MatMul (f, dense)",
    "a convolution behind the pool": """
        p = GlobalAveragePool (r)  e = Conv (p, point)  s = HardSwish (e)  f = Flatten (s)
        y = Softmax (f)""",
    "an idle dropout": "d = Dropout (r)  p = GlobalMaxPool (d)  f = Flatten (p)"
    "  y = MatMul (f, dense)",
    "an idle pool": """
        d = AveragePool <kernel_shape = [1, 1]> (r)  p = GlobalMaxPool (d)  f = Flatten (p)
        y = MatMul (f, dense)""",
    "channels put last": """
        t = Transpose <perm = [0, 2, 3, 1]> (r)  m = ReduceMean <axes = [1, 2], keepdims = 0> (t)
        y = MatMul (m, dense)""",
}  # fmt: skip
TEXT = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, H, W] x, float[4, 3, 3, 3] w, float[4, 4, 1, 1] point, float[4, 5] dense)
    => (float[N, P] y)
{{ c = Conv (x, w)  r = Relu (c)  {} }}
"""


@pytest.mark.parametrize("head", HEADS)
def test_before_any_head(head):
    (block,) = marked(network(TEXT.format(HEADS[head])))
    assert block.tensor == "r"


@pytest.mark.parametrize(
    "text",
    [
        """<ir_version: 8, opset_import: ["": 17]>
        dense (float[N, 9] x, float[9, 6] w) => (float[N, 6] y) { y = MatMul (x, w) }""",
        """<ir_version: 8, opset_import: ["": 17]>
        segments (float[N, 3, H, W] x, float[4, 3, 1, 1] w) => (float[N, 4, H, W] y)
        { c = Conv (x, w)  y = Relu (c) }""",
        """<ir_version: 8, opset_import: ["": 17]>
        tokens (float[N, 3, 8] x, float[8, 6] w) => (float[N, 6] y)
        { m = MatMul (x, w)  y = ReduceMean <axes = [1], keepdims = 0> (m) }""",
    ],
    ids=["dense layers", "segmentation", "no convolution"],
)
def test_there_is_none(text):
    assert marked(network(text)) == []


def test_of_one_dimension():
    (block,) = marked(network("""
        <ir_version: 8, opset_import: ["": 17]>
        sound (float[N, 2, L] x, float[4, 2, 3] w, float[4, 5] dense) => (float[N, 5] y)
        { c = Conv (x, w)  r = Relu (c)  p = GlobalAveragePool (r)  f = Flatten (p)
          y = MatMul (f, dense) }
    """))  # fmt: skip
    assert block.tensor == "r"

"""The default layer of class activation maps: the last one where the picture still has places."""

from functools import cache

import numpy as np
import onnx
import pytest
import torch
from artefacts import images, network, run
from exporters import torch_export
from map_nets import MAP_NETS
from map_nets import build as build_map_net
from nets import FAMILIES, export, to_onnx

from onnxplain.graphops import layers, rewrite
from onnxplain.graphops.errors import UnsupportedModel


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
def test_of_a_convolutional_network(family, dynamic):
    (layer,) = marked(export(family, dynamic=dynamic, keep_batch_norm=True))
    assert layer.module == LAST[family]
    assert len(layer.shape) == 4
    (score,) = marked(export(family), "class score")
    assert score.module == "classifier" or score.module.startswith("classifier.")


@pytest.mark.parametrize("opset", [14, 17])
@pytest.mark.parametrize("name", MAP_NETS)
def test_has_the_values_of_the_module_that_people_name(name, opset):
    """As TorchScript's exporter writes it; up to opset 16 it spells LayerNormalization out."""
    x = torch.from_numpy(pictures(name))
    check_values(name, to_onnx(build(name), x, {0: "N"}, opset), x)


@pytest.mark.parametrize("name", MAP_NETS)
def test_in_dynamos_file(name):
    x = torch.from_numpy(pictures(name)[:1])
    check_values(name, torch_export(build(name), x, dynamo=True, verbose=False).model_proto, x)


def check_values(name, model, x):
    (layer,) = marked(model)
    model.graph.output.append(onnx.helper.make_empty_tensor_value_info(layer.tensor))
    seen = {}
    module = build(name).get_submodule(MAP_NETS[name].module)
    handle = module.register_forward_hook(lambda m, i, y: seen.update(y=y))
    with torch.no_grad():
        build(name)(x)
    handle.remove()
    np.testing.assert_allclose(run(model, x=x.numpy())[layer.tensor], seen["y"], atol=1e-4)


@cache
def build(name):
    return build_map_net(name)


def pictures(name):
    return images(2, MAP_NETS[name].size)


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
    "two pools of the same": """
        a = GlobalAveragePool (r)  m = GlobalMaxPool (r)  s = Add (a, m)  f = Flatten (s)
        y = MatMul (f, dense)""",
    "a normalisation of each place": """
        t = Transpose <perm = [0, 2, 3, 1]> (r)  n = LayerNormalization (t, four)
        m = ReduceMean <axes = [1, 2], keepdims = 0> (n)  y = MatMul (m, dense)""",
    "a normalisation behind the pool": """
        p = GlobalAveragePool (r)  t = Transpose <perm = [0, 2, 3, 1]> (p)
        n = LayerNormalization (t, four)  f = Flatten (n)  y = MatMul (f, dense)""",
    "a class convolution": """
        e = Conv (r, point)  s = Relu (e)  p = GlobalAveragePool (s)  f = Flatten (p)
        y = Softmax (f)""",
    "classes of each place": """
        t = Transpose <perm = [0, 2, 3, 1]> (r)  m = MatMul (t, dense)
        y = ReduceMean <axes = [1, 2], keepdims = 0> (m)""",
}  # fmt: skip
TEXT = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, H, W] x, float[4, 3, 3, 3] w, float[4, 4, 1, 1] point, float[4, 5] dense)
    => (float[N, P] y) <float[4] four = {{1, 2, 3, 4}}>
{{ c = Conv (x, w)  r = Relu (c)  {} }}
"""


@pytest.mark.parametrize("head", HEADS)
def test_before_any_head(head):
    (layer,) = marked(network(TEXT.format(HEADS[head])))
    assert layer.tensor == "r"


def test_levels_that_are_pooled_apart_have_one_layer_in_common():
    (layer,) = marked(network(TEXT.format("""
        d = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (r)  e = Conv (d, point)
        a = GlobalAveragePool (r)  b = GlobalAveragePool (e)  s = Add (a, b)  f = Flatten (s)
        y = MatMul (f, dense)
    """)))  # fmt: skip
    assert layer.tensor == "r"


@pytest.mark.parametrize("flatten", ["Flatten <axis = 2>", "Identity"])
def test_of_one_dimension(flatten):
    (layer,) = marked(network(f"""
        <ir_version: 8, opset_import: ["": 17]>
        sound (float[N, 2, L] x, float[4, 2, 3] w, float[4, 5] dense) => (float[N, 5] y)
        <int64[3] idle = {{0, 4, -1}}>
        {{ c = Conv (x, w)  r = Relu (c)
           s = {"Reshape (r, idle)" if flatten != "Identity" else "Identity (r)"}
           m = ReduceMean <axes = [2], keepdims = 0> (s)  y = MatMul (m, dense) }}
    """))  # fmt: skip
    assert layer.tensor == "r"


def test_of_three_dimensions():
    (layer,) = marked(network("""
        <ir_version: 8, opset_import: ["": 17]>
        volume (float[N, 1, D, H, W] x, float[4, 1, 3, 3, 3] w, float[4, 5] dense)
            => (float[N, 5] y)
        <int64[3] together = {0, 4, -1}>
        { c = Conv (x, w)  r = Relu (c)  f = Reshape (r, together)
          m = ReduceMean <axes = [2], keepdims = 0> (f)  y = MatMul (m, dense) }
    """))  # fmt: skip
    assert layer.tensor == "r"


def test_frames_that_are_images_for_a_while():
    """[N·T, C, H, W] has no map for each picture; [N, T, C, H, W] before it has none either."""
    text = """
    <ir_version: 8, opset_import: ["": 17]>
    film (float[N, 4, 3, 8, 8] x, float[6, 3, 3, 3] w, float[6, 5] dense) => (float[N, 5] y)
    <int64[4] frames = {-1, 3, 8, 8}, int64[3] film = {-1, 4, 6}>
    { f = Reshape (x, frames)  c = Conv (f, w)  r = Relu (c)  p = GlobalAveragePool (r)
      v = Reshape (p, film)  m = ReduceMean <axes = [1], keepdims = 0> (v)  y = MatMul (m, dense) }
    """
    assert marked(network(text)) == []


NONE = {
    "dense layers": """<ir_version: 8, opset_import: ["": 17]>
        dense (float[N, 9] x, float[9, 6] w) => (float[N, 6] y) { y = MatMul (x, w) }""",
    "segmentation": """<ir_version: 8, opset_import: ["": 17]>
        segments (float[N, 3, H, W] x, float[4, 3, 3, 3] w, float[4, 4, 1, 1] v)
            => (float[N, 4, H2, W2] y)
        { c = Conv (x, w)  r = Relu (c)  y = Conv (r, v) }""",
    "a detector": """<ir_version: 8, opset_import: ["": 17]>
        detector (float[N, 3, 32, 32] x, float[4, 3, 3, 3] w, float[4, 4, 3, 3] w2,
            float[7, 4, 1, 1] v, float[7, 4, 1, 1] v2) => (float[N, 7, A] y)
        <int64[3] flat = {0, 7, -1}>
        { c = Conv <strides = [2, 2], pads = [1, 1, 1, 1]> (x, w)  fine = Relu (c)
          d = Conv <strides = [2, 2], pads = [1, 1, 1, 1]> (fine, w2)  coarse = Relu (d)
          a = Conv (fine, v)  b = Conv (coarse, v2)  e = Reshape (a, flat)  f = Reshape (b, flat)
          y = Concat <axis = 2> (e, f) }""",
    "one picture without and with its batch axis": """<ir_version: 8, opset_import: ["": 17]>
        transformed (float[1, 3, 8, 8] x, float[4, 3, 3, 3] w, float[4, 4, 1, 1] v)
            => (float[1, 4, H, W] y)
        <int64[1] first = {0}, float mean = {0.5}>
        { one = Squeeze (x, first)  centred = Sub (one, mean)  all = Unsqueeze (centred, first)
          c = Conv (all, w)  r = Relu (c)  y = Conv (r, v) }""",
}
NAMED = {"dense layers": [], "a detector": ["fine", "coarse"]}


@pytest.mark.parametrize("kind", NONE)
def test_where_there_is_none_the_error_names_layers(kind):
    model = network(NONE[kind])
    assert marked(model) == []
    with pytest.raises(UnsupportedModel, match="no default layer to map: name one by `layer`") as e:
        rewrite(model, None, "grad_cam")
    names = NAMED.get(kind, ["r"])
    assert str(e.value).endswith(", ".join(f"'{name}'" for name in names) or "by `layer`")
    assert ("has positions of its own" in str(e.value)) == bool(names)
    for name in names:
        rewrite(model, name, "grad_cam")

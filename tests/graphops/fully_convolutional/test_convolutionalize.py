"""A classifier made fully convolutional, against the classifier on each window."""

import json

import numpy as np
import onnx
import pytest
from artefacts import images, network, run

from onnxplain.graphops import convolutionalize, read_metadata
from onnxplain.graphops.errors import UnsupportedModel

HEAD = '<ir_version: 8, opset_import: ["": 17]>\n'
# Overlapping pools, a remainder, a flattened map, dropout; a window is 27 x 23, the stride 4.
DENSE = (
    HEAD
    + """
dense (float[N, 3, 27, 23] x, float[5, 3, 3, 3] w1, float[5] b1, float[6, 5, 2, 2] w2,
       float[8, 120] w3, float[8] b3, float[8, 4] w4, float[4] b4) => (float[N, 4] y)
{
    c1 = Conv <strides = [2, 2]> (x, w1, b1)
    r1 = Relu (c1)
    p1 = MaxPool <kernel_shape = [3, 3], strides = [2, 2]> (r1)
    c2 = Conv (p1, w2)
    f = Flatten (c2)
    g1 = Gemm <transB = 1, alpha = 0.5, beta = 2.0> (f, w3, b3)
    r2 = Relu (g1)
    d = Dropout (r2)
    g2 = Gemm (d, w4, b4)
    y = Softmax <axis = -1> (g2)
}
"""
)
# BatchNorm, a residual, a Concat and a global mean; a constant for each channel.
MEANS = (
    HEAD
    + """
means (float[N, 3, 18, 21] x, float[4, 3, 3, 3] w1, float[4] s, float[4] u, float[4] m,
       float[4] varv, float[4, 4, 1, 1] w2, float[4, 1, 1] k, float[5, 8] w3, float[5] b3)
    => (float[N, 5] y)
{
    c1 = Conv <strides = [2, 2]> (x, w1)
    n = BatchNormalization (c1, s, u, m, varv)
    c2 = Conv (n, w2)
    a = Add (c2, n)
    p = AveragePool <kernel_shape = [2, 2]> (a)
    q = MaxPool <kernel_shape = [2, 2]> (a)
    k1 = Mul (p, k)
    both = Concat <axis = 1> (k1, q)
    g = GlobalAveragePool (both)
    f = Flatten (g)
    y = Gemm <transB = 1> (f, w3, b3)
}
"""
)
# The channels last, as TensorFlow has them: in the picture, in the flattened map, in the mean.
LAST = (
    HEAD
    + """
last (float[N, 15, 16, 3] x, float[4, 3, 2, 2] w1, float[192, 5] w2, float[5] b2, float[4, 5] w3)
    => (float[N, 5] y)
{
    t = Transpose <perm = [0, 3, 1, 2]> (x)
    c = Conv <strides = [2, 2]> (t, w1)
    back = Transpose <perm = [0, 2, 3, 1]> (c)
    r = Relu (back)
    p = MaxPool <kernel_shape = [2, 1]> (c)
    pb = Transpose <perm = [0, 2, 3, 1]> (p)
    flat_shape = Constant <value_ints = [0, -1]> ()
    f = Reshape (pb, flat_shape)
    d = MatMul (f, w2)
    e = Add (d, b2)
    m = ReduceMean <axes = [1, 2], keepdims = 0> (r)
    dm = MatMul (m, w3)
    y = Add (e, dm)
}
"""
)
# A pooling over the whole window, whose stride means nothing there; a flattened Softmax.
POOLED = (
    HEAD
    + """
pooled (float[N, 3, 17, 17] x, float[4, 3, 3, 3] w1, float[6, 4, 1, 1] w2) => (float[N, 6, 1, 1] y)
{
    c1 = Conv <strides = [3, 3]> (x, w1)
    c2 = Conv (c1, w2)
    p = AveragePool <kernel_shape = [5, 5], strides = [5, 5]> (c2)
    y = Softmax <axis = 1> (p)
}
"""
)
# The channels shuffled, as ShuffleNet does; ceil_mode, SAME and VALID that come to no padding.
SHUFFLED = (
    HEAD
    + """
shuffled (float[N, 3, 16, 16] x, float[6, 3, 2, 2] w1, float[6, 3, 1, 1] w2, float[3, 6] w3)
    => (float[N, 3] y)
{
    c1 = Conv <strides = [2, 2], auto_pad = "SAME_UPPER"> (x, w1)
    split = Constant <value_ints = [0, 2, 3, 8, 8]> ()
    s1 = Reshape (c1, split)
    s2 = Transpose <perm = [0, 2, 1, 3, 4]> (s1)
    join = Constant <value_ints = [0, 6, 8, 8]> ()
    s3 = Reshape (s2, join)
    c2 = Conv <group = 2, auto_pad = "VALID"> (s3, w2)
    p = MaxPool <kernel_shape = [2, 2], strides = [2, 2], ceil_mode = 1> (c2)
    g = GlobalMaxPool (p)
    f = Flatten (g)
    y = Gemm <transB = 1> (f, w3)
}
"""
)
# The picture's channels taken out and put back in another order, as GoogLeNet's transform_input.
TAKEN = (
    HEAD
    + """
taken (float[N, 3, 10, 12] x, float[4, 3, 3, 3] w1, float[160, 5] w2) => (float[N, 5] y)
{
    first = Constant <value_int = 0> ()
    last = Constant <value_ints = [2]> ()
    one = Constant <value_ints = [1]> ()
    many = Constant <value_ints = [2, 9223372036854775807]> ()
    from = Constant <value_ints = [0, 0]> ()
    axes = Constant <value_ints = [1, 3]> ()
    red = Gather <axis = 1> (x, first)
    r = Unsqueeze (red, one)
    b = Gather <axis = 1> (x, last)
    rg = Slice (x, from, many, axes)
    g = Slice (rg, one, last, one)
    h = Neg (g)
    all = Concat <axis = 1> (b, h, r)
    c = Conv <strides = [2, 1]> (all, w1)
    f = Flatten (c)
    y = MatMul (f, w2)
}
"""
)
NETS = {  # by hand: the window, how many of its last pixels strides leave unread, the stride
    "dense": (DENSE, (27, 23), (0, 0), (4, 4)),
    "means": (MEANS, (18, 21), (1, 0), (2, 2)),
    "last": (LAST, (15, 16), (1, 0), (2, 2)),
    "pooled": (POOLED, (17, 17), (2, 2), (3, 3)),
    "taken": (TAKEN, (10, 12), (1, 0), (2, 1)),
    "shuffled": (SHUFFLED, (16, 16), (0, 0), (4, 4)),
}


def classified(model, picture, window, stride, last=False):
    """Return the classifier's scores of every window of the picture, [N, classes, Y, X]."""
    first = 1 if last else 2
    height, width = picture.shape[first : first + 2]
    rows = []
    for top in range(0, height - window[0] + 1, stride[0]):
        row = []
        for left in range(0, width - window[1] + 1, stride[1]):
            place = [slice(None)] * 4
            place[first] = slice(top, top + window[0])
            place[first + 1] = slice(left, left + window[1])
            row.append(run(model, x=picture[tuple(place)])["y"].reshape(len(picture), -1))
        rows.append(np.stack(row, axis=-1))
    return np.stack(rows, axis=-2)


def sliding(model, **options):
    made = convolutionalize(model, **options)
    onnx.checker.check_model(made, full_check=True)
    return made, json.loads(read_metadata(made)["onnxplain.sliding"])


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("extra", [(0, 0), (13, 9)])
def test_equals_the_classifier_on_each_window(name, extra):
    """At the end a window may reach beyond the picture, by pixels that it does not read."""
    text, window, unread, stride = NETS[name]
    model, last = network(text), name == "last"
    made, facts = sliding(model)
    assert facts == {
        "window": list(window), "stride": list(stride), "output": "y", "padded": []
    }  # fmt: skip
    size = [w + e for w, e in zip(window, extra, strict=True)]
    beyond = images(2, [n + u for n, u in zip(size, unread, strict=True)])
    picture = beyond[:, :, : size[0], : size[1]]
    if last:
        beyond, picture = beyond.transpose(0, 2, 3, 1), picture.transpose(0, 2, 3, 1)
    expected = classified(model, beyond, window, stride, last)
    got = run(made, x=picture)["y"]
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_weights_are_only_reshaped():
    made, _ = sliding(network(DENSE))
    assert [n.op_type for n in made.graph.node].count("Conv") == 4
    assert not {"Gemm", "MatMul", "Flatten", "Reshape"} & {n.op_type for n in made.graph.node}
    assert "Dropout" in {n.op_type for n in made.graph.node}
    size = sum(int(np.prod(t.dims)) for t in made.graph.initializer)
    assert size == sum(int(np.prod(t.dims)) for t in network(DENSE).graph.initializer)


@pytest.mark.parametrize("pads", ["pads = [1, 1, 1, 1]", 'auto_pad = "SAME_LOWER"'])
def test_padding_differs_between_windows_and_not_for_one(pads):
    """A window within the picture has neighbours where the classifier pads with zeros."""
    model = network(MEANS.replace("c1 = Conv <", f"c1 = Conv <{pads}, "))
    made, facts = sliding(model)
    assert facts["padded"] == ["c1"]
    picture = images(1, (18 + 8, 21 + 8))
    expected = classified(model, picture, (18, 21), (2, 2))
    alone = run(made, x=picture[:, :, :18, :21])["y"]
    np.testing.assert_allclose(alone, expected[:, :, :1, :1], rtol=1e-4, atol=1e-5)
    got = run(made, x=picture)["y"][:, :, :5, :5]
    error = np.linalg.norm(got - expected) / np.linalg.norm(expected)
    assert 1e-3 < error < 0.5


def test_a_free_size_has_to_be_named():
    text = DENSE.replace("float[N, 3, 27, 23] x", "float[N, 3, H, W] x")
    with pytest.raises(UnsupportedModel, match="leaves its size free.*--size"):
        convolutionalize(network(text))
    made, _ = sliding(network(text), size=(27, 23))
    picture = images(1, (35, 31))
    expected = run(convolutionalize(network(DENSE)), x=picture)["y"]
    np.testing.assert_array_equal(run(made, x=picture)["y"], expected)
    with pytest.raises(UnsupportedModel, match="fixed size 27"):
        convolutionalize(network(DENSE), (28, 23))


def test_the_source_stays_as_it_is():
    model = network(DENSE)
    before = model.SerializeToString(deterministic=True)
    convolutionalize(model)
    assert model.SerializeToString(deterministic=True) == before


def test_the_stored_preprocessing_no_longer_resizes_or_crops():
    model = network(DENSE)
    stored = {"size": [27, 23], "crop": "center", "resize": 30, "interpolation": "bicubic"}
    onnx.helper.set_model_props(model, {"onnxplain.preprocess": json.dumps(stored)})
    made, _ = sliding(model)
    found = json.loads(read_metadata(made)["onnxplain.preprocess"])
    assert found == {"size": None, "crop": "none", "interpolation": "bicubic"}

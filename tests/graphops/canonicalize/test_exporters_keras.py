"""Networks as Keras and TensorFlow come to ONNX: channels last, SAME, names with slashes."""

import pytest
from artefacts import network
from blocks import UnevenConv, UnevenMaxPool
from exporters import check_outputs, check_projections, in_float16, twin_of
from nets import in_sequence
from torch import nn

from onnxplain.graphops import layers

SIZE = (33, 30)

# tf2onnx: the Transposes cancel but for the first; SAME is auto_pad, ZeroPadding2D is Pad.
TF2ONNX = """
<ir_version: 7, opset_import: ["": 13], producer_name: "tf2onnx">
tf2onnx (
    float[unk__6, 33, 30, 3] input_1, float[6, 3, 3, 3] "Conv1/kernel", float[6] "bn/gamma",
    float[6] "bn/beta", float[6] "bn/mean", float[6] "bn/variance",
    float[6, 1, 3, 3] "depthwise/kernel", float[6] "depthwise/bias",
    float[8, 6, 1, 1] "project/kernel", float[8, 8, 3, 3] "Conv2/kernel", float[8] "Conv2/bias",
    float[8, 5] "predictions/kernel", float[5] "predictions/bias"
) => (float[unk__7, 5] predictions)
<float "const_zero" = {0.0}, float "const_six" = {6.0},
 int64[8] "const_pads" = {0, 0, 0, 0, 0, 0, 1, 1}>
{
    ["~/Conv1/Conv2D__6"] "~/Conv1/Conv2D__6:0" = Transpose <perm = [0, 3, 1, 2]> (input_1)
    ["~/Conv1/Conv2D"] "~/Conv1/Conv2D:0" = Conv
        <auto_pad = "SAME_UPPER", dilations = [1, 1], group = 1, kernel_shape = [3, 3],
         strides = [2, 2]> ("~/Conv1/Conv2D__6:0", "Conv1/kernel")
    ["~/bn/FusedBatchNormV3"] "~/bn/FusedBatchNormV3:0" = BatchNormalization <epsilon = 0.001>
        ("~/Conv1/Conv2D:0", "bn/gamma", "bn/beta", "bn/mean", "bn/variance")
    ["~/Conv1_relu/Relu6"] "~/Conv1_relu/Relu6:0" = Clip
        ("~/bn/FusedBatchNormV3:0", const_zero, const_six)
    ["~/depthwise/depthwise"] "~/depthwise/BiasAdd:0" = Conv
        <auto_pad = "SAME_UPPER", group = 6, kernel_shape = [3, 3], strides = [2, 2]>
        ("~/Conv1_relu/Relu6:0", "depthwise/kernel", "depthwise/bias")
    ["~/depthwise_relu/Relu6"] "~/depthwise_relu/Relu6:0" = Clip
        ("~/depthwise/BiasAdd:0", const_zero, const_six)
    ["~/project/Conv2D"] "~/project/Conv2D:0" = Conv <auto_pad = "VALID", kernel_shape = [1, 1]>
        ("~/depthwise_relu/Relu6:0", "project/kernel")
    ["~/Conv2_pad/Pad"] "~/Conv2_pad/Pad:0" = Pad <mode = "constant">
        ("~/project/Conv2D:0", const_pads)
    ["~/Conv2/Conv2D"] "~/Conv2/BiasAdd:0" = Conv
        <auto_pad = "VALID", kernel_shape = [3, 3], strides = [2, 2]>
        ("~/Conv2_pad/Pad:0", "Conv2/kernel", "Conv2/bias")
    ["~/re_lu/Relu"] "~/re_lu/Relu:0" = Relu ("~/Conv2/BiasAdd:0")
    ["~/global_average_pooling2d/Mean"] "~/global_average_pooling2d/Mean:0" = ReduceMean
        <axes = [2, 3], keepdims = 0> ("~/re_lu/Relu:0")
    ["~/predictions/MatMul"] "~/predictions/MatMul:0" = MatMul
        ("~/global_average_pooling2d/Mean:0", "predictions/kernel")
    ["~/predictions/BiasAdd"] "~/predictions/BiasAdd:0" = Add
        ("~/predictions/MatMul:0", "predictions/bias")
    ["~/predictions/Softmax"] predictions = Softmax <axis = -1> ("~/predictions/BiasAdd:0")
}
""".replace("~", "StatefulPartitionedCall/mobilenet")

# keras2onnx: every Conv and pool stands between Transposes, biases are added channels last.
KERAS2ONNX = """
<ir_version: 6, opset_import: ["": 11], producer_name: "keras2onnx">
keras2onnx (
    float[N, 33, 30, 3] input_1, float[6, 3, 5, 5] "conv1/kernel", float[6] "conv1/bias",
    float[8, 6, 3, 3] "conv2/kernel", float[8] "conv2/bias", float[448, 9] "fc1/kernel",
    float[9] "fc1/bias", float[9, 5] "predictions/kernel", float[5] "predictions/bias"
) => (float[N, 5] predictions)
<int64[2] flat = {-1, 448}>
{
    [Transpose6] t1 = Transpose <perm = [0, 3, 1, 2]> (input_1)
    [conv1] c1 = Conv <auto_pad = "SAME_LOWER", kernel_shape = [5, 5], strides = [2, 2]>
        (t1, "conv1/kernel")
    [Transpose7] u1 = Transpose <perm = [0, 2, 3, 1]> (c1)
    [Add1] "conv1/BiasAdd:0" = Add (u1, "conv1/bias")
    [Relu1] "conv1/Relu:0" = Relu ("conv1/BiasAdd:0")
    [Transpose8] t2 = Transpose <perm = [0, 3, 1, 2]> ("conv1/Relu:0")
    [pool1] p1 = MaxPool <auto_pad = "VALID", kernel_shape = [3, 3], strides = [2, 2]> (t2)
    [Transpose9] "pool1/MaxPool:0" = Transpose <perm = [0, 2, 3, 1]> (p1)
    [Transpose10] t3 = Transpose <perm = [0, 3, 1, 2]> ("pool1/MaxPool:0")
    [conv2] c2 = Conv <auto_pad = "SAME_UPPER", kernel_shape = [3, 3]> (t3, "conv2/kernel")
    [Transpose11] u2 = Transpose <perm = [0, 2, 3, 1]> (c2)
    [Add2] "conv2/BiasAdd:0" = Add (u2, "conv2/bias")
    [Relu2] "conv2/Relu:0" = Relu ("conv2/BiasAdd:0")
    [flatten] "flatten/Reshape:0" = Reshape ("conv2/Relu:0", flat)
    [fc1] f1 = MatMul ("flatten/Reshape:0", "fc1/kernel")
    [Add3] "fc1/BiasAdd:0" = Add (f1, "fc1/bias")
    [Relu3] "fc1/Relu:0" = Relu ("fc1/BiasAdd:0")
    [predictions] f2 = MatMul ("fc1/Relu:0", "predictions/kernel")
    [Add4] "predictions/BiasAdd:0" = Add (f2, "predictions/bias")
    [Softmax] predictions = Softmax <axis = 1> ("predictions/BiasAdd:0")
}
"""

# SAME where no size is known: how much to pad is computed from the shape, and padded before.
PADDING = """
    [Shape{i}] shape{i} = Shape ({x})
    [Slice{i}] size{i} = Slice (shape{i}, two, four)
    [Cast{i}] float{i} = Cast <to = 1> (size{i})
    [Div{i}] steps{i} = Div (float{i}, stride)
    [Ceil{i}] windows{i} = Ceil (steps{i})
    [Sub{i}] between{i} = Sub (windows{i}, single)
    [Mul{i}] moved{i} = Mul (between{i}, stride)
    [Add{i}] reach{i} = Add (moved{i}, kernel)
    [Lack{i}] lack{i} = Sub (reach{i}, float{i})
    [Max{i}] some{i} = Max (lack{i}, zero)
    [Half{i}] half{i} = Div (some{i}, stride)
    [Floor{i}] before{i} = Floor (half{i})
    [Rest{i}] after{i} = Sub (some{i}, before{i})
    [First{i}] first{i} = Cast <to = 7> (before{i})
    [Last{i}] last{i} = Cast <to = 7> (after{i})
    [Concat{i}] pads{i} = Concat <axis = 0> (zeros, first{i}, zeros, last{i})
    [Pad{i}] padded{i} = Pad ({x}, pads{i}, {value})
"""
CEIL_AND_PAD = (
    """
<ir_version: 7, opset_import: ["": 12], producer_name: "tf2onnx">
ceil_and_pad (
    float[N, H, W, 3] "image_tensor:0", float[6, 3, 3, 3] w1, float[6] b1, float[8, 6, 3, 3] w2,
    float[8, 5] w3
) => (float[N, 5] "logits:0")
<int64[1] two = {2}, int64[1] four = {4}, float stride = {2.0}, float kernel = {3.0},
 float single = {1.0}, float zero = {0.0}, float lowest = {-3.4e38}, int64[2] zeros = {0, 0}>
{
    nchw = Transpose <perm = [0, 3, 1, 2]> ("image_tensor:0")
"""
    + PADDING.format(i=1, x="nchw", value="zero")
    + """
    ["conv1/Conv2D"] "conv1/BiasAdd:0" = Conv <strides = [2, 2]> (padded1, w1, b1)
    ["conv1/Relu"] "conv1/Relu:0" = Relu ("conv1/BiasAdd:0")
"""
    + PADDING.format(i=2, x='"conv1/Relu:0"', value="lowest")
    + """
    ["pool1/MaxPool"] "pool1/MaxPool:0" = MaxPool <kernel_shape = [3, 3], strides = [2, 2]>
        (padded2)
    ["conv2/Conv2D"] "conv2/Conv2D:0" = Conv <pads = [1, 1, 1, 1]> ("pool1/MaxPool:0", w2)
    ["conv2/Relu"] "conv2/Relu:0" = Relu ("conv2/Conv2D:0")
    ["avg/Mean"] "avg/Mean:0" = ReduceMean <axes = [2, 3], keepdims = 0> ("conv2/Relu:0")
    "logits:0" = MatMul ("avg/Mean:0", w3)
}
"""
)


class ChannelsLast(nn.Module):
    """Flatten as Keras does, the channels last."""

    def forward(self, x):
        return x.permute(0, 2, 3, 1).flatten(1)


def tf2onnx():
    return in_sequence(
        Conv1=UnevenConv(3, 6, 3, 2, bias=False),
        bn=nn.BatchNorm2d(6, eps=0.001),
        Conv1_relu=nn.ReLU6(),
        depthwise=UnevenConv(6, 6, 3, 2, groups=6),
        depthwise_relu=nn.ReLU6(),
        project=nn.Conv2d(6, 8, 1, bias=False),
        Conv2=UnevenConv(8, 8, 3, 2, pads=[0, 0, 1, 1]),
        re_lu=nn.ReLU(),
        pool=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        predictions=nn.Linear(8, 5),
    )


def keras2onnx():
    """At 33 x 30 and 5x5/2, SAME_LOWER pads [2, 2] and [2, 1]: what is odd comes first."""
    return in_sequence(
        conv1=UnevenConv(3, 6, 5, 2, pads=[2, 2, 2, 1]),
        relu1=nn.ReLU(),
        pool1=nn.MaxPool2d(3, 2),
        conv2=nn.Conv2d(6, 8, 3, padding=1),
        relu2=nn.ReLU(),
        flatten=ChannelsLast(),
        fc1=nn.Linear(448, 9),
        relu3=nn.ReLU(),
        predictions=nn.Linear(9, 5),
    )


def ceil_and_pad():
    """At 33 x 30, 3x3/2 pads [1, 1] and [0, 1]; at the 17 x 15 that is left, [1, 1] twice."""
    return in_sequence(
        conv1=UnevenConv(3, 6, 3, 2, pads=[1, 0, 1, 1]),
        relu1=nn.ReLU(),
        pool1=UnevenMaxPool(3, 2, pads=[1, 1, 1, 1]),
        conv2=nn.Conv2d(6, 8, 3, padding=1, bias=False),
        relu2=nn.ReLU(),
        pool=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        predictions=nn.Linear(8, 5, bias=False),
    )


# Each: the text, its input, the twin, layers by tensor or node beside the twin's modules.
NETS = {
    "tf2onnx": (TF2ONNX, "input_1", tf2onnx, {
        "StatefulPartitionedCall/mobilenet/Conv1_relu/Relu6:0": "Conv1_relu",
        "StatefulPartitionedCall/mobilenet/project/Conv2D": "project",
        "StatefulPartitionedCall/mobilenet/predictions/BiasAdd": "predictions",
    }),
    "keras2onnx": (KERAS2ONNX, "input_1", keras2onnx, {
        "conv1/Relu:0": "relu1", "conv2/BiasAdd:0": "conv2", "predictions/BiasAdd:0": "predictions",
    }),
    "ceil and pad": (CEIL_AND_PAD, "image_tensor:0", ceil_and_pad, {
        "pool1/MaxPool": "pool1", "conv2/Relu:0": "relu2", "logits:0": "predictions",
    }),
}  # fmt: skip


def to_channels_last(array):
    return array.transpose(0, 2, 3, 1)


def to_channels_first(array):
    return array.transpose(0, 3, 1, 2)


@pytest.fixture(scope="module", params=NETS)
def case(request):
    text, given, make, named = NETS[request.param]
    model = network(text, (given,))
    twin = twin_of(
        model,
        make(),
        SIZE,
        to_file=to_channels_last,
        to_torch=to_channels_first,
        reordered=("conv1/Relu:0", "conv2/BiasAdd:0"),
    )
    return model, twin, named


def test_every_method(case):
    check_projections(*case)


def test_the_networks_own_outputs(case):
    model, twin, named = case
    check_outputs(model, list(named)[1], twin)


def test_the_networks_own_outputs_in_float16(case):
    model, twin, named = case
    check_outputs(in_float16(model), list(named)[1], twin)


def test_layers_know_where_their_channels_are():
    found = {
        (name, layer.tensor): (layer.channel_axis, layer.channels)
        for name, (text, given, *_) in NETS.items()
        for layer in layers(network(text, (given,)))
        if layer.shape is not None and len(layer.shape) == 4
    }
    assert found["tf2onnx", "input_1"] == (3, 3)
    assert found["ceil and pad", "image_tensor:0"] == (3, 3)
    assert found["keras2onnx", "c1"] == (1, 6)
    for tensor in ("u1", "conv1/BiasAdd:0", "conv1/Relu:0"):
        assert found["keras2onnx", tensor] == (3, 6)
    assert found["keras2onnx", "pool1/MaxPool:0"] == (3, 6)
    assert found["keras2onnx", "conv2/Relu:0"] == (3, 8)
    axes = [axis for (name, _), (axis, _) in found.items() if name == "tf2onnx"]
    assert axes.count(1) == len(axes) - 1


def test_what_people_explain_is_marked():
    marks = {}
    for name, (text, given, *_) in NETS.items():
        for layer in layers(network(text, (given,))):
            marks.update({(name, mark): layer.tensor for mark in layer.marks})
    mobilenet = "StatefulPartitionedCall/mobilenet"
    assert marks["tf2onnx", "map layer"] == f"{mobilenet}/re_lu/Relu:0"
    assert marks["tf2onnx", "class score"] == f"{mobilenet}/predictions/BiasAdd:0"
    assert marks["keras2onnx", "map layer"] == "conv2/Relu:0"
    assert marks["keras2onnx", "class score"] == "predictions/BiasAdd:0"
    assert marks["ceil and pad", "map layer"] == "conv2/Relu:0"
    assert marks["ceil and pad", "class score"] == "logits:0"

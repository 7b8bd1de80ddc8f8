"""Networks as Caffe2, MXNet and CNTK wrote them, opset 7 to 9, initialisers among the inputs."""

import onnx
import pytest
from artefacts import network
from blocks import Branches, UnevenMaxPool
from exporters import check_outputs, check_projections, in_float16, twin_of
from nets import in_sequence
from torch import nn

SIZE = (33, 30)

# An AlexNet with a fire module: LRN, groups, a Dropout whose mask is an output, a dummy's shape.
CAFFE2 = """
<ir_version: 4, opset_import: ["": OPSET], producer_name: "onnx-caffe2">
caffe2 (
    float[1, 3, 33, 30] data_0, float[8, 3, 5, 5] conv1_w_0, float[8] conv1_b_0,
    float[12, 4, 3, 3] conv2_w_0, float[12] conv2_b_0, float[4, 12, 1, 1] squeeze1x1_w_0,
    float[4] squeeze1x1_b_0, float[6, 4, 1, 1] expand1x1_w_0, float[6] expand1x1_b_0,
    float[6, 4, 3, 3] expand3x3_w_0, float[6] expand3x3_b_0, float[9, 144] fc6_w_0,
    float[9] fc6_b_0, float[5, 9] fc8_w_0, float[5] fc8_b_0
) => (float[1, 5] prob_1)
<int64[2] OC2_DUMMY_1 = {1, 144}>
{
    conv1_1 = Conv <kernel_shape = [5, 5], strides = [2, 2], pads = [1, 1, 1, 1]>
        (data_0, conv1_w_0, conv1_b_0)
    conv1_2 = Relu (conv1_1)
    norm1_1 = LRN <alpha = 0.3, beta = 0.75, bias = 1.0, size = 5> (conv1_2)
    pool1_1 = MaxPool <kernel_shape = [3, 3], pads = [0, 0, 1, 1], strides = [2, 2]> (norm1_1)
    conv2_1 = Conv <group = 2, kernel_shape = [3, 3], pads = [1, 1, 1, 1]>
        (pool1_1, conv2_w_0, conv2_b_0)
    conv2_2 = Relu (conv2_1)
    norm2_1 = LRN <alpha = 0.3, beta = 0.75, bias = 2.0, size = 3> (conv2_2)
    squeeze1x1_1 = Conv <kernel_shape = [1, 1]> (norm2_1, squeeze1x1_w_0, squeeze1x1_b_0)
    squeeze1x1_2 = Relu (squeeze1x1_1)
    expand1x1_1 = Conv <kernel_shape = [1, 1]> (squeeze1x1_2, expand1x1_w_0, expand1x1_b_0)
    expand1x1_2 = Relu (expand1x1_1)
    expand3x3_1 = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]>
        (squeeze1x1_2, expand3x3_w_0, expand3x3_b_0)
    expand3x3_2 = Relu (expand3x3_1)
    "fire2/concat_1" = Concat <axis = 1> (expand1x1_2, expand3x3_2)
    pool5_1 = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> ("fire2/concat_1")
    OC2_DUMMY_0 = Reshape (pool5_1, OC2_DUMMY_1)
    fc6_1 = Gemm <transB = 1> (OC2_DUMMY_0, fc6_w_0, fc6_b_0)
    fc6_2 = Relu (fc6_1)
    fc6_3, _fc6_mask_1 = Dropout <ratio = 0.5> (fc6_2)
    fc8_1 = Gemm <transB = 1> (fc6_3, fc8_w_0, fc8_b_0)
    prob_1 = Softmax (fc8_1)
}
"""

# A residual net, BatchNorm and Relu before each Conv, that ends as ArcFace's does: in a BatchNorm
# of a vector, which says spatial = 0.
MXNET = """
<ir_version: 4, opset_import: ["": OPSET], producer_name: "mxnet">
mxnet (
    float[N, 3, 33, 30] data, float[3] bn_data_gamma, float[3] bn_data_beta,
    float[3] bn_data_moving_mean, float[3] bn_data_moving_var, float[8, 3, 7, 7] conv0_weight,
    float[8] bn0_gamma, float[8] bn0_beta, float[8] bn0_moving_mean, float[8] bn0_moving_var,
    float[8] bn1_gamma, float[8] bn1_beta, float[8] bn1_moving_mean, float[8] bn1_moving_var,
    float[8, 8, 3, 3] conv1_weight, float[8] leaky0_gamma, float[8, 8, 1, 1] conv2_weight,
    float[9, 8] fc1_weight, float[9] fc1_bias, float[9] fc1_gamma, float[9] fc1_beta,
    float[9] fc1_moving_mean, float[9] fc1_moving_var, float[5, 9] dense0_weight,
    float[5] dense0_bias
) => (float[N, 5] dense0_fwd)
<int64[3] leaky0_shape = {8, 1, 1}>
{
    [bn_data] bn_data = BatchNormalization <epsilon = 0.00002, momentum = 0.9, spatial = 1>
        (data, bn_data_gamma, bn_data_beta, bn_data_moving_mean, bn_data_moving_var)
    [conv0] conv0 = Conv <dilations = [1, 1], group = 1, kernel_shape = [7, 7],
        pads = [3, 3, 3, 3], strides = [2, 2]> (bn_data, conv0_weight)
    [bn0] bn0 = BatchNormalization <epsilon = 0.00002, momentum = 0.9, spatial = 1>
        (conv0, bn0_gamma, bn0_beta, bn0_moving_mean, bn0_moving_var)
    [relu0] relu0 = Relu (bn0)
    [pooling0] pooling0 = MaxPool <kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [2, 2]>
        (relu0)
    [stage1_unit1_bn1] bn1 = BatchNormalization <epsilon = 0.00002, momentum = 0.9, spatial = 1>
        (pooling0, bn1_gamma, bn1_beta, bn1_moving_mean, bn1_moving_var)
    [stage1_unit1_conv1] conv1 = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]>
        (bn1, conv1_weight)
    slope = Reshape (leaky0_gamma, leaky0_shape)
    [stage1_unit1_relu1] leaky0 = PRelu (conv1, slope)
    [stage1_unit1_conv2] conv2 = Conv <kernel_shape = [1, 1]> (leaky0, conv2_weight)
    [_plus0] _plus0 = Add (conv2, pooling0)
    [pool1] pool1 = GlobalAveragePool (_plus0)
    [flatten0] flatten0 = Flatten (pool1)
    [pre_fc1] pre_fc1 = Gemm <alpha = 1.0, beta = 1.0, transA = 0, transB = 1>
        (flatten0, fc1_weight, fc1_bias)
    [fc1] fc1 = BatchNormalization <epsilon = 0.00002, momentum = 0.9, spatial = 0>
        (pre_fc1, fc1_gamma, fc1_beta, fc1_moving_mean, fc1_moving_var)
    [dense0_fwd] dense0_fwd = Gemm <transB = 1> (fc1, dense0_weight, dense0_bias)
}
"""

# The bias is an Add, sizes are SAME or VALID, and a parameter is reshaped before it is multiplied.
CNTK = """
<ir_version: 4, opset_import: ["": OPSET], producer_name: "CNTK">
cntk (
    float[1, 3, 33, 30] Input3, float[8, 3, 5, 5] Parameter5, float[8, 1, 1] Parameter6,
    float[8] scale, float[8] bias, float[8] runMean, float[8] runvar, float[6, 8, 3, 3] Parameter87,
    float[6, 1, 1] Parameter88, float[6, 8, 7, 5] Parameter193, float[1, 5] Parameter194
) => (float[1, 5] Plus214_Output_0)
<int64[2] Pooling160_shape = {1, 336}, int64[2] Parameter193_shape = {336, 5}>
{
    [Times212_reshape1] Parameter193_reshape1 = Reshape (Parameter193, Parameter193_shape)
    [Convolution28] Convolution28_Output_0 = Conv <auto_pad = "SAME_UPPER", dilations = [1, 1],
        group = 1, kernel_shape = [5, 5], strides = [1, 1]> (Input3, Parameter5)
    [Plus30] Plus30_Output_0 = Add (Convolution28_Output_0, Parameter6)
    [ReLU32] ReLU32_Output_0 = Relu (Plus30_Output_0)
    [Pooling66] Pooling66_Output_0 = MaxPool <auto_pad = "SAME_UPPER", kernel_shape = [3, 3],
        strides = [2, 2]> (ReLU32_Output_0)
    [BatchNormalization70] BatchNormalization70_Output_0 = BatchNormalization
        <epsilon = 0.00001, momentum = 0.0> (Pooling66_Output_0, scale, bias, runMean, runvar)
    [Convolution110] Convolution110_Output_0 = Conv <auto_pad = "SAME_UPPER",
        kernel_shape = [3, 3]> (BatchNormalization70_Output_0, Parameter87)
    [Plus112] Plus112_Output_0 = Add (Convolution110_Output_0, Parameter88)
    [ReLU114] ReLU114_Output_0 = Relu (Plus112_Output_0)
    [Pooling160] Pooling160_Output_0 = AveragePool <auto_pad = "VALID", kernel_shape = [2, 2],
        strides = [2, 2]> (ReLU114_Output_0)
    [Times212_reshape0] Pooling160_Output_0_reshape0 = Reshape
        (Pooling160_Output_0, Pooling160_shape)
    [Times212] Times212_Output_0 = MatMul (Pooling160_Output_0_reshape0, Parameter193_reshape1)
    [Plus214] Plus214_Output_0 = Add (Times212_Output_0, Parameter194)
}
"""


class Unit(nn.Module):
    """x + conv2(leaky(conv1(bn1(x))))."""

    def __init__(self):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(8, eps=2e-5)
        self.conv1 = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.leaky = nn.PReLU(8)
        self.conv2 = nn.Conv2d(8, 8, 1, bias=False)

    def forward(self, x):
        return self.conv2(self.leaky(self.conv1(self.bn1(x)))) + x


def caffe2():
    return in_sequence(
        conv1=nn.Sequential(nn.Conv2d(3, 8, 5, 2, 1), nn.ReLU()),
        norm1=nn.LocalResponseNorm(5, 0.3, 0.75, 1.0),
        pool1=UnevenMaxPool(3, 2, pads=[0, 0, 1, 1]),
        conv2=nn.Sequential(nn.Conv2d(8, 12, 3, padding=1, groups=2), nn.ReLU()),
        norm2=nn.LocalResponseNorm(3, 0.3, 0.75, 2.0),
        squeeze=nn.Sequential(nn.Conv2d(12, 4, 1), nn.ReLU()),
        expand=Branches(
            nn.Sequential(nn.Conv2d(4, 6, 1), nn.ReLU()),
            nn.Sequential(nn.Conv2d(4, 6, 3, padding=1), nn.ReLU()),
        ),
        pool5=nn.Sequential(nn.MaxPool2d(2, 2), nn.Flatten()),
        fc6=nn.Sequential(nn.Linear(144, 9), nn.ReLU()),
        fc8=nn.Linear(9, 5),
        prob=nn.Softmax(1),
    )


def mxnet():
    return in_sequence(
        bn_data=nn.BatchNorm2d(3, eps=2e-5),
        conv0=nn.Conv2d(3, 8, 7, 2, 3, bias=False),
        bn0=nn.BatchNorm2d(8, eps=2e-5),
        relu0=nn.ReLU(),
        pooling0=nn.MaxPool2d(3, 2, 1),
        unit1=Unit(),
        pool1=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        pre_fc1=nn.Linear(8, 9),
        fc1=nn.BatchNorm1d(9, eps=2e-5),
        dense0=nn.Linear(9, 5),
    )


def cntk():
    """At 33 x 30, SAME_UPPER of a 3x3/2 pool pads [1, 1] and [0, 1]."""
    return in_sequence(
        conv1=nn.Conv2d(3, 8, 5, padding=2),
        relu1=nn.ReLU(),
        pool1=UnevenMaxPool(3, 2, pads=[1, 0, 1, 1]),
        bn1=nn.BatchNorm2d(8),
        conv2=nn.Conv2d(8, 6, 3, padding=1),
        relu2=nn.ReLU(),
        pool2=nn.Sequential(nn.AvgPool2d(2), nn.Flatten()),
        times=nn.Linear(336, 5),
    )


# Each: the text, its input, the twin, layers by tensor or node beside the twin's modules; None is
# the class score.
NETS = {
    "caffe2": (CAFFE2, "data_0", caffe2, {
        "norm1_1": "norm1", "fire2/concat_1": "expand", "fc6_2": "fc6.1", None: "fc8",
    }),
    "mxnet": (MXNET, "data", mxnet, {
        "stage1_unit1_bn1": "unit1.bn1", "_plus0": "unit1", "fc1": "fc1", None: "dense0",
    }),
    "cntk": (CNTK, "Input3", cntk, {
        "Pooling66_Output_0": "pool1", "Plus112": "conv2", None: "times",
    }),
}  # fmt: skip
OPSETS = [("caffe2", 7), ("caffe2", 8), ("caffe2", 9), ("mxnet", 7), ("mxnet", 8), ("cntk", 7),
          ("cntk", 9)]  # fmt: skip


@pytest.fixture(scope="module", params=OPSETS, ids=str)
def case(request):
    name, opset = request.param
    text, given, make, named = NETS[name]
    model = network(text.replace("OPSET", str(opset)), (given,))
    twin = twin_of(model, make(), SIZE)
    return of_ir_3(model), twin, named


def test_every_method(case):
    check_projections(*case)


@pytest.mark.parametrize("half", [False, True], ids=["float32", "float16"])
def test_the_networks_own_outputs(case, half):
    model, twin, named = case
    check_outputs(in_float16(model) if half else model, list(named)[1], twin)


def test_mxnet_says_spatial_0_of_statistics_for_each_channel():
    """Which ONNX Runtime refuses, though there is but one thing that it can mean."""
    model = network(MXNET.replace("OPSET", "8").replace("spatial = 1", "spatial = 0"), ("data",))
    check_projections(model, twin_of(model, mxnet(), SIZE), {"_plus0": "unit1"})


def of_ir_3(model):
    """Return the model as IR 3 has it, where every initialiser is an input too."""
    for tensor in model.graph.initializer:
        value = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        model.graph.input.append(value)
    model.ir_version = 3
    onnx.checker.check_model(model, full_check=True)
    return model

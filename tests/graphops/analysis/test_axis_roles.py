"""Channel and spatial axes of the kinds of networks that exporters write."""

import io

import axis_nets
import onnx
import pytest
import torch
from exporters import torch_export
from nets import to_onnx

from onnxplain.graphops import Network, check, layers
from onnxplain.graphops.analysis import Places


def parsed(header, body):
    return onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["": 17]> {header} {{ {body} }}')


def numbers(count):
    return "{" + ",".join(["1"] * count) + "}"


def axes_of(model):
    """Return (channel axis, whether it is certain, places by axis) of each tensor."""
    axes = Network(model).canonical().axes
    return {name: (a.channel, a.certain, dict(a.places)) for name, a in axes.items()}


def grid(axes, sizes, **beside):
    return Places(axes, sizes, **beside)


ROWS, COLUMNS = (2,), (3,)
EIGHT = {1: grid(ROWS, (4,)), 2: grid(COLUMNS, (4,))}
MAP = {2: grid(ROWS, (4,)), 3: grid(COLUMNS, (4,))}
TOKENS = {1: grid((2, 3), (4, 4))}
# The channel axis of the network's output, and where its other axes lie in the picture.
NETS = {
    "windows": (axis_nets.Windowed(), 3, EIGHT),
    "tokens": (axis_nets.Tokens(), 2, {1: grid((2, 3), (4, 4), before=1)}),
    "patches": (axis_nets.Tokens(slice(1, None)), 2, TOKENS),
    "mixer": (axis_nets.Mixer(), 2, TOKENS),
    "reader": (axis_nets.Reader(), 2, {0: grid(COLUMNS, (16,))}),
    "boxes": (axis_nets.Boxes(), 2, {}),
    "detector": (axis_nets.Detector(), 1, {}),
    "channels last": (axis_nets.ChannelsLast(), 1, MAP),
    "shuffled": (axis_nets.Shuffled(), 1, {2: grid(ROWS, (8,)), 3: grid(COLUMNS, (8,))}),
    "gated": (axis_nets.Gated(), 1, MAP),
}


@pytest.mark.parametrize("name", NETS)
def test_the_output_of_a_torchscript_export(name):
    net, channel, places = NETS[name]
    for free in (None, {0: "N"}):
        model = to_onnx(net.eval(), torch.zeros(2, 3, 16, 16), free)
        assert axes_of(model)["y"] == (channel, True, places)


@pytest.mark.parametrize("name", NETS)
def test_the_output_of_a_dynamo_export(name):
    net, channel, places = NETS[name]
    program = torch_export(net.eval(), torch.zeros(2, 3, 16, 16), dynamo=True, verbose=False)
    file = io.BytesIO()
    program.save(file)
    assert axes_of(file.getvalue())["y"] == (channel, True, places)


@pytest.mark.parametrize(
    ("body", "channel", "places"),
    [
        ("y = Flatten (c)", 1, {}),
        (
            "s = Constant <value_ints = [0, 6, 4]> () y = Reshape (c, s)",
            1, {2: grid((2, 3), (2, 2))},
        ),
        (
            "s = Constant <value_ints = [0, 6, -1]> () y = Reshape (c, s)",
            1, {2: grid((2, 3), (2, 2))},
        ),
        (
            "s = Constant <value_ints = [0, -1, 1]> () y = Reshape (c, s)", 1, {},
        ),
        ("y = Transpose <perm = [0, 2, 3, 1]> (c)", 3, {1: grid((2,), (2,)), 2: grid((3,), (2,))}),
        ("y = Transpose <perm = [2, 0, 3, 1]> (c)", 3, {0: grid((2,), (2,)), 2: grid((3,), (2,))}),
        (
            "t = Transpose <perm = [0, 2, 3, 1]> (c) s = Constant <value_ints = [0, -1, 3]> ()"
            " y = Reshape (t, s)", 2, {},
        ),
        (
            "a = Constant <value_ints = [2, 3]> () p = GlobalAveragePool (c) q = Squeeze (p, a)"
            " b = Constant <value_ints = [1]> () y = Unsqueeze (q, b)", 2, {},
        ),
        (
            "q = Constant <value_float = 0.1> () z = Constant <value = uint8 {0}> ()"
            " d = QuantizeLinear (c, q, z) t = Transpose <perm = [0, 2, 3, 1]> (d)"
            " y = DequantizeLinear (t, q, z)", 3, {1: grid((2,), (2,)), 2: grid((3,), (2,))},
        ),
        (
            "t = Transpose <perm = [0, 2, 3, 1]> (c) u = Neg (t) y = Concat <axis = -1> (t, u)",
            3, {1: grid((2,), (2,)), 2: grid((3,), (2,))},
        ),
        (
            "t = Transpose <perm = [0, 2, 3, 1]> (c) u, y = Split <axis = 3> (t)",
            3, {1: grid((2,), (2,)), 2: grid((3,), (2,))},
        ),
        (
            "t = Transpose <perm = [0, 2, 3, 1]> (c) i = Constant <value_ints = [1, 4]> ()"
            " y = Gather <axis = 3> (t, i)", 3, {1: grid((2,), (2,)), 2: grid((3,), (2,))},
        ),
        (
            "t = Transpose <perm = [0, 2, 3, 1]> (c) i = Constant <value_int = 1> ()"
            " y = Gather <axis = 1> (t, i)", 2, {1: grid((3,), (2,))},
        ),
        (
            "t = Transpose <perm = [0, 3, 2, 1]> (c)"
            " a = Constant <value_ints = [1]> () e = Constant <value_ints = [3]> ()"
            " y = Slice (t, a, e, e)", 3, {1: grid((3,), (2,)), 2: grid((2,), (2,))},
        ),
        (
            "t = Transpose <perm = [0, 2, 3, 1]> (c)"
            " p = Constant <value_ints = [0,1,1,0,0,1,1,0]> () y = Pad (t, p)",
            3, {1: grid((2,), (4,)), 2: grid((3,), (4,))},
        ),
        (
            "s = Constant <value_floats = [1.0, 1.0, 2.0, 2.0]> () y = Resize (c, , s)",
            1, {2: grid((2,), (4,)), 3: grid((3,), (4,))},
        ),
        (
            "a = Constant <value_ints = [1]> () y = ReduceMean <axes = [1]> (c)",
            1, {2: grid((2,), (2,)), 3: grid((3,), (2,))},
        ),
        ("y = ReduceMax <axes = [2], keepdims = 0> (c)", 1, {2: grid((3,), (2,))}),
        (
            't = Transpose <perm = [0, 2, 3, 1]> (c) y = Einsum <equation = "bhwc->bcwh"> (t)',
            1, {2: grid((3,), (2,)), 3: grid((2,), (2,))},
        ),
        (
            'y = Einsum <equation = "bchw,ck->bhwk"> (c, k)',
            3, {1: grid((2,), (2,)), 2: grid((3,), (2,))},
        ),
    ],
)  # fmt: skip
def test_the_axes_of_one_operator(body, channel, places):
    """Behind a convolution c, [N, 6, 2, 2], of a picture of 4x4 pixels."""
    model = parsed(
        "net (float[N, 3, 4, 4] x) => (float y)"
        f" <float[6, 3, 2, 2] w = {numbers(72)}, float[6, 5] k = {numbers(30)}>",
        f"c = Conv <strides = [2, 2]> (x, w) {body}",
    )
    model.graph.output[0].type.tensor_type.ClearField("shape")
    assert axes_of(model)["y"] == (channel, True, places)


def test_sequences_count_their_units_last_and_convolutions_theirs_second():
    model = parsed(
        "net (float[N, 2, 9] x, float[N, 7, 5] s) => (float[N, 3, 4] y, float[N, 7, 6] z) "
        f"<float[3, 2, 2] w = {numbers(12)}, float[5, 6] m = {numbers(30)}>",
        "c = Conv (x, w) r = Relu (c) d = Add (r, r)"
        " y = MaxPool <kernel_shape = [2], strides = [2]>"
        " (d) t = MatMul (s, m) z = Relu (t)",
    )
    axes = {layer.tensor: (layer.channel_axis, layer.channels) for layer in layers(model)}
    assert axes == {
        **{"x": (1, 2), "c": (1, 3), "r": (1, 3), "d": (1, 3), "y": (1, 3)},
        **{"s": (2, 5), "t": (2, 6), "z": (2, 6)},
    }
    assert not any(layer.channel_axis_assumed for layer in layers(model))


def test_an_input_has_the_axes_of_the_operator_that_reads_it():
    """Channels last, standardised channel by channel, a video's frames laid into the batch."""
    model = parsed(
        "net (float[N, 8, 8, 3] a, float[N, 2, 3, 8, 8] b) => (float[N, 5, 7, 7] y, z)"
        f" <float[5, 3, 2, 2] w = {numbers(60)}, float[3] mean = {numbers(3)},"
        " int64[4] flat = {-1, 3, 8, 8}>",
        "d = Sub (a, mean) t = Transpose <perm = [0, 3, 1, 2]> (d) y = Conv (t, w)"
        " f = Reshape (b, flat) z = Conv (f, w)",
    )
    axes = axes_of(model)
    assert axes["a"] == axes["d"] == (3, True, {1: grid((1,), (8,)), 2: grid((2,), (8,))})
    assert axes["y"][2] == {2: grid((1,), (7,)), 3: grid((2,), (7,))}
    assert axes["b"][:2] == (2, True)


def test_a_recurrent_layer_counts_its_hidden_units_last():
    """As PyTorch writes a bidirectional LSTM over the columns of a text line."""
    model = parsed(
        "net (float[N, 3, 2, 9] x) => (float[9, N, 8] y)"
        f" <float[5, 3, 2, 1] w = {numbers(30)}, float[2, 16, 5] i = {numbers(160)},"
        f" float[2, 16, 4] r = {numbers(128)},"
        " int64[1] rows = {2}, int64[3] flat = {0, 0, -1}>",
        "c = Conv (x, w) q = Squeeze (c, rows) t = Transpose <perm = [2, 0, 1]> (q)"
        ' h, n = LSTM <hidden_size = 4, direction = "bidirectional"> (t, i, r)'
        " p = Transpose <perm = [0, 2, 1, 3]> (h) y = Reshape (p, flat)",
    )
    axes = axes_of(model)
    assert axes["t"] == (2, True, {0: grid((3,), (9,))})
    assert axes["h"][:2] == (3, False)  # the channels are split into two directions
    assert axes["y"] == (2, True, {0: grid((3,), (9,))})


@pytest.mark.parametrize(
    ("body", "channel"),
    [
        ("y = strangers.Odd (x)", 1),
        ("t = strangers.Odd (x) s = Constant <value_ints = [0, 3, 16]> () y = Reshape (t, s)", 2),
        ("s = Constant <value_ints = [0, 3, 4, 4]> () y = Reshape (x, s)", 1),
        (
            "c = Conv (x, w) s = Constant <value_ints = [0, 2, 3, 16]> () y = Reshape (c, s)", 2,
        ),
    ],
    ids=["unknown operator", "unknown sequence", "picture alone", "channels split"],
)  # fmt: skip
def test_what_stays_unsure_is_said(body, channel):
    model = parsed(
        f"net (float[N, 3, 4, 4] x) => (float[N, 3, 4, 4] y) <float[6, 3, 1, 1] w = {numbers(18)}>",
        body,
    )
    model.graph.output[0].type.tensor_type.ClearField("shape")
    model.opset_import.add(domain="strangers", version=1)
    if "strangers" in body:
        known = model.graph.value_info if "t =" in body else model.graph.output
        name = "t" if "t =" in body else "y"
        if "t =" not in body:
            del model.graph.output[:]
        known.append(onnx.helper.make_tensor_value_info(name, 1, ["N", 3, 4, 4]))
    (layer,) = [layer for layer in layers(model) if layer.tensor == "y"]
    assert (layer.channel_axis, layer.channel_axis_assumed) == (channel, True)
    (warning, *_) = check(model, "y", "gradient").warnings
    assert f"axis {channel} is assumed" in warning and "--channel-axis" in warning
    assert check(model, "y", "gradient", channel_axis=1).warnings == ()

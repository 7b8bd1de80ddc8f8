"""Several results of one image through graphs of the operators that keep images apart.

The forward pass runs once for N images; B results each read the rows of their own.
"""

import numpy as np
import pytest
from artefacts import artefact, images, network, run, session

from onnxplain.graphops import check
from onnxplain.graphops.canonicalize import canonicalize

SIZE = (8, 6)
HEAD = '<ir_version: 10, opset_import: ["": 21]>'

GRAPHS = {
    "pieces": """
    pieces (float[N, 4, 8, 6] x, float[6, 4, 3, 3] w1, float[5, 12, 3, 3] w2)
        => (float[N, 5, P, Q] y)
    <int64[8] pads = {0, 0, 1, 2, 0, 0, 1, 0}, int64[4] edges = {1, 0, 2, 1},
     int64[2] space = {2, 3}, int64[2] start = {-1, 1}, int64[2] end = {-99, 6},
     int64[2] step = {-1, 2},
     int64[4] full = {0, 0, 0, 0}, int64[4] far = {9223372036854775807, 4, 9223372036854775807, 8},
     int64[4] twice = {1, 1, 1, 2}>
    {
        c1 = Conv <pads = [1, 1, 1, 1]> (x, w1)
        some, more, rest = Split <axis = 1, num_outputs = 3> (c1)
        a = Pad <mode = "reflect"> (some, pads)
        b = Pad <mode = "edge"> (more, edges, , space)
        turned = Slice (a, start, end, space, step)
        tiled = Tile (turned, twice)
        k = Relu (b)
        s = Shape <start = 2> (tiled)
        zero = Constant <value_ints = [0, 0]> ()
        cut = Slice (k, zero, s, space)
        both = Concat <axis = 1> (cut, tiled)
        all = Concat <axis = -3> (both, both, both)
        part = Slice (all, full, far)
        again = Concat <axis = 1> (part, both, part)
        sum = Mul (again, again)
        y = Conv <pads = [1, 1, 1, 1]> (sum, w2)
    }
    """,
    "resized": """
    resized (float[N, 4, H, W] x, float[4, 4, 3, 3] w1, float[4, 4, 3, 3] w2, float[5, 4, 1, 1] w3)
        => (float[N, 5, P, Q] y)
    <float[4] double = {1, 1, 2, 2}, float[2] half = {0.5, 0.5}>
    {
        c1 = Conv <pads = [1, 1, 1, 1]> (x, w1)
        r1 = Relu (c1)
        large = Resize <mode = "nearest", nearest_mode = "floor"> (r1, , double)
        small = Resize <mode = "linear", axes = [2, 3]> (large, , half)
        s = Shape (large)
        same = Resize <mode = "cubic"> (small, , , s)
        deep = SpaceToDepth <blocksize = 2> (same)
        wide = DepthToSpace <blocksize = 2, mode = "CRD"> (deep)
        gate = Sigmoid (wide)
        product = Mul (wide, gate)
        up = ConvTranspose <strides = [2, 2], pads = [1, 1, 1, 1]> (product, w2)
        norm = LpPool <kernel_shape = [3, 3], strides = [2, 2]> (up)
        y = Conv (norm, w3)
    }
    """,
    "norms": """
    norms (float[N, 4, H, W] x, float[4] s1, float[4] b1, float[4] s2, float[4] b2, float[6] s3,
           float[6] b3, float[5, 4, 1, 1] w) => (float[N, 5, H, W] y)
    {
        a = InstanceNormalization (x, s1, b1)
        b = GroupNormalization <num_groups = 2> (a, s2, b2)
        c = Relu (b)
        d = LayerNormalization (c, s3, b3)
        e = LRN <size = 3, alpha = 0.5> (d)
        f = LpNormalization <axis = 1> (e)
        g = MeanVarianceNormalization <axes = [1, 2, 3]> (f)
        h = Mul (g, x)
        y = Conv (h, w)
    }
    """,
    "picked": """
    picked (float[N, 4, H, W] x, float[4, 4, 3, 3] w1, float[4, 5] w2) => (float[N, 5] y)
    <int64[3] order = {2, 0, -1}, int64[1] three = {3}, int64[2] axes = {1, 2}, int64 one = {1},
     int64[4] wide = {1, 3, 1, 1}, int64[2] last = {2, 3}, int64[1] second = {1}>
    {
        c1 = Conv <pads = [1, 1, 1, 1]> (x, w1)
        g = Gather <axis = 1> (c1, order)
        rows = Flatten <axis = 2> (g)
        flat = Reshape (g, shape)
        best, places = TopK (flat, three)
        found = GatherElements <axis = 2> (flat, places)
        run = CumSum (found, one)
        lower = Trilu <upper = 0> (run)
        product = Einsum <equation = "nab,ncb->nac"> (lower, best)
        soft = Softmax (product)
        m = ReduceMax (c1, last)
        e = ReduceLogSumExp <keepdims = 0> (c1, last)
        n = Squeeze (m, last)
        gate = Mul (e, n)
        mixed = Gemm (gate, w2)
        strongest = ReduceL2 <keepdims = 0> (soft, axes)
        lifted = Unsqueeze (strongest, second)
        y = Mul (mixed, lifted)
    }
    """.replace("flat = Reshape", "shape = Constant <value_ints = [0, 3, -1]> () flat = Reshape")
       .replace("rows = Flatten <axis = 2> (g)", ""),
    "gated": """
    gated (float[N, 4, H, W] x, float[4, 4, 3, 3] w1, float[2, 4, 1, 1] w2, float[4, 2, 1, 1] w3,
           float[4, 1, 1] slope, float[5, 4, 1, 1] w4) => (float[N, 5, H, W] y)
    <int64[2] space = {2, 3}, float zero = {0}>
    {
        c1 = Conv <pads = [1, 1, 1, 1]> (x, w1)
        r1 = HardSwish (c1)
        m = ReduceMean (r1, space)
        s1 = Conv (m, w2)
        s2 = Max (s1, zero)
        s3 = Conv (s2, w3)
        gate = HardSigmoid (s3)
        shape = Shape (r1)
        spread = Expand (gate, shape)
        scaled = Mul (r1, spread)
        bent = PRelu (scaled, slope)
        above = Greater (bent, zero)
        kept = Where (above, bent, r1)
        y = Conv (kept, w4)
    }
    """,
    "quantised": """
    quantised (float[N, 4, H, W] x, float[4, 4, 3, 3] w1, float[5, 4, 1, 1] w2)
        => (float[N, 5, P, Q] y)
    <float s = {0.01}, int8 z = {3}, float[4] t = {0.004, 0.01, 0.02, 0.03},
     uint8[4] u = {9, 99, 120, 0}>
    {
        q1 = QuantizeLinear (x, s, z)
        d1 = DequantizeLinear (q1, s, z)
        c1 = Conv <pads = [1, 1, 1, 1]> (d1, w1)
        q2 = QuantizeLinear (c1, t, u)
        p2 = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (q2)
        d2 = DequantizeLinear (p2, t, u)
        square = Mul (d2, d2)
        y = Conv (square, w2)
    }
    """,
}  # fmt: skip


@pytest.mark.parametrize("method", ["gradient", "guided_backprop"])
@pytest.mark.parametrize("graph", GRAPHS)
def test_pairs_equal_single_runs(graph, method):
    model = network(HEAD + GRAPHS[graph])
    x = images(2, SIZE, channels=4)
    single = session(artefact(model, "y", method, select="channel", position="all"))
    pairs = session(artefact(model, "y", method, select="pairs", position="all"))
    for image_index, channel in [([0, 1, 0], [4, 0, 2]), ([1, 0], [1, 3])]:
        found = run(pairs, x=x, image_index=np.array(image_index), channel=np.array(channel))
        assert np.abs(found["attribution"]).max() > 0
        for i, (image, unit) in enumerate(zip(image_index, channel, strict=True)):
            expected = run(single, x=x[[image]], channel=np.array([unit]))
            for name in ("attribution", "score"):
                near = 1e-6 + 1e-5 * np.abs(expected[name]).max()
                np.testing.assert_allclose(found[name][[i]], expected[name], rtol=0, atol=near)


@pytest.mark.parametrize("graph", GRAPHS)
def test_the_network_runs_once(graph):
    """All tensors keep one row for each image, so no second forward pass picks the images."""
    model = network(HEAD + GRAPHS[graph])
    assert not canonicalize(model).mixed
    assert (check(model, "y").batch, check(model, "y").batch_note) == ("free", "")


@pytest.mark.parametrize("graph", GRAPHS)
def test_a_batch_fixed_at_one_is_freed(graph):
    fixed = network(HEAD + GRAPHS[graph].replace("[N, ", "[1, ").replace("H, W", "8, 6"))
    assert check(fixed, "y").batch == "freed"
    x, channel = images(2, SIZE, channels=4), np.array([0, 4])
    found = run(artefact(fixed, "y", "gradient"), x=x, channel=channel)
    expected = run(artefact(network(HEAD + GRAPHS[graph]), "y", "gradient"), x=x, channel=channel)
    near = 1e-6 * np.abs(expected["attribution"]).max()
    np.testing.assert_allclose(found["attribution"], expected["attribution"], rtol=0, atol=near)


# What moves rows, or adds them up, is told from what does not.
MIXING = {
    "slice": (
        "y = Slice (x, one, two, zero)",
        "<int64[1] zero = {0}, int64[1] one = {1}, int64[1] two = {2}>",
    ),
    "backwards": (
        "y = Slice (x, last, first, zero, back)",
        "<int64[1] zero = {0}, int64[1] last = {-1}, int64[1] first = {-99}, int64[1] back = {-1}>",
    ),
    "slice of all axes": (
        "y = Slice (x, starts, ends)",
        "<int64[2] starts = {1, 0}, int64[2] ends = {9999999999, 2}>",
    ),
    "pad": ("y = Pad (x, pads)", "<int64[4] pads = {1, 0, 0, 0}>"),
    "pad by axes": ("y = Pad (x, pads, , axes)", "<int64[2] pads = {1, 0}, int64[1] axes = {0}>"),
    "tile": ("y = Tile (x, twice)", "<int64[2] twice = {2, 1}>"),
    "expand": ("y = Expand (x, shape)", "<int64[2] shape = {3, 4}>"),
    "cumsum": ("y = CumSum (x, axis)", "<int64 axis = {-2}>"),
    "trilu": ("y = Trilu (x)", ""),
    "einsum": ('y = Einsum <equation = "ab,cb->ac"> (x, x)', ""),
    "einsum that turns": ('y = Einsum <equation = "ab->ba"> (x)', ""),
    "resize": ("y = Resize (x, , scales)", "<float[2] scales = {2, 1}>"),
    "crop": ("y = CenterCropPad <axes = [0]> (x, size)", "<int64[1] size = {2}>"),
    "compress": ("y = Compress <axis = 0> (x, which)", "<bool[2] which = {1, 0}>"),
    "normalisation": ("y = LpNormalization <axis = 0> (x)", ""),
    "gather": ("y = Gather (x, order)", "<int64[2] order = {1, 0}>"),
    "gather elements": ("y = GatherElements (x, order)", "<int64[1, 4] order = {0, 1, 0, 1}>"),
    "reduction": ("y = ReduceMax (x, axes)", "<int64[1] axes = {-2}>"),
    "reduction over all": ("y = ReduceL1 (x)", ""),
    "scatter": (
        "y = ScatterND (x, first, row)",
        "<int64[1, 1] first = {0}, float[1, 4] row = {1, 2, 3, 4}>",
    ),
}


@pytest.mark.parametrize("case", MIXING)
def test_what_mixes_rows_is_noticed(case):
    body, given = MIXING[case]
    text = f"{HEAD} net (float[N, 4] x) => (float[P, Q] y) {given} {{ {body} }}"
    model = network(text)
    assert "y" in canonicalize(model).mixed
    assert "mixes the batch" in check(network(text.replace("[N, 4]", "[1, 4]")), "y").batch_note

"""A batch fixed at 1 is freed exactly where two images in one batch are two single runs."""

import numpy as np
import onnx
import pytest
from check_rule import run
from onnx import numpy_helper

from onnxplain.graphops import Network, Options, check, forward, rewrite
from onnxplain.graphops.analysis import track_batch
from onnxplain.graphops.errors import UnsupportedModel

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def the_same_numbers_in_any_order():
    RNG.bit_generator.state = np.random.default_rng(0).bit_generator.state


def weight(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def ints(*values):
    return np.array(values, np.int64)


CONSTANTS = {
    "w": weight(4, 3, 3, 3),
    "bn_s": np.abs(weight(4)) + 0.1,
    "bn_b": weight(4),
    "bn_m": weight(4),
    "bn_v": np.abs(weight(4)) + 0.1,
    "row": weight(1, 3, 1, 1),
    "map": weight(4, 5),
    "rows": weight(4, 1),
    "whole": weight(1, 2, 4, 5),
    "f60": weight(60, 6),
    "f60t": weight(6, 60),
    "bias": weight(1, 6),
    "f5": weight(5, 6),
    "se": weight(3, 3),
    "flat": ints(1, -1),
    "flat60": ints(1, 60),
    "flat0": ints(0, -1),
    "any60": ints(-1, 60),
    "any20": ints(-1, 20),
    "tokens": ints(1, 3, 20),
    "image": ints(1, 3, 4, 5),
    "col": ints(3, 1, 1),
    "zero": ints(0),
    "spatial": ints(2, 3),
    "minus": ints(-1),
    "slope": weight(3, 1, 1),
    "pads": ints(0, 0, 1, 1, 0, 0, 0, 1),
    "pads0": ints(0, 0, 0, 0, 1, 0, 0, 0),
    "one": ints(1),
    "pick": ints(2, 0),
    "sizes": ints(1, 2),
    "spatial_end": ints(3),
    "scales": np.array([1, 1, 2, 2], np.float32),
    "twice_size": ints(1, 3, 8, 10),
    "two_images": ints(2, 3, 8, 10),
    "size": ints(3, 8, 10),
    "three": weight(3),
    "five": weight(5),
    "go": np.array(True),
}

# Each from x, float [1, 3, 4, 5], to y. These keep one row for each image ...
FREE = {
    "conv": "c = Conv <pads = [1, 1, 1, 1]> (x, w)  r = Relu (c)"
    "  n = BatchNormalization (r, bn_s, bn_b, bn_m, bn_v)"
    "  y = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (n)",
    "global pool": "p = GlobalAveragePool (x)  y = Flatten (p)",
    "reshape to one row": "y = Reshape (x, flat)",
    "reshape to one row, sizes said": "y = Reshape (x, flat60)",
    "reshape that copies the batch": "y = Reshape (x, flat0)",
    "reshape that infers the batch": "y = Reshape (x, any60)",
    "reshape where zero would be zero": "y = Reshape <allowzero = 1> (x, flat60)",
    "reshape there and back": "t = Reshape (x, tokens)  r = Relu (t)  y = Reshape (r, image)",
    "flatten": "f = Flatten (x)  y = Gemm (f, f60, bias)",
    "flatten, negative axis": "f = Flatten <axis = -3> (x)  y = Gemm <transB = 1> (f, f60t)",
    "matmul of rows": "f = Reshape (x, flat)  z = MatMul (f, f60)  y = Add (z, bias)",
    "tokens": "t = Reshape (x, tokens)  y = Transpose <perm = [0, 2, 1]> (t)",
    "channels last and back": "t = Transpose <perm = [0, 2, 3, 1]> (x)  r = Relu (t)"
    "  y = Transpose <perm = [0, 3, 1, 2]> (r)",
    "softmax": "f = Flatten (x)  y = Softmax (f)",
    "softmax over channels": "y = Softmax <axis = 1> (x)",
    "mean over space": "y = ReduceMean <axes = [2, 3], keepdims = 0> (x)",
    "mean over space, from the end": "y = ReduceMean <axes = [-1, -2]> (x)",
    "squeeze": "p = GlobalMaxPool (x)  y = Squeeze (p, spatial)",
    "unsqueeze": "p = GlobalMaxPool (x)  q = Squeeze (p, spatial)  y = Unsqueeze (q, spatial)",
    "concat": "r = Relu (x)  y = Concat <axis = 1> (r, x)",
    "concat, from the end": "r = Relu (x)  y = Concat <axis = -1> (r, x)",
    "a row for all": "a = Add (x, row)  m = Mul (a, map)  y = Sub (m, slope)",
    "squeeze and excite": "p = GlobalAveragePool (x)  f = Flatten (p)  e = MatMul (f, se)"
    "  g = Sigmoid (e)  u = Unsqueeze (g, spatial)  y = Mul (x, u)",
    "matmul with the map": "y = MatMul (x, f5)",
    "attention": "t = Reshape (x, tokens)  u = Transpose <perm = [0, 2, 1]> (t)"
    "  a = MatMul (t, u)  p = Softmax (a)  y = MatMul (p, t)",
    "shape arithmetic": "d = Shape (x)  n = Gather <axis = 0> (d, zero)"
    "  h = Concat <axis = 0> (n, minus)  y = Reshape (x, h)",
    "resize to said sizes": 'y = Resize <mode = "linear"> (x, , , twice_size)',
    "resize to computed sizes": "d = Shape (x)  n = Slice (d, zero, one, zero)"
    '  s = Concat <axis = 0> (n, size)  y = Resize <mode = "linear"> (x, , , s)',
    "average and dropout": "a = AveragePool <kernel_shape = [2, 2]> (x)  y = Dropout (a)",
}

# ... and these do not, each for the node named.
MIXING = {
    "transpose": ("y = Transpose <perm = [1, 0, 2, 3]> (x)", "Transpose"),
    "transpose, all axes": ("y = Transpose (x)", "Transpose"),
    "softmax over the batch": ("y = Softmax <axis = 0> (x)", "Softmax"),
    "softmax over the batch, from the end": ("y = Softmax <axis = -4> (x)", "Softmax"),
    "concat of the batch": ("r = Sigmoid (x)  y = Concat <axis = 0> (r, x)", "Concat"),
    "concat with a constant": ("y = Concat <axis = 1> (x, whole)", "Concat"),
    "mean of the batch": ("y = ReduceMean <axes = [0, 2]> (x)", "ReduceMean"),
    "mean of everything": ("y = ReduceMean (x)", "ReduceMean"),
    "squeezed batch": ("y = Squeeze (x, zero)", "Squeeze"),
    "new leading axis": ("f = Flatten (x)  y = Unsqueeze (f, zero)", "Unsqueeze"),
    "rows of channels": ("t = Reshape (x, any20)  y = Sigmoid (t)", "Reshape"),
    "batch folded away": ("p = GlobalMaxPool (x)  y = Reshape (p, col)", "Reshape"),
    "flattened from the start": ("y = Flatten <axis = 0> (x)", "Flatten"),
    "flattened late": ("y = Flatten <axis = 2> (x)", "Flatten"),
    "a row of each of four": ("f = Flatten (x)  y = Add (f, rows)", "Add"),
    "images side by side": (
        "t = Reshape (x, flat)  u = Transpose <perm = [1, 0]> (t)  y = MatMul (t, u)",
        "Transpose",
    ),
    "row against image": ("p = GlobalMaxPool (x)  q = Squeeze (p, spatial)"
    "  u = Transpose <perm = [0, 2, 3, 1]> (x)  y = Add (u, q)", "Add"),
    "transposed gemm": ("f = Flatten (x)  y = Gemm <transA = 1> (f, bias)", "Gemm"),
}  # fmt: skip


@pytest.mark.parametrize("text", FREE.values(), ids=FREE)
def test_freed_where_rows_stay_apart(text):
    model = network(text)
    report = check(model, "y", "gradient")
    assert (report.batch, report.batch_note) == ("freed", "")
    artefact = rewrite(model, "y", "gradient", Options(position="all"))
    onnx.checker.check_model(artefact, full_check=True)
    assert artefact.graph.input[0].type.tensor_type.shape.dim[0].dim_param
    images = weight(3, 3, 4, 5)
    channels = ints(2, 0, 1)
    whole = run(artefact, {"x": images, "channel": channels}, "y", "attribution", "score")
    for i in range(3):
        single = {"x": images[[i]], "channel": channels[[i]]}
        (y,) = run(model, {"x": images[[i]]})
        alone = run(artefact, single, "y", "attribution", "score")
        np.testing.assert_allclose(alone[0], y, rtol=1e-5, atol=1e-6)
        assert np.any(alone[1])
        for ours, theirs in zip(whole, alone, strict=True):
            np.testing.assert_allclose(ours[[i]], theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("text", FREE.values(), ids=FREE)
def test_several_results_of_one_image(text):
    artefact = rewrite(network(text), "y", "gradient", Options(select="pairs", position="all"))
    onnx.checker.check_model(artefact, full_check=True)
    single = rewrite(network(text), "y", "gradient", Options(position="all"))
    images = weight(2, 3, 4, 5)
    image_index, channels = ints(1, 0, 1), ints(0, 2, 1)
    feeds = {"x": images, "image_index": image_index, "channel": channels}
    got = run(artefact, feeds, "attribution", "score")
    for i in range(3):
        feeds = {"x": images[image_index[[i]]], "channel": channels[[i]]}
        for ours, theirs in zip(got, run(single, feeds, "attribution", "score"), strict=True):
            np.testing.assert_allclose(ours[[i]], theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("text", "operator"), MIXING.values(), ids=MIXING)
def test_fixed_where_rows_would_mix(text, operator):
    model = network(text)
    report = check(model, "y", "gradient")
    assert report.batch == "fixed"
    assert report.batch_note.startswith(f"{operator} '")
    assert "mixes the batch" in report.batch_note
    artefact = rewrite(model, "x", "gradient", Options(select="seed"))
    onnx.checker.check_model(artefact, full_check=True)
    for value in artefact.graph.input:
        assert value.type.tensor_type.shape.dim[0].dim_value == 1
    images = weight(1, 3, 4, 5)
    (expected,) = run(model, {"x": images})
    np.testing.assert_array_equal(run(artefact, {"x": images, "seed": images}, "y")[0], expected)


@pytest.mark.parametrize(("text", "operator"), MIXING.values(), ids=MIXING)
def test_mixing_layers_have_a_gradient_all_the_same(text, operator):
    """Select `seed` asks nothing of the batch: the sum of a mixed layer is still differentiable."""
    model = network(text)
    artefact = rewrite(model, "y", "gradient", Options(select="seed"))
    onnx.checker.check_model(artefact, full_check=True)
    x = weight(1, 3, 4, 5)
    (y,) = run(model, {"x": x})
    g = RNG.standard_normal(y.shape).astype(np.float32)
    (got,) = run(artefact, {"x": x, "seed": g}, "attribution")
    direction = weight(*x.shape)
    step = 1e-2
    (above,), (below,) = (run(model, {"x": x + s * step * direction}) for s in (1, -1))
    slope = np.sum(g * (above.astype(np.float64) - below)) / (2 * step)
    np.testing.assert_allclose(np.sum(got * direction), slope, rtol=1e-2, atol=1e-2)


# The same question of operators that carry no signal yet: the forward pass alone answers it.
FREE_FORWARD = {
    "pad": "y = Pad (x, pads)",
    "resize": "y = Resize (x, , scales)",
    "channels picked": "y = Gather <axis = 1> (x, pick)",
    "slice of space": "y = Slice (x, one, minus, spatial_end)",
    "instance norm": "y = InstanceNormalization (x, three, three)",
    "local response": "y = LRN <size = 3> (x)",
    "prelu": "y = PRelu (x, slope)",
    "split": "a, y = Split <axis = 1> (x, sizes)",
    "depth": "a = Concat <axis = 1> (x, x, x, x)  y = DepthToSpace <blocksize = 2> (a)",
    "where": "c = Greater (x, row)  y = Where (c, x, row)",
    "normalised": "y = LayerNormalization (x, five)",
    "softplus": "a = Softplus (x)  b = HardSwish (a)  c = Tanh (b)  y = Max (c, x, row)",
}
MIXING_FORWARD = {
    "pad": ("y = Pad (x, pads0)", "Pad"),
    "slice of images": ("y = Slice (x, zero, one, zero)", "Slice"),
    "image picked": ("y = Gather <axis = 0> (x, zero)", "Gather"),
    "resize of images": ("y = Resize (x, , , two_images)", "Resize"),
    "said with a weight from an image": ("k = Slice (x, zero, one, one)  y = Conv (x, k)", "Conv"),
    "squeezed without axes": ("p = GlobalMaxPool (x)  y = Squeeze (p)", "Squeeze"),
    "strongest image": ("y = Relu (x)  top = ArgMax <axis = 0> (x)", "ArgMax"),
    "cumulated": ("y = CumSum (x, zero)", "CumSum"),
    "in a branch": (
        "y = If (go) <then_branch = a () => (float[1, 3, 4, 5] t) { t = Softmax <axis = 0> (x) },"
        " else_branch = b () => (float[1, 3, 4, 5] e) { e = Relu (x) }>",
        "Softmax",  # the condition is constant, so the branch has taken the node's place
    ),
}


@pytest.mark.parametrize("text", FREE_FORWARD.values(), ids=FREE_FORWARD)
def test_other_operators_keep_rows_apart(text):
    model = network(text)
    cut = forward(model, "y")
    onnx.checker.check_model(cut, full_check=True)
    images = weight(2, 3, 4, 5)
    (whole,) = run(cut, {"x": images}, "activation")
    for i in range(2):
        (y,) = run(model, {"x": images[[i]]}, "y")
        np.testing.assert_allclose(whole[[i]], y, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("text", "operator"), MIXING_FORWARD.values(), ids=MIXING_FORWARD)
def test_other_operators_mix_rows(text, operator):
    report = check(network(text), "x", "gradient")
    assert report.batch == "fixed"
    assert report.batch_note.startswith(f"{operator} '")


@pytest.mark.parametrize("select", ["pairs", "fixed"])
def test_several_results_are_refused_where_the_batch_stays_fixed(select):
    model = network("r = Conv (x, w)  y = Transpose <perm = [1, 0, 2, 3]> (r)")
    channels = (0, 1) if select == "fixed" else ()
    with pytest.raises(UnsupportedModel, match="free batch.*Transpose"):
        rewrite(model, "r", "gradient", Options(select=select, channels=channels))


def test_one_result_of_a_layer_before_the_mixing():
    model = network("r = Conv (x, w)  y = Transpose <perm = [1, 0, 2, 3]> (r)")
    artefact = rewrite(model, "r", "gradient")
    onnx.checker.check_model(artefact, full_check=True)
    x = weight(1, 3, 4, 5)
    attribution, score = run(artefact, {"x": x, "channel": ints(2)}, "attribution", "score")
    np.testing.assert_allclose(np.sum(attribution * x), score, rtol=1e-4)


def test_a_unit_of_a_layer_after_the_mixing_is_refused_by_name():
    model = network("r = Relu (x)  y = Transpose <perm = [1, 0, 2, 3]> (r)")
    with pytest.raises(UnsupportedModel, match="layer 'y'.*Transpose.*select 'seed'"):
        rewrite(model, "y", "gradient")


@pytest.mark.parametrize("size", [1, 4])
def test_keep_shape(size):
    model = network("f = Flatten (x)  y = Gemm (f, f60, bias)", batch=size)
    report = check(model, "y", "gradient", keep_shape=True)
    assert report.batch == "fixed"
    assert "keep" in report.batch_note
    artefact = rewrite(model, "y", "gradient", Options(keep_shape=True))
    onnx.checker.check_model(artefact, full_check=True)
    sizes = [v.type.tensor_type.shape.dim[0].dim_value for v in artefact.graph.input]
    assert sizes == [size, size]
    assert artefact.graph.output[0].type.tensor_type.shape.dim[0].dim_value == size
    with pytest.raises(UnsupportedModel, match="keep its shape"):
        rewrite(model, "y", "gradient", Options(select="pairs", keep_shape=True))


def test_a_fixed_batch_of_four_stays():
    model = network("c = Conv (x, w)  r = Relu (c)  y = Flatten (r)", batch=4)
    report = check(model, "r", "gradient")
    assert report.batch == "fixed"
    assert "4" in report.batch_note
    artefact = rewrite(model, "r", "gradient")
    onnx.checker.check_model(artefact, full_check=True)
    values = [*artefact.graph.input, *artefact.graph.output]
    assert {v.type.tensor_type.shape.dim[0].dim_value for v in values} == {4}
    single = rewrite(network("c = Conv (x, w)  r = Relu (c)  y = Flatten (r)"), "r", "gradient")
    images, channels = weight(4, 3, 4, 5), ints(3, 1, 0, 2)
    got = run(artefact, {"x": images, "channel": channels}, "attribution", "score")
    expected = run(single, {"x": images, "channel": channels}, "attribution", "score")
    for ours, theirs in zip(got, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("batch", ["N", "batch_size", None])
def test_a_free_batch_stays_and_keeps_its_name(batch):
    model = network("c = Conv (x, w)  y = Relu (c)", batch=batch)
    report = check(model, "y", "gradient")
    assert (report.batch, report.batch_note) == ("free", "")
    artefact = rewrite(model, "y", "gradient")
    onnx.checker.check_model(artefact, full_check=True)
    if batch:
        inputs = artefact.graph.input
        assert {v.type.tensor_type.shape.dim[0].dim_param for v in inputs} == {batch}


def test_height_and_width_stay_free():
    model = network("c = Conv <strides = [2, 2]> (x, w)  y = Relu (c)", batch="N", spatial="HW")
    artefact = rewrite(model, "y", "gradient")
    for size in ((1, 9, 7), (3, 6, 8), (2, 4, 4)):
        x = weight(size[0], 3, *size[1:])
        feeds = {"x": x, "channel": np.zeros(len(x), np.int64)}
        assert run(artefact, feeds, "attribution")[0].shape == x.shape


def test_freeing_leaves_the_network_as_it_was():
    model = network(FREE["reshape to one row"])
    given = model.SerializeToString()
    rewrite(model, "y", "gradient")
    forward(model, "y")
    check(model, "y", "gradient")
    assert model.SerializeToString() == given


def test_the_name_of_the_freed_batch_is_new():
    model = network("c = Conv (x, w)  y = Relu (c)", batch=1, spatial=("N", "batch"))
    artefact = rewrite(model, "y", "gradient")
    names = [d.dim_param for d in artefact.graph.input[0].type.tensor_type.shape.dim]
    assert names[2:] == ["N", "batch"]
    assert names[0]
    assert names[0] not in names[2:]


def test_two_inputs_are_freed_together():
    model = network("s = Add (x, z)  y = GlobalAveragePool (s)")
    second = onnx.helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, [1, 3, 4, 5])
    model.graph.input.append(second)
    artefact = rewrite(model, "s", "gradient")
    x, z = weight(2, 3, 4, 5), weight(2, 3, 4, 5)
    feeds = {"x": x, "z": z, "channel": ints(0, 2)}
    (attribution,) = run(artefact, feeds, "attribution")
    expected = np.zeros_like(x)
    expected[0, 0] = expected[1, 2] = 1
    np.testing.assert_array_equal(attribution, expected)


def network(text, batch=1, spatial=(4, 5)):
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 17]> '
        f"net (float[1, 3, 4, 5] x) => (float y) {{ {text} }}"
    )
    shape = [batch, 3, *spatial]
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)
    model.graph.input[0].CopyFrom(value)
    for i, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{i}"
    del model.graph.output[:]
    model.graph.output.append(onnx.ValueInfoProto(name="y"))
    read = {name for node in model.graph.node for name in node.input}
    assert not read & {t for n in model.graph.node for t in n.output} & CONSTANTS.keys()
    model.graph.initializer.extend(
        numpy_helper.from_array(v, name) for name, v in CONSTANTS.items() if name in read
    )
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    model.graph.output[0].CopyFrom(inferred.graph.output[0])
    return model


@pytest.mark.parametrize(
    ("node", "shape", "state"),
    [
        ("y = Gather (table, ids)", "N, 4, 3", "batched"),  # each image picks rows of its own
        ("y = Gather <axis = 1> (table, ids)", "2, N, 4", "mixed"),  # the table's rows come first
        ("f = Cast <to = 1> (ids) y = Gather (f, ids)", "N, 4, 4", "mixed"),  # it picks images
        ("f = Cast <to = 1> (ids) y = Gather <axis = 1> (f, two)", "N, 2", "batched"),
    ],
)
def test_values_looked_up_in_a_table(node, shape, state):
    text = f"""
    <ir_version: 8, opset_import: ["": 17]>
    net (int64[N, 4] ids) => (float[{shape}] y) {{
        two = Constant <value_ints = [1, 0]> ()
        table = Constant <value = float[2, 3] {{1, 2, 3, 4, 5, 6}}> ()
        {node}
    }}
    """
    graph = Network(onnx.parser.parse_model(text)).canonical().graph
    assert track_batch(graph)["y"] == state

"""Attention and RotaryEmbedding, with all of their attributes and optional inputs."""

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from check_rule import check_rule, one_node, relative_error, run, spaced
from onnx.reference import ReferenceEvaluator

from onnxplain.graphops import Options, check, rewrite
from onnxplain.graphops.errors import UnsupportedModel, UnsupportedOperator

BY_HEAD = [(2, 4, 3, 4), (2, 4, 5, 4), (2, 4, 5, 3)]
FLAT = [(2, 3, 16), (2, 5, 16), (2, 5, 12)]
SHARED = [(2, 4, 3, 4), (2, 2, 5, 4), (2, 2, 5, 3)]
FLAT_SHARED = [(2, 3, 16), (2, 5, 8), (2, 5, 6)]
HEADS = {"q_num_heads": 4, "kv_num_heads": 4}
FEWER = {"q_num_heads": 4, "kv_num_heads": 2}

LAYOUTS = {
    "by head": (BY_HEAD, {}),
    "flat": (FLAT, HEADS),
    "shared": (SHARED, {}),
    "flat, shared": (FLAT_SHARED, FEWER),
}


# An unknown size of the vectors, which no dense layer gives, ONNX's inference takes for 0.
VARIANTS = {"by head": ("static", "named", "unknown"), "flat": ("static",),
            "shared": ("static", "named", "unknown"), "flat, shared": ("static",)}  # fmt: skip


def split(x, heads):
    return x if x.ndim == 4 else x.reshape(*x.shape[:2], heads, -1).transpose(1, 2)


def attention(bias=None, *, q_num_heads=4, kv_num_heads=4, scale=None, softcap=0.0, is_causal=0):
    """Return Attention in PyTorch, written out; `bias` is added to the scores."""

    def forward(q, k, v, mask=None):
        flat = q.ndim == 3
        q, k, v = (split(x, h) for x, h in ((q, q_num_heads), *((t, kv_num_heads) for t in (k, v))))
        k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], 1) for x in (k, v))
        scores = q @ k.transpose(-2, -1) * (scale or q.shape[-1] ** -0.5)
        if softcap:
            scores = softcap * torch.tanh(scores / softcap)
        for added in (bias, mask):
            if added is not None:
                added = torch.as_tensor(added).double()
                short = scores.shape[-1] - added.shape[-1]
                scores = scores + F.pad(added, (0, short), value=-torch.inf)
        if is_causal:
            later = torch.ones(scores.shape[-2:]).triu(1).bool()
            scores = scores.masked_fill(later, -torch.inf)
        y = scores.softmax(-1).nan_to_num(0.0) @ v
        return y.transpose(1, 2).flatten(2) if flat else y

    return forward


@pytest.mark.parametrize("wrt", [0, 1, 2])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout, wrt):
    shapes, attrs = LAYOUTS[layout]
    check_rule("Attention", shapes, wrt=wrt, opset=23, oracle=attention(**attrs),
               variants=VARIANTS[layout], **attrs)  # fmt: skip


@pytest.mark.parametrize("wrt", [0, 1, 2])
@pytest.mark.parametrize("attrs", [{"scale": 0.3}, {"softcap": 0.7}, {"is_causal": 1}], ids=str)
def test_attributes(attrs, wrt):
    for layout in ("by head", "flat, shared"):
        shapes, heads = LAYOUTS[layout]
        given = attrs | heads
        check_rule("Attention", shapes, wrt=wrt, opset=23, oracle=attention(**given),
                   variants=VARIANTS[layout], **given)  # fmt: skip


HIDDEN = np.random.default_rng(0).random((3, 5)) < 0.4
HIDDEN[1] = False
MASKS = {
    "float": np.where(HIDDEN, -np.inf, spaced((3, 5))).astype(np.float32),
    "Boolean": ~HIDDEN,
    "by head": spaced((4, 3, 5)),
    "by image": spaced((2, 1, 3, 5)),
}
NOT_IN_ONNX_RUNTIME = {
    "fewer keys": spaced((3, 4)),
    "fewer keys, by image": spaced((2, 1, 3, 4)),
    "the same for all queries": spaced((4, 1, 5)),
    "a query that sees no key": np.array([[1, 1, 0, 1, 1], [0] * 5, [1] * 5], bool),
}


def added(mask):
    return np.where(mask, 0.0, -np.inf) if mask.dtype == bool else mask


@pytest.mark.parametrize("kind", MASKS)
def test_masks(kind):
    mask = MASKS[kind]
    for layout in ("by head", "flat, shared"):
        shapes, heads = LAYOUTS[layout]
        for wrt in (0, 2):
            check_rule("Attention", shapes, weights=[mask], wrt=wrt, opset=23,
                       variants=VARIANTS[layout], oracle=attention(added(mask), **heads),
                       **heads)  # fmt: skip


@pytest.mark.parametrize("kind", NOT_IN_ONNX_RUNTIME)
def test_masks_by_the_reference_evaluator(kind):
    mask = NOT_IN_ONNX_RUNTIME[kind]
    values = {f"x{i}": spaced(s, i) for i, s in enumerate(BY_HEAD)}
    names = [*values, "w"]
    seed = spaced((2, 4, 3, 3), 5)
    for variant in ("static", "unknown"):
        model = one_node("Attention", names, values, {"w": mask}, variant, opset=23)
        for target in values:
            made = rewrite(model, "y", "gradient", Options(select="seed", to=target))
            with np.errstate(invalid="ignore"):  # −∞ less −∞, in a softmax of nothing
                evaluator = ReferenceEvaluator(made)
                (found,) = evaluator.run(["attribution"], values | {"seed": seed})
            hidden = np.isneginf(bias := added(mask)).all(-1)  # queries whose output is zero
            bias = np.where(hidden[..., None], 0, bias)
            given = np.where(np.broadcast_to(hidden, (2, 4, hidden.shape[-1]))[..., None], 0, seed)
            leaves = {k: torch.tensor(x).double().requires_grad_() for k, x in values.items()}
            y = attention(bias)(*leaves.values())
            (exact,) = torch.autograd.grad(y, leaves[target], torch.tensor(given).double())
            assert relative_error(found, exact.numpy()) < 1e-5


@pytest.mark.parametrize("shape", [(3, 5), (4, 3, 5), (2, 1, 3, 5)], ids=str)
def test_a_mask_that_carries_a_signal(shape):
    shapes = [*BY_HEAD, shape]
    check_rule("Attention", shapes, wrt=3, opset=23, variants=["static", "named"],
               oracle=attention())  # fmt: skip


@pytest.mark.parametrize("causal", [0, 1])
def test_lengths_of_the_keys(causal):
    """Each image has its own number of valid keys, behind which all are hidden; since opset 24."""
    lengths = np.array([4, 3])
    number = np.arange(5)
    seen = number[None, None] < lengths[:, None, None]
    if causal:
        seen = seen & (number <= np.arange(3)[None, :, None] + (lengths - 3)[:, None, None])
    bias = np.where(seen, 0.0, -np.inf)[:, None]
    for wrt in (0, 1, 2):
        check_rule(
            "Attention", BY_HEAD, weights=[None, None, None, lengths], fixed=("w3",), wrt=wrt,
            opset=24, oracle=attention(bias), is_causal=causal,
        )  # fmt: skip


def test_half_precision():
    check_rule("Attention", FLAT, opset=23, dtype=np.float16, oracle=attention(**HEADS),
               variants=["static"], **HEADS)  # fmt: skip


def test_the_networks_own_output_is_untouched():
    values = {f"x{i}": spaced(s, i) for i, s in enumerate(FLAT)}
    model = one_node("Attention", [*values], values, {}, opset=23, attrs=HEADS)
    made = rewrite(model, "y", "gradient", Options(select="seed", to="x0"))
    (before,) = run(model, values, "y")
    (after,) = run(made, values | {"seed": spaced(before.shape)}, "y")
    np.testing.assert_array_equal(before, after)
    assert [n.op_type for n in made.graph.node].count("Attention") == 1


def test_a_cache_is_refused():
    values = {f"x{i}": spaced(s, i) for i, s in enumerate([*BY_HEAD, (2, 4, 2, 4), (2, 4, 2, 3)])}
    names = ["x0", "x1", "x2", "", "x3", "x4"]
    model = one_node("Attention", names, values, {}, opset=23, outputs=3)
    assert "without a cache" in check(model, "y", "gradient", to="x0").problem
    with pytest.raises(UnsupportedOperator, match="'node' has past keys.*without a cache"):
        rewrite(model, "y", "gradient", Options(select="seed", to="x0"))


def test_scores_as_the_layer_are_refused():
    model = onnx.parser.parse_model("""
        <ir_version: 11, opset_import: ["": 23]>
        net (float[N, 4, 3, 4] x) => (float[N, 4, 3, 4] z)
        { y, k, v, s = Attention <qk_matmul_output_mode = 1> (x, x, x) t = Mul (y, y)
          z = MatMul (s, t) }
    """)
    with pytest.raises(UnsupportedModel, match="output of Attention .* other than the first"):
        rewrite(model, "z", "gradient", Options(select="seed"))


def test_scores_beside_the_path_do_no_harm():
    values = {f"x{i}": spaced(s, i) for i, s in enumerate(BY_HEAD)}
    model = one_node("Attention", [*values], values, {}, opset=23, outputs=4)
    made = rewrite(model, "y", "gradient", Options(select="seed", to="x1"))
    seed = spaced((2, 4, 3, 3), 5)
    (found,) = run(made, values | {"seed": seed}, "attribution")
    q, k, v = (torch.tensor(x).double().requires_grad_() for x in values.values())
    (exact,) = torch.autograd.grad(attention()(q, k, v), k, torch.tensor(seed).double())
    assert relative_error(found, exact.numpy()) < 1e-5


@pytest.mark.parametrize("select", ["channel", "pairs"])
@pytest.mark.parametrize("masked", ["", "m"])
def test_images_keep_apart(select, masked):
    model = onnx.parser.parse_model(f"""
        <ir_version: 11, opset_import: ["": 23]>
        net (float[N, 3, 8] x) => (float[N, 3, 8] y) <float[1, 1, 3, 3] m =
        {{0, -1, 2, 1, 0, 0.5, 3, 1, 1}}>
        {{ a = Sin (x) b = Relu (x) y = Attention <q_num_heads = 2, kv_num_heads = 2>
           (a, b, x{", " + masked if masked else ""}) }}
    """)
    assert check(model, "y", "gradient").batch == "free"
    x = spaced((2, 3, 8))
    single = rewrite(model, "y", "gradient", Options(channel_axis=2))
    made = rewrite(model, "y", "gradient", Options(select=select, channel_axis=2))
    image = np.array([1, 0, 1]) if select == "pairs" else np.array([0, 1])
    channel = np.arange(len(image))
    feeds = {"x": x, "channel": channel} | ({"image_index": image} if select == "pairs" else {})
    (found,) = run(made, feeds, "attribution")
    for i, row in enumerate(image):
        (one,) = run(single, {"x": x[[row]], "channel": channel[[i]]}, "attribution")
        assert relative_error(found[[i]], one) < 1e-6


ANGLES = spaced((2, 3, 2), 7)
TABLES = [np.cos(ANGLES), np.sin(ANGLES)]
BY_NUMBER = [np.cos(spaced((6, 2), 7)), np.sin(spaced((6, 2), 7)), np.array([[0, 5, 2], [4, 3, 1]])]


def rotated(cosine, sine, *, heads=4, width=4, interleaved=0):
    """Return RotaryEmbedding in PyTorch: pairs of each head's first numbers are complex ones."""
    turn = torch.complex(*(torch.as_tensor(t).double()[:, None] for t in (cosine, sine)))

    def forward(x):
        flat = x.ndim == 3
        x = split(x, heads)
        first, rest = x[..., :width], x[..., width:]
        if interleaved:
            pairs = first.unflatten(-1, (-1, 2))
        else:
            pairs = first.unflatten(-1, (2, -1)).transpose(-1, -2)
        turned = torch.view_as_real(torch.view_as_complex(pairs.contiguous()) * turn)
        turned = turned if interleaved else turned.transpose(-1, -2)
        y = torch.cat([turned.flatten(-2), rest], -1)
        return y.transpose(1, 2).flatten(2) if flat else y

    return forward


@pytest.mark.parametrize("interleaved", [0, 1])
@pytest.mark.parametrize("tables", ["by place", "by number"])
@pytest.mark.parametrize("flat", [False, True])
def test_rotary_embedding(flat, tables, interleaved):
    """Of six numbers of each head, the first four are turned."""
    shape = (2, 3, 24) if flat else (2, 4, 3, 6)
    attrs = {"interleaved": interleaved, "rotary_embedding_dim": 4}
    attrs |= {"num_heads": 4} if flat else {}
    weights = TABLES if tables == "by place" else BY_NUMBER
    by_place = TABLES if tables == "by place" else [t[BY_NUMBER[2]] for t in BY_NUMBER[:2]]
    check_rule("RotaryEmbedding", [shape], weights=weights, opset=23,
               oracle=rotated(*by_place, interleaved=interleaved), **attrs)  # fmt: skip


@pytest.mark.parametrize("interleaved", [0, 1])
def test_a_rotation_of_whole_heads(interleaved):
    oracle = rotated(*TABLES, interleaved=interleaved)
    check_rule("RotaryEmbedding", [(2, 4, 3, 4)], weights=TABLES, opset=23, oracle=oracle,
               interleaved=interleaved)  # fmt: skip

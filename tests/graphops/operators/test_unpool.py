"""The four forms of max-unpooling against slow NumPy: signals add at the first maximum."""

import itertools
from dataclasses import dataclass

import numpy as np
import onnx
import pytest
from check_rule import run
from onnx import helper

from onnxplain.graphops import Options, check, rewrite


@dataclass(frozen=True)
class Pool:
    """One MaxPool: its spatial size and its attributes."""

    size: tuple[int, ...]
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    pads: tuple[int, ...] = ()
    dilations: tuple[int, ...] = ()
    ceil_mode: int = 0
    auto_pad: str = "NOTSET"

    def __str__(self):
        extra = {"ceil": self.ceil_mode, self.auto_pad: self.auto_pad != "NOTSET"}
        extra |= {f"pads{self.pads}": self.pads, f"dilations{self.dilations}": self.dilations}
        said = "-".join(name for name, on in extra.items() if on)
        return f"{self.size}-k{self.kernel}-s{self.strides}-{said}".replace(" ", "").rstrip("-")

    @property
    def attrs(self):
        attrs = {"kernel_shape": self.kernel, "strides": self.strides, "ceil_mode": self.ceil_mode}
        if self.pads:
            attrs["pads"] = self.pads
        if self.dilations:
            attrs["dilations"] = self.dilations
        if self.auto_pad != "NOTSET":
            attrs["auto_pad"] = self.auto_pad
        return attrs

    @property
    def reach(self):
        dilations = self.dilations or [1] * len(self.size)
        return [d * (k - 1) + 1 for k, d in zip(self.kernel, dilations, strict=True)]

    @property
    def begin(self):
        """The padding before each axis, by ONNX's definition of auto_pad."""
        if self.auto_pad not in ("SAME_UPPER", "SAME_LOWER"):
            return list(self.pads[: len(self.size)]) if self.pads else [0] * len(self.size)
        begin = []
        for size, reach, stride in zip(self.size, self.reach, self.strides, strict=True):
            total = max((int(np.ceil(size / stride)) - 1) * stride + reach - size, 0)
            begin.append(total // 2 if self.auto_pad == "SAME_UPPER" else (total + 1) // 2)
        return begin

    def window(self, out):
        """The places in the input, in row-major order, of the window of one output."""
        dilations = self.dilations or [1] * len(self.size)
        axes = []
        for o, k, s, d, b, n in zip(
            out, self.kernel, self.strides, dilations, self.begin, self.size, strict=True
        ):
            axes.append([p for i in range(k) if 0 <= (p := o * s - b + i * d) < n])
        return list(itertools.product(*axes))

    @property
    def overlaps(self):
        """Whether two windows share an element, found by looking at all of them."""
        seen = set()
        for out in np.ndindex(*(2 * n for n in self.size)):
            places = self.window(out)
            if seen & set(places):
                return True
            seen |= set(places)
        return False


APART = [
    Pool((6, 6), (2, 2), (2, 2)),
    Pool((7, 5), (2, 2), (2, 2)),  # remainders
    Pool((7, 5), (2, 2), (2, 2), ceil_mode=1),
    Pool((7, 8), (3, 3), (3, 3), pads=(1, 1, 1, 1)),
    Pool((8, 7), (2, 2), (3, 3), pads=(1, 0, 0, 1)),
    Pool((7, 7), (2, 2), (2, 2), auto_pad="SAME_UPPER"),
    Pool((7, 7), (2, 2), (2, 2), auto_pad="SAME_LOWER"),
    Pool((7, 6), (2, 2), (2, 2), auto_pad="VALID"),
    Pool((8, 9), (2, 2), (3, 3), dilations=(2, 2)),
    Pool((9,), (2,), (2,), ceil_mode=1),
    Pool((7, 7), (2, 2), (2, 2), pads=(1, 1, 1, 1), ceil_mode=1),  # none starts in the padding
    Pool((8,), (3,), (3,), pads=(1, 1)),
    Pool((6,), (1,), (2,)),
    Pool((4, 5, 4), (2, 2, 2), (2, 2, 2)),
]
OVERLAPPING = [
    Pool((7, 7), (3, 3), (2, 2)),
    Pool((8, 6), (3, 3), (2, 2)),  # remainders
    Pool((8, 6), (3, 3), (2, 2), ceil_mode=1),
    Pool((7, 8), (3, 3), (2, 2), pads=(1, 1, 1, 1)),
    Pool((7, 8), (3, 2), (1, 1), pads=(0, 1, 2, 0)),
    Pool((7, 6), (3, 3), (2, 2), auto_pad="SAME_UPPER"),
    Pool((7, 6), (3, 3), (2, 2), auto_pad="SAME_LOWER"),
    Pool((5, 7), (3, 3), (1, 1), auto_pad="SAME_UPPER"),
    Pool((9, 8), (3, 2), (2, 1), pads=(1, 1, 1, 1), dilations=(2, 3)),
    Pool((8, 9), (2, 2), (2, 2), dilations=(2, 2)),  # reach beyond, and meet on every second
    Pool((9,), (3,), (1,), pads=(1, 1)),
    Pool((8,), (3,), (2,), pads=(1, 0), ceil_mode=1),
    Pool((4, 5, 4), (3, 3, 3), (2, 1, 2), pads=(1, 1, 1, 1, 1, 1)),
]
POOLS = APART + OVERLAPPING

INPUTS = {
    "no ties": lambda rng, shape: rng.permutation(np.prod(shape)).reshape(shape) - 50,
    "few values": lambda rng, shape: rng.integers(0, 3, shape),
    "constant": lambda rng, shape: np.zeros(shape),
    "constant negative": lambda rng, shape: np.full(shape, -3),
    "after a relu": lambda rng, shape: np.maximum(rng.integers(-6, 4, shape), 0),
}


@pytest.mark.parametrize("pool", POOLS, ids=str)
def test_the_pools_are_what_they_are_listed_as(pool):
    assert pool.overlaps == (pool in OVERLAPPING)


@pytest.mark.parametrize("sizes", ["static", "dynamic"])
@pytest.mark.parametrize("form", ["scatter", "portable", "auto"])
@pytest.mark.parametrize("pool", POOLS, ids=str)
def test_exact_forms(pool, form, sizes):
    agrees_with(unpooled, pool, form, sizes)


@pytest.mark.parametrize("sizes", ["static", "dynamic"])
@pytest.mark.parametrize("pool", APART, ids=str)
def test_maxunpool_where_windows_lie_apart(pool, sizes):
    agrees_with(unpooled, pool, "maxunpool", sizes)


@pytest.mark.parametrize("sizes", ["static", "dynamic"])
@pytest.mark.parametrize("pool", POOLS, ids=str)
def test_window_spreads_over_the_whole_window(pool, sizes):
    agrees_with(spread, pool, "window", sizes)


@pytest.mark.parametrize("channels", [3, 32])  # 32 are whole blocks of ONNX Runtime's layout
@pytest.mark.parametrize("pool", POOLS, ids=str)
def test_comparing_with_the_maximum(pool, channels, monkeypatch):
    monkeypatch.setattr("onnxplain.graphops.lowering.blocked.BLOCK", 1)
    agrees_with(unpooled, pool, "auto", "static", "fast", channels)


OF_MAPS = [p for p in POOLS if len(p.size) == 2 and not p.dilations]


@pytest.mark.parametrize("pool", OF_MAPS, ids=str)
def test_pools_over_maps_are_compared(pool, monkeypatch):
    monkeypatch.setattr("onnxplain.graphops.lowering.blocked.BLOCK", 1)
    artefact = explained(pool, "auto", "static", lowering="fast")
    assert all(len(n.output) == 1 for n in artefact.graph.node if n.op_type == "MaxPool")


def agrees_with(oracle, pool, form, sizes, lowering="plain", channels=3):
    rng = np.random.default_rng(5)
    artefact = explained(pool, form, sizes, lowering=lowering, channels=channels)
    for fill in INPUTS.values():
        x = fill(rng, (2, channels, *pool.size)).astype(np.float32)
        y = maximum_pooled(pool, x)
        g = rng.integers(-8, 9, y.shape).astype(np.float32)
        got_y, got = run(artefact, {"x": x, "seed": g}, "y", "attribution")
        np.testing.assert_array_equal(got_y, y)
        np.testing.assert_array_equal(got, oracle(pool, x, g))


@pytest.mark.parametrize("form", ["scatter", "portable", "auto"])
@pytest.mark.parametrize("pool", [APART[2], APART[5], OVERLAPPING[2], OVERLAPPING[6]], ids=str)
def test_float16(pool, form):
    rng = np.random.default_rng(1)
    x = rng.integers(-3, 4, (2, 2, *pool.size)).astype(np.float16)
    g = rng.integers(-8, 9, maximum_pooled(pool, x).shape).astype(np.float16)
    (got,) = run(explained(pool, form, "dynamic", np.float16), {"x": x, "seed": g}, "attribution")
    assert got.dtype == np.float16
    np.testing.assert_array_equal(got, unpooled(pool, x, g))


def test_float16_adds_in_float32():
    """One maximum in the middle collects nine signals; 2048 + 1 has no place in float16."""
    pool = Pool((3, 3), (3, 3), (1, 1), pads=(2, 2, 2, 2))
    x = np.zeros((1, 1, 3, 3), np.float16)
    x[0, 0, 2, 2] = 1
    g = np.ones(maximum_pooled(pool, x).shape, np.float16)
    g[0, 0, 2, 2] = 2048
    (got,) = run(
        explained(pool, "scatter", "static", np.float16), {"x": x, "seed": g}, "attribution"
    )
    assert got[0, 0, 2, 2] == 2056


def exact_pairs(pools, forms):
    """Return the pools with the forms, but for maxunpool where it would overwrite."""
    pairs = itertools.product(pools, forms)
    return [pytest.param(p, f, id=f"{p}-{f}") for p, f in pairs if f != "maxunpool" or p in APART]


@pytest.mark.parametrize(
    ("pool", "form"),
    exact_pairs([APART[1], APART[5], OVERLAPPING[3]], ["scatter", "portable", "maxunpool"]),
)
def test_column_major_indices_are_not_taken_for_row_major(pool, form):
    model = network(pool, "dynamic", storage_order=1, indices=True)
    artefact = rewrite(model, "y", "gradient", Options(select="seed", to="x", unpool=form))
    onnx.checker.check_model(artefact, full_check=True)
    rng = np.random.default_rng(2)
    x = rng.integers(0, 3, (2, 3, *pool.size)).astype(np.float32)
    y = maximum_pooled(pool, x)
    g = rng.integers(-8, 9, y.shape).astype(np.float32)
    (before,) = run(model, {"x": x}, "indices")
    after, got = run(artefact, {"x": x, "seed": g}, "indices", "attribution")
    np.testing.assert_array_equal(after, before)
    np.testing.assert_array_equal(got, unpooled(pool, x, g))


@pytest.mark.parametrize("sizes", ["static", "dynamic"])
@pytest.mark.parametrize(
    ("pool", "form"),
    exact_pairs(
        [APART[0], APART[1], APART[2], APART[5], APART[8], OVERLAPPING[3]],
        ["scatter", "portable", "maxunpool", "window"],
    ),
)
def test_pairs(pool, form, sizes):
    """Three results of two images: each reads the switches of its own."""
    options = Options(select="pairs", to="x", unpool=form, position="all", seed_value="activation")
    artefact = rewrite(network(pool, sizes), "y", "gradient", options)
    onnx.checker.check_model(artefact, full_check=True)
    rng = np.random.default_rng(3)
    x = rng.integers(0, 5, (2, 3, *pool.size)).astype(np.float32)
    images, channels = np.array([1, 0, 1]), np.array([2, 1, 0])
    feeds = {"x": x, "image_index": images, "channel": channels}
    got, score = run(artefact, feeds, "attribution", "score")
    y = maximum_pooled(pool, x)
    oracle = spread if form == "window" else unpooled
    for result, (image, channel) in enumerate(zip(images, channels, strict=True)):
        g = np.zeros_like(y[[image]])
        g[0, channel] = y[image, channel]
        np.testing.assert_array_equal(got[result], oracle(pool, x[[image]], g)[0])
        np.testing.assert_allclose(score[result], np.sum(y[image, channel] ** 2))


@pytest.mark.parametrize("form", ["maxunpool", "scatter", "portable", "window"])
def test_each_form_is_the_operators_it_promises(form):
    promised = {
        "maxunpool": {"MaxUnpool"},
        "scatter": {"ScatterElements"},
        "portable": {"ArgMax", "ConvTranspose"},
        "window": {"ConvTranspose"},
    }
    artefact = explained(APART[0], form, "dynamic")
    emitted = {n.op_type for n in artefact.graph.node}
    marks = {"MaxUnpool", "ScatterElements", "ArgMax", "ConvTranspose"}
    assert emitted & marks == promised[form]
    pool = next(n for n in artefact.graph.node if n.op_type == "MaxPool")
    assert len(pool.output) == (2 if form in ("maxunpool", "scatter") else 1)


def test_maxunpool_is_fed_by_the_pools_own_indices():
    artefact = explained(APART[0], "maxunpool", "static")
    unpool = next(n for n in artefact.graph.node if n.op_type == "MaxUnpool")
    pool = next(n for n in artefact.graph.node if n.op_type == "MaxPool")
    assert unpool.input[1] == pool.output[1]


@pytest.mark.parametrize("pool", POOLS, ids=str)
def test_auto_chooses_by_whether_windows_overlap(pool):
    report = check(network(pool, "dynamic"), "y", to="x")
    assert report.nodes[0].unpool == ("scatter" if pool.overlaps else "maxunpool")
    assert not report.warnings


def test_maxunpool_overwrites_where_asked_for_on_overlapping_windows_and_says_so():
    """Four windows of 3x3 by 2 share the middle of 5x5: one signal is left, not the sum."""
    pool = Pool((5, 5), (3, 3), (2, 2))
    x = np.zeros((1, 3, 5, 5), np.float32)
    x[:, :, 2, 2] = 1
    g = np.tile(np.array([[1, 2], [3, 4]], np.float32), (1, 3, 1, 1))
    feeds = {"x": x, "seed": g}
    (overwritten,) = run(explained(pool, "maxunpool", "static"), feeds, "attribution")
    (added,) = run(explained(pool, "scatter", "static"), feeds, "attribution")
    assert overwritten[0, 0, 2, 2] in g
    assert added[0, 0, 2, 2] == 10
    report = check(network(pool, "static"), "y", to="x", unpool="maxunpool")
    assert report.ok
    assert report.nodes[0].unpool == "maxunpool"
    (warning,) = report.warnings
    assert "'pool'" in warning
    assert "overlap" in warning


def test_window_warns_that_it_uses_no_switches():
    report = check(network(APART[0], "static"), "y", to="x", unpool="window")
    (warning,) = report.warnings
    assert "switches" in warning


# The oracles.


def maximum_pooled(pool, x):
    """Pool slowly; an output's window begins inside the input or its leading padding."""
    sizes = []
    for axis, (n, reach, stride) in enumerate(
        zip(pool.size, pool.reach, pool.strides, strict=True)
    ):
        if pool.auto_pad.startswith("SAME"):
            sizes.append(int(np.ceil(n / stride)))
            continue
        before = pool.begin[axis]
        after = pool.pads[len(pool.size) + axis] if pool.pads else 0
        steps = (n + before + after - reach) / stride
        count = int(np.ceil(steps) if pool.ceil_mode else np.floor(steps)) + 1
        sizes.append(count - 1 if (count - 1) * stride >= n + before else count)
    y = np.zeros((*x.shape[:2], *sizes), x.dtype)
    for row in np.ndindex(*y.shape):
        y[row] = max(x[(*row[:2], *p)] for p in pool.window(row[2:]))
    return y


def unpooled(pool, x, g):
    """Add each signal to the first maximum of its window, in row-major order."""
    back = np.zeros(x.shape, np.float64)
    for row in np.ndindex(*g.shape):
        places = pool.window(row[2:])
        values = [x[(*row[:2], *p)] for p in places]
        back[(*row[:2], *places[values.index(max(values))])] += g[row]
    return back


def spread(pool, x, g):
    """Add each signal to every element of its window."""
    back = np.zeros(x.shape, np.float64)
    for row in np.ndindex(*g.shape):
        for p in pool.window(row[2:]):
            back[(*row[:2], *p)] += g[row]
    return back


# The graphs.


def explained(pool, form, sizes, dtype=np.float32, lowering="plain", channels=3):
    options = Options(select="seed", to="x", unpool=form, lowering=lowering)
    artefact = rewrite(network(pool, sizes, dtype, channels=channels), "y", "gradient", options)
    onnx.checker.check_model(artefact, full_check=True)
    return artefact


def network(pool, sizes, dtype=np.float32, storage_order=None, indices=False, channels=3):
    """Return y = MaxPool(x), x being [N, channels, *size] or all names."""
    element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    spatial = pool.size if sizes == "static" else [f"S{i}" for i in range(len(pool.size))]
    channels = channels if sizes == "static" and dtype == np.float32 else "C"
    attrs = pool.attrs | ({} if storage_order is None else {"storage_order": storage_order})
    produced = ["y", "indices"] if indices else ["y"]
    outputs = [helper.make_tensor_value_info("y", element, None)]
    if indices:
        outputs.append(helper.make_tensor_value_info("indices", onnx.TensorProto.INT64, None))
    graph = helper.make_graph(
        [helper.make_node("MaxPool", ["x"], produced, name="pool", **attrs)],
        "pool",
        [helper.make_tensor_value_info("x", element, ["N", channels, *spatial])],
        outputs,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

"""Noise drawn in the graph: by its seed the same on two runtimes, and standard normal.

The second runtime is ONNX's reference evaluator; the quantiles are those of the standard library.
"""

import math
from statistics import NormalDist

import numpy as np
import onnx
import pytest
from artefacts import SMALL, artefact, images, network, run, session
from onnx.reference import ReferenceEvaluator
from oracle import relative_error

from onnxplain.engine import Engine
from onnxplain.graphops import Options
from onnxplain.graphops.errors import OptionError
from onnxplain.graphops.methods import noise_of_seed

X, CHANNEL = images(2, (11, 9)), np.array([1, 3])
METHODS = ("smoothgrad", "smoothgrad_sq", "vargrad")


def drawn(method="smoothgrad", samples=5, **options):
    return artefact(network(SMALL), None, method, noise="drawn", samples=samples, **options)


@pytest.mark.parametrize("method", METHODS)
def test_it_is_the_method_with_that_noise(method):
    """The artefact with an input, given the same numbers, gives the same map."""
    given = artefact(network(SMALL), None, method, samples=5)
    for seed in (0, 7):
        noise = noise_of_seed(seed, X.shape[1:])(5)
        expected = run(given, x=X, channel=CHANNEL, noise=noise)
        found = run(drawn(method), x=X, channel=CHANNEL, noise_seed=np.array(seed))
        for name in expected:
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=1e-7)


def test_the_same_seed_gives_the_same_at_every_call():
    """Twice in one session, in another session, and by the default that the option sets."""
    one = session(drawn())
    found = [
        run(made, x=X, channel=CHANNEL, **seed)["attribution"]
        for made, seed in (
            (one, {"noise_seed": np.array(3)}),
            (one, {}),
            (one, {"noise_seed": np.array(3)}),
            (session(drawn()), {"noise_seed": np.array(3)}),
            (session(drawn(noise_seed=3)), {}),
        )
    ]
    for other in found[2:]:
        np.testing.assert_array_equal(found[0], other)
    assert relative_error(found[1], found[0]) > 0.01


def test_two_runtimes_draw_the_same():
    """ONNX Runtime and the reference evaluator, from a negative and a large seed too."""
    made = drawn(unpool="portable")  # the evaluator's MaxUnpool fails on odd sizes
    for seed in (0, 5, -1, 2**62 + 11):
        feeds = {"x": X, "channel": CHANNEL, "noise_seed": np.array(seed)}
        with np.errstate(over="ignore"):  # of the fast lowering's steep steps, limited to 1
            (expected,) = ReferenceEvaluator(made).run(["attribution"], feeds)
        found = run(made, **feeds)["attribution"]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)


def test_neither_random_operator_nor_loop_nor_stored_noise():
    """Of a picture of 224 pixels, whose noise as an input's default takes 30 MB."""
    text = SMALL.replace("[N, 3, H, W]", "[N, 3, 224, 224]")
    made = artefact(network(text), None, "smoothgrad", noise="drawn", samples=50)
    operators = {node.op_type for node in made.graph.node}
    assert not {o for o in operators if "Random" in o or o in ("Loop", "Scan", "Bernoulli")}
    assert made.ByteSize() < 100_000
    kind = next(one for one in made.graph.input if one.name == "noise_seed").type.tensor_type
    assert kind.elem_type == onnx.TensorProto.INT64
    assert not kind.shape.dim


def test_the_numbers_are_standard_normal():
    """Moments and quantiles within five standard errors, and no correlation of any two draws."""
    count = 1_000_000
    draws = [noise_of_seed(seed, ())(count).astype(np.float64) for seed in (0, 1, 2, 2**40)]
    for numbers in draws:
        assert abs(numbers.mean()) < 5 / math.sqrt(count)
        assert abs(numbers.var() - 1) < 5 * math.sqrt(2 / count)
        assert abs((numbers**3).mean()) < 5 * math.sqrt(15 / count)
        assert abs((numbers**4).mean() - 3) < 5 * math.sqrt(96 / count)
        for part in (0.001, 0.1, 0.5, 0.9, 0.999):
            below = (numbers < NormalDist().inv_cdf(part)).mean()
            assert abs(below - part) < 5 * math.sqrt(part * (1 - part) / count)
        for lag in (1, 2, 3, 8, 224, 1024, 224 * 224, 3 * 224 * 224):
            product = (numbers[lag:] * numbers[:-lag]).mean()
            assert abs(product) < 5 / math.sqrt(count - lag)
    for i, first in enumerate(draws):
        for second in draws[:i]:
            assert abs((first * second).mean()) < 5 / math.sqrt(count)


def test_samples_drawn_in_parts_are_those_drawn_at_once():
    """Of an odd number of values too, where two samples share a pair."""
    for shape in ((3, 5, 7), (2, 3)):
        whole = noise_of_seed(1, shape)(6)
        draw = noise_of_seed(1, shape)
        np.testing.assert_array_equal(np.concatenate([draw(1), draw(3), draw(2)]), whole)


SQUARE = """
<ir_version: 8, opset_import: ["": 17]>
square (float[N, C, L] x) => (float[N] y)
{ s = Mul (x, x) axes = Constant <value_ints = [1, 2]> () y = ReduceSum <keepdims = 0> (s, axes) }
"""


@pytest.mark.parametrize("shape", [(3, 4), (3, 5), (1, 2)])
@pytest.mark.parametrize("seed", [0, 2**35 + 1])
def test_the_graph_and_numpy_draw_the_same(shape, seed):
    """Number for number: the gradient of a sum of squares at a noisy copy is twice that copy."""
    made = artefact(network(SQUARE), None, "smoothgrad", noise="drawn", samples=3)
    x = np.linspace(0, 1, np.prod(shape), dtype=np.float32).reshape(1, *shape)
    found = run(made, x=x, channel=np.array([0]), noise_seed=np.array(seed))["attribution"]
    mean = (found / 2 - x) / 0.15  # 0.15 of the range, which is 1
    expected = noise_of_seed(seed, shape)(3).mean(axis=0)
    np.testing.assert_allclose(mean[0], expected, rtol=1e-4, atol=1e-5)


def test_the_engine_draws_what_the_artefact_draws():
    """`explain` with noise drawn is the artefact, accumulated in chunks."""
    model = network(SMALL)
    found = Engine("cpu").explain(model, X[:1], None, "smoothgrad", [1], noise="drawn", samples=5)
    expected = run(drawn(), x=X[:1], channel=CHANNEL[:1])["attribution"]
    assert relative_error(found.attribution[0], expected) < 1e-4


def test_an_unknown_source_of_noise_is_refused():
    with pytest.raises(OptionError, match="choose 'input' or 'drawn'"):
        Options(noise="random")

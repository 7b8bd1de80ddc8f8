"""Crops of the picture: a unit's projection from its crop is that from the whole picture."""

import itertools
import os

import numpy as np
import onnx
import pytest
import torch
from artefacts import network, run, session
from hypothesis import HealthCheck, Phase, assume, given, note, seed, settings
from random_networks import along_axes, moving, networks, pointwise, windows

from onnxplain.graphops import Options, rewrite
from onnxplain.graphops.cropping import crop_network, find_crop

CASES = int(os.environ.get("ONNXPLAIN_PROPERTY_CASES", "200"))
SEED = int(os.environ.get("ONNXPLAIN_PROPERTY_SEED", "0"))
IMAGES = [(1, 2, 61), (1, 1, 90), (1, 2, 47), (1, 1, 29, 24), (1, 1, 23, 37)]
SLIDING = {n: windows.OPERATORS[n] for n in ("AveragePool", "Conv", "LpPool", "MaxPool")}
LOCAL = (
    SLIDING,
    SLIDING,
    SLIDING | {"ConvTranspose": windows.OPERATORS["ConvTranspose"]},
    pointwise.OPERATORS,
    {n: along_axes.OPERATORS[n] for n in ("BatchNormalization", "LRN", "ReduceMean", "Softmax")},
    {n: moving.OPERATORS[n] for n in ("Concat", "Expand", "Pad", "Reshape", "Slice", "Transpose")},
)


@seed(SEED)
@settings(
    max_examples=CASES,
    deadline=None,
    database=None,
    print_blob=True,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
@given(network=networks(*LOCAL, images=IMAGES))
def test_random_networks_give_the_gradient_of_autograd_from_crops(network):
    note(f"seed {SEED}")
    x, shape = network.feeds[network.to], network.shapes[network.layer]
    assume(len(shape) == x.ndim and 0 not in shape)
    crop = find_crop(network.model, network.layer, x.shape[2:])
    assume(crop is not None)
    note(f"{crop}")
    (channel_axis,) = {*range(1, x.ndim)} - {*crop.layer_axis}
    cropped = Cropped(network.model, network.layer, crop, channel_axis=channel_axis)
    for position in corners_and_centre([shape[i] for i in crop.layer_axis]):
        unit = [0] * len(shape)
        for axis, place in zip(crop.layer_axis, position, strict=True):
            unit[axis] = place
        unit[channel_axis] = shape[channel_axis] - 1

        def alone(y, unit=tuple(unit)):
            signal = torch.zeros_like(y)
            signal[unit] = 1
            return signal

        noise = torch.Generator().manual_seed(0)
        y, exact = network.gradient(alone)
        singles = [network.gradient(alone, torch.float32, noise) for _ in range(3)]
        rounding = max(np.linalg.norm(s - exact) for _, s in singles)
        assume(rounding <= 1e-5 * np.linalg.norm(exact) or not np.any(exact))
        found, score = cropped.project(x[0], unit[channel_axis], position)
        assume(np.isfinite(found).all())  # then the engine takes the whole picture
        error, norm = np.linalg.norm(found - exact[0]), np.linalg.norm(exact)
        assert error <= max(1e-4 * norm, 3 * rounding, 1e-6), position
        np.testing.assert_allclose(score, y[tuple(unit)], rtol=1e-3, atol=1e-4)


HEAD = """
<ir_version: 8, opset_import: ["": 17]>
net (float[N, 3, 40, 32] x, float[4, 3, 3, 3] w, float[4, 4, 3, 3] v, float[4] s, float[4] b,
     float[1, 1, 1, 32] ramp)
    => (float[N, 4, P, Q] y)
<float one = {1}, int64[8] two = {0, 0, 2, 2, 0, 0, 2, 2},
 int64[4] sizes = {0, 4, 40, 32}, float[4] twice = {1, 1, 2, 2}, float[0] none = {}>
"""


@pytest.mark.parametrize(
    ("body", "size"),
    [
        ("y = Conv (x, w)", (3, 3)),
        ("y = Conv <pads = [1, 1, 1, 1]> (x, w)", (3, 3)),
        ("y = Conv <strides = [2, 1], dilations = [2, 3]> (x, w)", (6, 7)),
        ("a = Pad (x, two) y = Conv (a, w)", (3, 3)),
        ("c = Conv <pads = [1, 1, 1, 1]> (x, w) d = Relu (c) e = Conv <pads = [1, 1, 1, 1]> (d, v) "
         "y = Add (c, e)", (5, 5)),
        # 15 pixels from -7 on; a multiple of 4 begins at -8, and is as long.
        ("c = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (x, w) "
         "m = MaxPool <kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]> (c) "
         "y = Conv <pads = [1, 1, 1, 1]> (m, v)", (16, 16)),
        ("c = Conv (x, w) y = LRN <size = 3> (c)", (3, 3)),
    ],
)  # fmt: skip
def test_a_crop_is_as_large_as_what_a_unit_needs(body, size):
    crop = find_crop(network(f"{HEAD}{{ {body} }}"), "y", (40, 32))
    assert crop.size == size
    assert crop.whole == (40, 32)


@pytest.mark.parametrize(
    "body",
    [
        "c = Conv (x, w) g = GlobalAveragePool (c) y = Mul (c, g)",
        "c = Conv (x, w) y = InstanceNormalization (c, s, b)",
        'a = Pad <mode = "reflect"> (x, two) y = Conv (a, w)',
        "a = Mul (x, ramp) y = Conv (a, w)",
        "c = Conv <pads = [1, 1, 1, 1]> (x, w) y = Reshape (c, sizes)",
        "c = Conv (x, w) y = Resize (c, none, twice)",
        "c = Conv (x, w) y = Softmax <axis = 3> (c)",
        "h = Shape <start = 2, end = 3> (x) f = Cast <to = 1> (h) c = Conv (x, w) y = Div (c, f)",
        "c = Conv (x, w) m, i = MaxPool <kernel_shape = [2, 2]> (c) f = Cast <to = 1> (i) "
        "y = Add (m, f)",
    ],
)
def test_there_is_no_crop_where_more_of_the_picture_counts(body):
    assert find_crop(network(f"{HEAD}{{ {body} }}"), "y", (40, 32)) is None


def test_a_large_crop_does_not_pay():
    """Its two passes cost 2·23·31, the backward pass over the picture 40·32."""
    bodies = [f"y = Conv <dilations = [{d}, 15]> (x, w)" for d in (8, 11)]
    crops = [find_crop(network(f"{HEAD}{{ {body} }}"), "y", (40, 32)) for body in bodies]
    assert [crop.size for crop in crops] == [(17, 31), (23, 31)]
    assert [crop.pays for crop in crops] == [True, False]


def test_crops_begin_and_end_at_the_picture():
    body = "c = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (x, w) y = Relu (c)"
    crop = find_crop(network(f"{HEAD}{{ {body} }}"), "y", (40, 32))
    positions = np.array([[0, 0], [1, 1], [2, 15], [19, 8]])
    begins, within = crop.begins(positions), crop.within(positions)
    assert crop.size == (4, 4)
    assert begins.tolist() == [[0, 0], [0, 0], [2, 28], [36, 14]]
    assert within.tolist() == [[0, 0], [1, 1], [1, 1], [1, 1]]


class Cropped:
    """An artefact for the crops of a layer's units, and the projection of one of them."""

    def __init__(self, model, layer, crop, method="gradient", **options):
        self.crop = crop
        options = Options(
            select="channel", position="given", seed_value="one", keep_outputs=False, **options
        )
        made = rewrite(crop_network(model, layer, crop), layer, method, options)
        onnx.checker.check_model(made, full_check=True)
        self.session, self.input = session(made), made.graph.input[0].name

    def project(self, x, channel, position):
        """Return the attribution to the whole picture `x`, without batch axis, and the score."""
        places = np.array([position], np.int64)
        (begins,), within = self.crop.begins(places), self.crop.within(places)
        part = [slice(None)] * x.ndim
        for axis, begin, size in zip(self.crop.axes, begins, self.crop.size, strict=True):
            part[axis - 1] = slice(begin, begin + size)
            assert 0 <= begin <= x.shape[axis - 1] - size
        feeds = {self.input: x[None][(slice(None), *part)]}
        order = np.argsort(self.crop.layer_axis)
        feeds |= {"channel": np.array([channel]), "position": within[:, order]}
        found = run(self.session, **feeds)
        whole = np.zeros_like(x)
        whole[tuple(part)] = found["attribution"][0]
        return whole, found["score"][0]


def corners_and_centre(sizes):
    """Return the positions at the corners, beside them, in the centre and somewhere else."""
    along = [sorted({0, min(1, n - 1), n // 2, max(0, n - 2), n - 1}) for n in sizes]
    return [*itertools.product(*along)]

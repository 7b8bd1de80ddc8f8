"""The axes of random moves, against coordinates that are sent through the network.

Three pictures hold each element's channel, row and column. Behind operators that only move
elements they show along which axes these change, whatever the analysis says.
"""

from functools import cache

import numpy as np
import pytest
from artefacts import run
from onnx import helper, numpy_helper

from onnxplain.graphops import Network

SHAPE = (2, 12, 6, 4)  # of the picture and of the convolution behind it, which keeps every value
COORDINATES = np.stack([np.broadcast_to(i, SHAPE[1:]) for i in np.indices(SHAPE[1:])])
MOVES, CHAINS = 6, 100
CHANNEL, ROW, COLUMN = ([i == which for i in range(3)] for which in range(3))


class Chain:
    """A convolution and random moves of its elements; `shape` is that of the last tensor."""

    def __init__(self, seed):
        self.rng, self.shape = np.random.default_rng(seed), list(SHAPE)
        identity = np.eye(SHAPE[1], dtype=np.float32)[:, :, None, None]
        self.nodes, self.constants = [], [numpy_helper.from_array(identity, "w")]
        self.add("Conv", SHAPE, inputs=["x", "w"])
        for _ in range(MOVES):
            self.rng.choice([self.transpose, self.merge, self.split, self.cut, self.roll])()

    def add(self, operator, shape, inputs=(), constants=(), **attributes):
        last = f"t{len(self.nodes) - 1}"
        names = []
        for value in constants:
            names.append(f"i{len(self.constants)}")
            self.constants.append(numpy_helper.from_array(np.array(value, np.int64), names[-1]))
        name = f"t{len(self.nodes)}"
        node = helper.make_node(operator, [*(inputs or [last]), *names], [name], **attributes)
        self.nodes.append(node)
        self.shape = list(shape)

    def transpose(self):
        order = [0, *(1 + self.rng.permutation(len(self.shape) - 1))]
        self.add("Transpose", [self.shape[i] for i in order], perm=[int(i) for i in order])

    def merge(self):
        if len(self.shape) > 2:
            i = int(self.rng.integers(1, len(self.shape) - 1))
            s = self.shape
            self.reshape([*s[:i], s[i] * s[i + 1], *s[i + 2 :]])

    def split(self):
        i = int(self.rng.integers(1, len(self.shape)))
        divisors = [d for d in range(2, self.shape[i]) if self.shape[i] % d == 0]
        if divisors and len(self.shape) < 6:
            d = int(self.rng.choice(divisors))
            self.reshape([*self.shape[:i], d, self.shape[i] // d, *self.shape[i + 1 :]])

    def reshape(self, shape):
        self.add("Reshape", shape, constants=[[0, *shape[1:]]])

    def cut(self):
        i = int(self.rng.integers(1, len(self.shape)))
        if self.shape[i] > 2:
            start, step = int(self.rng.integers(0, 2)), int(self.rng.integers(1, 3))
            left = len(range(start, self.shape[i], step))
            shape = [*self.shape[:i], left, *self.shape[i + 1 :]]
            self.add("Slice", shape, constants=[[start], [2**31], [i], [step]])

    def roll(self):
        """As Swin shifts its windows: the first entry of an axis becomes its last."""
        i, shape, t = int(self.rng.integers(1, len(self.shape))), self.shape, len(self.nodes) - 1
        parts = ([1], [2**31], [i]), ([0], [1], [i])
        for part in parts:
            self.add("Slice", shape, inputs=[f"t{t}"], constants=part)
        self.add("Concat", shape, inputs=[f"t{t + 1}", f"t{t + 2}"], axis=i)

    def model(self):
        x = helper.make_tensor_value_info("x", 1, ["N", *SHAPE[1:]])
        y = helper.make_tensor_value_info(f"t{len(self.nodes) - 1}", 1, None)
        graph = helper.make_graph(self.nodes, "moves", [x], [y], self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def moved(chain):
    """Return each element's channel, row and column, [3, *shape of one image]."""
    model = chain.model()
    feeds = COORDINATES.astype(np.float32)
    return np.stack([run(model, x=x[None])[f"t{len(chain.nodes) - 1}"][0] for x in feeds])


@pytest.mark.parametrize("seed", range(CHAINS))
def test_they_are_those_along_which_coordinates_change(seed):
    axes, found, changing = traced(seed)
    channels = [axis for axis, what in changing.items() if what == CHANNEL]
    if found.ndim > 3 and axes.certain and channels:
        assert channels == [axes.channel]
    for axis, places in axes.places.items():
        _require_places(np.moveaxis(found, axis, 1), places)


def test_they_are_nearly_always_found():
    """Only a Reshape whose axes mix several of the old ones leaves them unsure."""
    single, known, spatial, located = 0, 0, 0, 0
    for seed in range(CHAINS):
        axes, found, changing = traced(seed)
        channels = [axis for axis, what in changing.items() if what == CHANNEL]
        if len(channels) == 1:
            single, known = single + 1, known + (axes.certain and [axes.channel] == channels)
        for axis, what in changing.items():
            if what in (ROW, COLUMN) and _spans(np.moveaxis(found, axis, 1), what.index(True)):
                spatial, located = spatial + 1, located + (axis in axes.places)
    assert single > 30 and known > 0.9 * single
    assert spatial > 30 and located > 0.9 * spatial


@cache
def traced(seed):
    """Return the last tensor's axes, its coordinates, and which of them change along which axis."""
    chain = Chain(seed)
    axes = Network(chain.model()).canonical().axes[f"t{len(chain.nodes) - 1}"]
    found = moved(chain)
    along = [axis for axis in range(1, len(chain.shape)) if chain.shape[axis] > 1]
    changing = {i: [bool(np.diff(c, axis=i - 1).any()) for c in found] for i in along}
    return axes, found, changing


def _require_places(found, places):
    """Require that the picture's places follow each other in order along axis 1, and nothing else.

    found: channel, row and column of the elements, [3, places, ...].
    """
    lines = found.reshape(*found.shape[:2], -1).astype(int)
    rank = np.zeros(lines.shape[1:], int)
    for axis in places.axes:
        rank = rank * SHAPE[axis] + lines[axis - 1]
    assert (np.diff(rank, axis=0) > 0).all()
    still = [i for i in range(3) if i + 1 not in places.axes]
    assert not np.diff(lines[still], axis=1).any()
    assert np.prod(places.sizes) == len(rank)


def _spans(found, i):
    """Tell whether axis 1 reaches over the picture's whole axis, and is no fragment of it."""
    line = found[i].reshape(found.shape[1], -1)[:, 0].astype(int)
    return line[-1] + line[1] - line[0] >= SHAPE[i + 1] and (np.diff(line) > 0).all()

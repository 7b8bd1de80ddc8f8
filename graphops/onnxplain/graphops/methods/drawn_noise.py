"""Standard normal noise from a seed and a counter: the same numbers in a graph and in NumPy.

A hash turns the counter of a pair of values, four words of 11 bits, into two uniform numbers, and
these become two normal ones (Box and Muller 1958). The hash is a Feistel network of type 2 (Zheng,
Matsumoto and Imai 1989) whose round function is the middle of r·(r + key). Its numbers are whole
and below 2**24, so that float32 holds them exactly on every runtime, even where integers have only
32 bits; the last digit of a logarithm or a cosine is the runtime's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx

from onnxplain.graphops.ir import Emitter, Tensor

__all__ = ["drawn_noise", "noise_of_seed"]

WORD = 2**11  # the range of a word
MIDDLE = 2**-6  # times a product of 23 bits: its middle bits are those of a word
ROUNDS = 12  # statistical tests find nothing from eight on
PARTS = 4  # of a sample: 4 * WORD * WORD pairs of values have counters of their own
# From one key to the next: the golden ratio's fraction steps evenly through the range.
STEP = round(WORD * (math.sqrt(5) - 1) / 2) | 1
STEPS = [STEP * number % WORD for number in range(1, 2 * ROUNDS + 1)]
SEED_WORDS = 6  # of 11 bits: all of an int64

NUMPY = SimpleNamespace(
    Add=np.add, Sub=np.subtract, Mul=np.multiply, Floor=np.floor,
    Log=np.log, Sqrt=np.sqrt, Cos=np.cos, Sin=np.sin,
)  # fmt: skip


def noise_of_seed(seed: int, shape: tuple[int, ...]) -> Callable[[int], np.ndarray]:
    """Return a function from a count to the next standard normal samples, float32 [count, *shape].

    The samples are those of `drawn_noise`, in one call or in several.
    """
    words = [seed // WORD**place % WORD for place in range(SEED_WORDS)]
    keys = [np.float32((words[i % SEED_WORDS] + step) % WORD) for i, step in enumerate(STEPS)]
    size = math.prod(shape)
    pair = np.arange((size + 1) // 2, dtype=np.float32)
    drawn = 0

    def draw(count: int) -> np.ndarray:
        nonlocal drawn
        sample = np.arange(drawn, drawn + count, dtype=np.float32)[:, None]
        drawn += count
        both = np.concatenate(_normal(NUMPY, sample, pair, keys), axis=1)
        return both[:, :size].reshape(count, *shape)

    return draw


def drawn_noise(op: Emitter, seed: Tensor, samples: int, shape: Tensor) -> Tensor:
    """Append standard normal numbers of a seed, float32 [samples, *shape].

    seed: int64 []. shape: int64 [rank], that of one sample.
    """
    words, rest = [], op.Reshape(seed, [1])
    for _ in range(SEED_WORDS):
        words.append(op.Mod(rest, WORD))
        rest = op.Div(op.Sub(rest, words[-1]), WORD)
    order = [i % SEED_WORDS for i in range(len(STEPS))]
    all_keys = op.Mod(op.Add(op.Gather(op.Concat(*words, axis=0), order), STEPS), WORD)
    all_keys = op.Cast(all_keys, to=onnx.TensorProto.FLOAT)
    keys = [op.Gather(all_keys, op.constant(i, np.int64)) for i in range(len(STEPS))]
    size = op.Reshape(op.reduced("ReduceProd", shape, [0], keepdims=0), [1])
    even = op.Add(size, op.Mod(size, 2))  # some runtimes divide integers as floats, and round
    pairs = op.Squeeze(op.Div(even, 2), [0])
    counted = op.Range(op.constant(0, np.int64), pairs, op.constant(1, np.int64))
    pair = op.Cast(counted, to=onnx.TensorProto.FLOAT)
    sample = op.constant(np.arange(samples)[:, None], np.float32)
    both = op.Concat(*_normal(op, sample, pair, keys), axis=1)
    cut = op.Slice(both, [0], size, [1])
    return op.Reshape(cut, op.Concat([samples], shape, axis=0))


def _normal(op: Any, sample: Any, pair: Any, keys: list[Any]) -> tuple[Any, Any]:
    """Return the two normal numbers of each pair of values of each sample.

    op: the operators. sample: [samples, 1]. pair: [pairs]. keys: two for each round.
    """
    a, b, c, d = _counter(op, sample, pair)
    for i in range(ROUNDS):
        first, second = keys[2 * i], keys[2 * i + 1]
        a, b, c, d = _mixed(op, b, a, first, second), c, _mixed(op, d, c, second, first), a
    # 22 bits each, in the middle of their intervals, so that neither is 0.
    high, low = np.float32(1 / WORD), np.float32(1 / WORD**2)
    uniform = [
        op.Add(op.Add(op.Mul(x, high), op.Mul(y, low)), low / 2) for x, y in ((a, b), (c, d))
    ]
    radius = op.Sqrt(op.Mul(op.Log(uniform[0]), np.float32(-2)))
    angle = op.Mul(uniform[1], np.float32(2 * math.pi))
    return op.Mul(radius, op.Cos(angle)), op.Mul(radius, op.Sin(angle))


def _counter(op: Any, sample: Any, pair: Any) -> tuple[Any, Any, Any, Any]:
    """Return the four words that number a pair of a sample, which broadcast to all of them."""
    low, rest = _split(op, pair, WORD)
    middle, part = _split(op, rest, WORD)
    within, high = _split(op, sample, WORD // PARTS)
    return low, middle, op.Add(part, op.Mul(within, np.float32(PARTS))), high


def _mixed(op: Any, word: Any, by: Any, key: Any, added: Any) -> Any:
    """Return a word changed by the round function of another word and a key."""
    middle = op.Floor(op.Mul(op.Mul(by, op.Add(by, key)), np.float32(MIDDLE)))
    return _split(op, op.Add(op.Add(word, middle), added), WORD)[0]


def _split(op: Any, value: Any, unit: int) -> tuple[Any, Any]:
    """Return the remainder and the quotient of a whole number by a power of two."""
    quotient = op.Floor(op.Mul(value, np.float32(1 / unit)))
    return op.Sub(value, op.Mul(quotient, np.float32(unit))), quotient

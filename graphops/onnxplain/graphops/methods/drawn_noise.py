"""Standard normal noise from a seed and a counter: the same numbers in a graph and in NumPy.

Each counter is scrambled by the rounds of a Feistel network, as in the block cipher of that name,
and its two halves become two normal numbers (Box and Muller 1958). A number depends on nothing but
the seed and its own index: no state, no random operator. All arithmetic is that of integers below
2**63, so every runtime draws the same; the last digit of a logarithm or cosine is the runtime's.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import onnx

from onnxplain.graphops.ir import Emitter, Tensor

__all__ = ["drawn_noise", "noise_of_seed"]

WORD = 2**31  # a half's range: the product of two, one of them with a key added, is below 2**63
MIDDLE = 2**15  # divides a product so that its middle bits are kept
# From one round's key to the next: the golden ratio's fraction steps evenly through the range.
STEP = round(WORD * (math.sqrt(5) - 1) / 2) | 1
ROUNDS = 8
KEYS = [STEP * number % WORD for number in range(1, ROUNDS + 1)]
DIGITS = 2**24  # of a float32 between 0 and 1


def noise_of_seed(seed: int, shape: tuple[int, ...]) -> Callable[[int], np.ndarray]:
    """Return a function from a count to the next standard normal numbers, float32 [count, *shape].

    The numbers of a count of samples are those of `drawn_noise` for as many samples.
    """
    size = math.prod(shape)
    low, high = seed % WORD, seed // WORD % WORD
    drawn = 0

    def draw(count: int) -> np.ndarray:
        nonlocal drawn
        first, drawn = drawn, drawn + count * size
        pairs = np.arange(first // 2 + 1, (drawn + 1) // 2 + 1, dtype=np.int64)
        left, right = np.full_like(pairs, high), pairs
        for key in KEYS:
            key = (low + key) % WORD
            left, right = right, (right * (right + key) // MIDDLE + left) % WORD
        uniform = [
            (half // (WORD // DIGITS)).astype(np.float32) + np.float32(0.5)
            for half in (left, right)
        ]
        radius = np.sqrt(np.float32(-2) * np.log(uniform[0] * np.float32(1 / DIGITS)))
        angle = uniform[1] * np.float32(2 * np.pi / DIGITS)
        both = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(-1)
        return both[first % 2 :][: count * size].reshape(count, *shape)

    return draw


def drawn_noise(op: Emitter, seed: Tensor, samples: int, shape: Tensor) -> Tensor:
    """Append standard normal numbers of a seed, float32 [samples, *shape].

    seed: int64, one number. shape: int64 [rank], that of one sample.
    """
    whole = op.Concat([samples], shape, axis=0)
    pairs = op.Div(op.Add(op.reduced("ReduceProd", whole, [0], keepdims=0), 1), 2)
    right = op.Range(op.constant(1, np.int64), op.Add(pairs, 1), op.constant(1, np.int64))
    low = op.Mod(seed, WORD)
    left = op.Mod(op.Div(op.Sub(seed, low), WORD), WORD)
    keys = op.Mod(op.Add(low, KEYS), WORD)
    for number in range(ROUNDS):
        key = op.Gather(keys, op.constant(number, np.int64))
        product = op.Div(op.Mul(right, op.Add(right, key)), MIDDLE)
        left, right = right, op.Mod(op.Add(product, left), WORD)
    uniform = [
        op.Add(op.Cast(op.Div(half, WORD // DIGITS), to=onnx.TensorProto.FLOAT), 0.5)
        for half in (left, right)
    ]
    radius = op.Sqrt(op.Mul(op.Log(op.Mul(uniform[0], 1 / DIGITS)), -2.0))
    angle = op.Mul(uniform[1], 2 * math.pi / DIGITS)
    both = [op.Unsqueeze(op.Mul(radius, op.raw(of, angle)), [1]) for of in ("Cos", "Sin")]
    numbers = op.Reshape(op.Concat(*both, axis=1), [-1])
    count = op.Reshape(op.reduced("ReduceProd", whole, [0], keepdims=0), [1])
    return op.Reshape(op.Slice(numbers, [0], count, [0]), whole)

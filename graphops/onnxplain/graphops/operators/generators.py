"""Operators that make a tensor from sizes, by chance or from nothing."""

from __future__ import annotations

from onnxplain.graphops.operators.kinds import INTEGERS, NO_PRODUCTS, no_flow
from onnxplain.graphops.operators.operator import Operator, SizesOnly, Without

__all__ = ["OPERATORS"]

UNREAD = Without("it reads no values, or only the probabilities of a draw")

OPERATORS: dict[str, Operator] = {
    **dict.fromkeys(
        ("Bernoulli", "BlackmanWindow", "Constant", "EyeLike", "HammingWindow", "HannWindow",
         "MelWeightMatrix", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform",
         "RandomUniformLike", "Range"), no_flow(UNREAD)
    ),
    "ConstantOfShape": Operator(
        UNREAD,
        batch=Without("its size may depend on what an image shows"),
        axes=SizesOnly(),
        slide=Without("its size is that of one window"),
        cost=NO_PRODUCTS
    ),
    **dict.fromkeys(
        ("Shape", "Size"), Operator(INTEGERS, SizesOnly(), SizesOnly(), SizesOnly(), NO_PRODUCTS)
    ),
}  # fmt: skip

"""Operators that make a tensor from sizes, from a seed or from nothing."""

from __future__ import annotations

from onnxplain.graphops.operators.kinds import INTEGERS, NO_PRODUCTS, no_flow
from onnxplain.graphops.operators.operator import Operator, SizesOnly, Without

__all__ = ["OPERATORS"]

UNREAD = Without("it reads no values, or nothing but the probabilities of a draw")

SIZES = Operator(INTEGERS, batch=SizesOnly(), axes=SizesOnly(), slide=SizesOnly(), cost=NO_PRODUCTS)

OPERATORS: dict[str, Operator] = {
    "Bernoulli": no_flow(UNREAD),
    "BlackmanWindow": no_flow(UNREAD),
    "Constant": no_flow(UNREAD),
    "ConstantOfShape": Operator(
        UNREAD,
        batch=Without("the size may depend on what an image shows"),
        axes=SizesOnly(),
        slide=Without("the size is that of one window"),
        cost=NO_PRODUCTS,
    ),
    "EyeLike": no_flow(UNREAD),
    "HammingWindow": no_flow(UNREAD),
    "HannWindow": no_flow(UNREAD),
    "MelWeightMatrix": no_flow(UNREAD),
    "Multinomial": no_flow(UNREAD),
    "RandomNormal": no_flow(UNREAD),
    "RandomNormalLike": no_flow(UNREAD),
    "RandomUniform": no_flow(UNREAD),
    "RandomUniformLike": no_flow(UNREAD),
    "Range": no_flow(INTEGERS),
    "Shape": SIZES,
    "Size": SIZES,
}

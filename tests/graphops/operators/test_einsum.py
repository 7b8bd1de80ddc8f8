"""Einsum, with respect to each of its inputs."""

import numpy as np
import pytest
from check_rule import check_rule, one_node, spaced

from onnxplain.graphops import Options, check, rewrite
from onnxplain.graphops.errors import UnsupportedOperator

EQUATIONS = {
    "ab,bc->ac": [(2, 3), (3, 4)],
    "abc,acd->abd": [(2, 3, 4), (2, 4, 2)],
    "nchw,co->nohw": [(2, 3, 2, 4), (3, 5)],
    "bhid,bhjd->bhij": [(2, 2, 3, 4), (2, 2, 5, 4)],
    "ab,ab->": [(2, 3), (2, 3)],
    "ab,ab->a": [(2, 3), (2, 3)],
    "a,b->ba": [(3,), (4,)],
    "ab,c->ac": [(2, 3), (4,)],  # b is summed away before anything is multiplied
    "ab,bc,cd->ad": [(2, 3), (3, 4), (4, 2)],
    "abc->cab": [(2, 3, 4)],
    "abc->b": [(2, 3, 4)],
    "abc->": [(2, 3, 4)],
    "ba,cb": [(2, 3), (4, 2)],  # what is said of the output by saying nothing: its letters in order
    " a b , b c -> a c ": [(2, 3), (3, 4)],
}
REPEATED = {  # sizes of 1 that the other input's is repeated along, kept and summed away
    "ij,jk->ik": [[(2, 1), (3, 4)], [(2, 3), (1, 4)], [(1, 1), (3, 4)]],
    "bchw,bchw->bc": [[(2, 4, 3, 3), (2, 1, 3, 3)], [(2, 4, 1, 3), (1, 4, 3, 3)]],
    "bchw,bchw->bchw": [[(2, 4, 3, 3), (2, 1, 1, 1)]],
    "ab,ab,bc->ac": [[(2, 1), (1, 3), (1, 4)]],
}
ELLIPSES = {  # of two axes, one and none, of sizes of 1, between others, and what the output is
    "...a,ab->...b": [[(2, 5, 3), (3, 4)], [(3,), (3, 4)]],
    "...ij,...jk->...ik": [[(2, 3, 2, 4), (2, 3, 4, 2)], [(2, 3, 2, 4), (1, 3, 4, 2)]],
    "b...c,bc->b...": [[(2, 3, 4, 5), (2, 5)]],
    "...ba,ca...": [[(5, 3, 2), (4, 2, 5)]],
    "...,...->...": [[(2, 3), (2, 1)]],
}
CASES = [(equation, wrt) for equation, shapes in EQUATIONS.items() for wrt in range(len(shapes))]


@pytest.mark.parametrize(("equation", "wrt"), CASES, ids=str)
def test_einsum(equation, wrt):
    check_rule("Einsum", EQUATIONS[equation], wrt=wrt, linear=True, equation=equation)


@pytest.mark.parametrize(
    ("equation", "shapes", "wrt"),
    [(e, s, i) for e, several in REPEATED.items() for s in several for i in range(len(s))],
    ids=str,
)
def test_an_index_of_size_1_is_repeated(equation, shapes, wrt):
    check_rule("Einsum", shapes, wrt=wrt, linear=True, equation=equation)


def test_with_a_constant_and_with_itself():
    check_rule("Einsum", [(2, 3)], weights=[spaced((3, 4))], equation="ab,bc->ac")
    check_rule(
        "Einsum", [(2, 3)], weights=[spaced((4, 2))], inputs=["w0", "x0"], equation="ca,ab->cb"
    )
    check_rule("Einsum", [(3, 3)], inputs=["x0", "x0"], equation="ab,bc->ac")


def test_float16():
    check_rule("Einsum", [(2, 3), (3, 4)], dtype=np.float16, equation="ab,bc->ac")


@pytest.mark.parametrize(
    ("equation", "shapes", "wrt"),
    [(e, s, i) for e, several in ELLIPSES.items() for s in several for i in range(len(s))],
    ids=str,
)
def test_an_ellipsis(equation, shapes, wrt):
    check_rule("Einsum", shapes, wrt=wrt, linear=True, equation=equation)


def test_an_index_twice_in_one_term_is_refused():
    equation = "aab,b->ab"
    x, w = {"x": spaced((2, 2, 3))}, {"w": spaced((3,))}
    model = one_node("Einsum", ["x", "w"], x, w, attrs={"equation": equation})
    assert equation in check(model, "y", "gradient").problem
    with pytest.raises(UnsupportedOperator, match="Einsum 'node' has the equation.*export"):
        rewrite(model, "y", "gradient", Options(select="seed"))

"""What OPERATORS says of each operator: nothing is forgotten, nothing is said twice."""

import importlib
import pkgutil

import onnx
import pytest

from onnxplain.graphops import check, operators
from onnxplain.graphops.analysis import track_batch
from onnxplain.graphops.canonicalize import canonicalize
from onnxplain.graphops.ir.io import MAX_OPSET
from onnxplain.graphops.operators import (
    ACTIVATIONS,
    GRADIENT,
    NO_FLOW,
    OPERATORS,
    REFUSED,
    SizesOnly,
    Without,
    merge,
)

FACTS = ("batch", "axes", "slide", "cost", "roles")


def rooms():
    """Return the table of every file of operators that has one."""
    modules = [
        importlib.import_module(f"{operators.__name__}.{found.name}")
        for found in pkgutil.iter_modules(operators.__path__)
    ]
    return {
        module.__name__: module.OPERATORS
        for module in modules
        if hasattr(module, "OPERATORS") and not module.__name__.endswith("catalogue")
    }


def test_every_operator_of_the_newest_opset_is_in_one_room():
    schemas = onnx.defs.get_all_schemas_with_history()
    known = {s.name for s in schemas if s.domain == "" and s.since_version <= MAX_OPSET}
    newest = {name for name in known if not onnx.defs.get_schema(name, MAX_OPSET).deprecated}
    listed = [name for room in rooms().values() for name in room]
    assert sorted(listed) == sorted(newest)
    assert OPERATORS.keys() == newest


def test_an_operator_has_a_rule_or_carries_nothing_or_is_refused():
    assert GRADIENT.keys() | NO_FLOW | REFUSED.keys() == OPERATORS.keys()
    assert len(GRADIENT) + len(NO_FLOW) + len(REFUSED) == len(OPERATORS)
    assert GRADIENT.keys() >= ACTIVATIONS


@pytest.mark.parametrize("fact", FACTS)
@pytest.mark.parametrize("name", GRADIENT)
def test_a_rule_comes_with_every_fact(name, fact):
    """A function, or the reason why there is none."""
    value = getattr(OPERATORS[name], fact)
    assert callable(value) or (isinstance(value, Without) and len(value.reason.split()) > 3)


@pytest.mark.parametrize("fact", FACTS)
@pytest.mark.parametrize("name", sorted(NO_FLOW | REFUSED.keys()))
def test_the_others_say_why_they_have_none(name, fact):
    value = getattr(OPERATORS[name], fact)
    assert callable(value) or isinstance(value, SizesOnly) or value.reason


def test_two_entries_for_one_operator_are_refused():
    with pytest.raises(ValueError, match="Relu"):
        merge({"Relu": OPERATORS["Relu"]}, {"Relu": OPERATORS["Clip"]})


WITHOUT_A_BATCH_CHECK = {
    "ReverseSequence": "y = ReverseSequence <batch_axis = 0, time_axis = 1> (x, lengths)",
    "ScatterND": "y = ScatterND (x, indices, updates)",
}


def test_the_list_of_rules_without_a_batch_check():
    without = {n for n in GRADIENT if isinstance(OPERATORS[n].batch, Without)}
    assert without == WITHOUT_A_BATCH_CHECK.keys()


@pytest.mark.parametrize("name", WITHOUT_A_BATCH_CHECK)
def test_without_a_batch_check_a_fixed_batch_stays_fixed(name):
    model = f"""
    <ir_version: 8, opset_import: ["": 17]>
    net (float[1, 4, 2] x) => (float[1, 4, 2] y)
    <int64[1] lengths = {{3}}, int64[1, 2] indices = {{0, 1}}, float[1, 2] updates = {{5, 6}}>
    {{ {WITHOUT_A_BATCH_CHECK[name]} }}
    """
    report = check(onnx.parser.parse_model(model), "y", "gradient")
    assert report.batch == "fixed"
    assert name in report.batch_note


def test_a_batch_check_frees_a_fixed_batch():
    model = """
    <ir_version: 8, opset_import: ["": 17]> net (float[1, 4, 2] x) => (float[1, 4, 2] y)
    { y = Relu (x) }
    """
    assert check(onnx.parser.parse_model(model), "y", "gradient").batch == "freed"


def test_of_an_input_whose_type_alone_counts_no_image_comes_through():
    """A constant cast like the image is still the same for all images, so that y is batched."""
    model = """
    <ir_version: 8, opset_import: ["": 17]> net (float[N, 4] x, double[4] c) => (float[N, 4] y)
    { k = CastLike (c, x)  y = Mul (x, k) }
    """
    model = onnx.parser.parse_model(model)
    states = track_batch(canonicalize(model).graph)
    assert states["k"] == "shared"
    assert states["y"] == "batched"


def test_operators_that_a_signal_passes_carry_the_roles_of_axes():
    """Except those that read their elements at indices, or make a grid of numbers."""
    silent = {n for n in GRADIENT if isinstance(OPERATORS[n].roles, Without)}
    assert silent == {"AffineGrid", "GatherND"}

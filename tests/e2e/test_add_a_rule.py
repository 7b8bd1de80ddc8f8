"""What docs/add-a-rule.md shows works as it stands there."""

import re
from pathlib import Path

import pytest
from check_rule import check_rule
from operator_cases import ONE_EACH, case

from onnxplain.graphops import operators
from onnxplain.graphops.operators import GRADIENT, OPERATORS, Operator

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/add-a-rule.md").read_text()
ROOM, CASE, OWN_TEST = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_example_is_an_operator_with_a_right_rule(monkeypatch):
    written = {}
    exec(ROOM, written)
    ((name, operator),) = written["OPERATORS"].items()
    assert isinstance(operator, Operator)
    assert operator.vjp is not OPERATORS[name].vjp
    monkeypatch.setitem(GRADIENT, name, operator.vjp)
    check_rule(name, [(2, 3, 5)])
    monkeypatch.setitem(GRADIENT, name, lambda op, n, g: (g,))
    with pytest.raises(AssertionError, match=name):
        check_rule(name, [(2, 3, 5)])


def test_its_case_is_one_of_the_cases():
    (example,) = eval(f"{{{CASE}}}", {"case": case}).items()
    assert example in ONE_EACH.items()


def test_its_own_test_passes():
    written = {"check_rule": check_rule}
    exec(OWN_TEST, written)
    written["test_leaky_relu"]()


def test_the_page_names_every_fact_and_what_there_is():
    facts = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)
    assert facts == list(Operator.__dataclass_fields__)[: len(facts)]
    assert len(facts) == 6
    folder = Path(operators.__file__).parent
    for name in (
        "operator",
        "batching",
        "axes",
        "roles",
        "sliding",
        "constructors",
        "unsupported",
        "catalogue",
    ):
        assert name in PAGE
        assert (folder / f"{name}.py").exists()
    for path in re.findall(r"`((?:tests|graphops)/[^`]*)`", PAGE):
        assert (ROOT / path).exists(), path

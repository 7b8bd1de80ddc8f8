"""Whom the deaths of workers are blamed on."""

import pytest

from onnxplain.graphops.errors import QuarantinedModel
from onnxplain.server.edge.blame import Blame

VIEW, CHECK = "/onnxplain.v1.ExplainService/View", "/onnxplain.v1.ExplainService/Check"


@pytest.fixture
def stamps():
    return {"bad": 1, "good": 1}


@pytest.fixture
def blame(stamps):
    return Blame(stamps.get)


def test_nobody_is_suspect_who_did_not_run(blame):
    blame.died([("bad", VIEW)], alone=False)
    assert blame.suspect("bad")
    assert not blame.suspect("good")
    blame.died([], alone=False)
    assert not blame.suspect("good")


def test_deaths_beside_others_count_for_nothing(blame):
    for _ in range(100):
        blame.died([("bad", VIEW), ("good", VIEW)], alone=False)
    assert blame.suspect("good")
    assert blame.problem("good") == blame.problem("bad") == ""


def test_deaths_alone_quarantine(blame, stamps):
    blame.died([("bad", VIEW), ("good", VIEW)], alone=False)
    for _ in range(3):
        assert blame.suspect("bad")
        blame.died([("bad", CHECK)], alone=True)
    with pytest.raises(QuarantinedModel, match="'bad' is in quarantine: 3 .* Check, View"):
        blame.suspect("bad")
    assert blame.suspect("good")
    stamps["bad"] = 2
    assert not blame.suspect("bad")
    assert blame.problem("bad") == ""


def test_a_call_that_ends_well_clears_a_model(blame):
    blame.died([("good", VIEW)], alone=False)
    blame.ended_well("good", CHECK)  # another method is no proof
    assert blame.suspect("good")
    blame.ended_well("good", VIEW)
    assert not blame.suspect("good")


def test_each_suspicion_takes_more_to_clear(blame):
    taken = []
    for _ in range(7):
        blame.died([("bad", VIEW), ("good", VIEW)], alone=False)
        taken.append(0)
        while blame.suspect("bad"):
            blame.ended_well("bad", VIEW)
            taken[-1] += 1
    assert taken == [1, 2, 4, 8, 16, 32, 64]


def test_a_death_of_a_suspect_takes_no_more_to_clear(blame):
    for _ in range(7):
        blame.died([("bad", VIEW), ("good", VIEW)], alone=False)
    blame.ended_well("bad", VIEW)
    assert not blame.suspect("bad")


def test_good_calls_do_not_make_up_for_deaths_alone(blame):
    for died in range(3):
        assert not blame.problem("bad")
        blame.died([("bad", VIEW)], alone=False)
        blame.died([("bad", VIEW)], alone=True)
        for _ in range(2**died):
            blame.ended_well("bad", VIEW)
    assert "3 worker processes" in blame.problem("bad")


def test_the_death_of_a_call_of_several_models_proves_nothing(blame):
    together = [("bad", VIEW), ("good", VIEW)]
    blame.died(together, alone=False)
    for _ in range(10):
        assert blame.suspect("bad")
        assert blame.suspect("good")
        blame.died(together, alone=True)
    blame.ended_well("good", VIEW)
    blame.died(together, alone=True)  # which ran alone since the other model is suspect
    assert not blame.suspect("good")
    assert blame.suspect("bad")


def test_a_death_is_held_against_the_present_file(blame, stamps):
    for _ in range(3):
        stamps["bad"] += 1
        blame.died([("bad", VIEW)], alone=True)
    assert blame.problem("bad") == ""


def test_a_model_that_kills_now_and_then_is_quarantined_too(blame):
    """Every fifth call crashes: the calls in between clear it less and less."""
    for number in range(200):
        if blame.problem("bad"):
            return
        alone = blame.suspect("bad")
        if number % 5 == 4:
            blame.died([("bad", VIEW)], alone=alone)
        elif alone:
            blame.ended_well("bad", VIEW)
    raise AssertionError("it was never quarantined")


def test_calls_of_no_model_are_never_suspect():
    """Every client makes them, and no file changes that could end a quarantine."""
    blame = Blame(lambda model: 0)
    for _ in range(9):
        blame.died([("", "ListMethods")], alone=True)
    assert not blame.suspect("")

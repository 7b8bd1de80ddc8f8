"""The short form of `make fuzz`: mutated models and requests bring nothing down."""

import asyncio

from hostile import fuzz_models, fuzz_requests
from hostile.trials import run_cases


def test_mutated_models():
    tally = run_cases(fuzz_models.COMMAND, 0, 200)
    assert tally.clean, tally
    assert sum(tally.ends.values()) == 200
    ran, refused = tally.ends["run done"], tally.ends["load CorruptModel"]
    assert ran > 0 and 80 < refused < 180  # else the cases were no test


def test_mutated_requests():
    outcome = asyncio.run(fuzz_requests.run_cases(0, 200))
    assert outcome.clean, vars(outcome)
    assert sum(outcome.ends.values()) == 200
    assert outcome.ends["OK"] > 10 and outcome.ends["INVALID_ARGUMENT InputError"] > 30

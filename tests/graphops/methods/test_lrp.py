"""LRP's composites and excitation backpropagation give what Zennit gives.

The bound is the design's: the median relative error over five random inputs is at most 1e-4, or
three times that of Zennit's own float32.
"""

from functools import cache

import numpy as np
import pytest
import torch
from artefacts import artefact, images, run, session
from nets import ALL, FAMILIES, build, export
from oracle import relative_error
from zennit_oracle import COMPOSITES, HIGH, LOW, relevance

INPUTS = 5
# MobileNet's gates and mean are no modules, so that Zennit does not see them.
SEEN = [family for family in FAMILIES if family != "mobilenet"]


@cache
def exported(family, keep_batch_norm=False):
    return export(family, keep_batch_norm=keep_batch_norm)


def bounds(method):
    return {"low": (LOW,), "high": (HIGH,)} if "box" in method else {}


@pytest.mark.parametrize("family", SEEN)
@pytest.mark.parametrize("method", COMPOSITES)
def test_as_zennit(method, family):
    net = build(family)
    model = exported(family, keep_batch_norm=True)
    made = session(artefact(model, None, method, select="seed", **bounds(method)))
    errors, floor = [], []
    for i in range(INPUTS):
        x = images(2, ALL[family].size, seed=i)
        with torch.no_grad():
            y = net(torch.tensor(x))
        seed = np.random.default_rng(i).standard_normal(y.shape).astype(np.float32)
        exact = relevance(net, torch.tensor(x).double(), torch.tensor(seed).double(), method)
        theirs = relevance(net, torch.tensor(x), torch.tensor(seed), method)
        found = run(made, x=x, seed=seed)["attribution"]
        errors.append(relative_error(found, exact))
        floor.append(relative_error(theirs, exact))
    assert np.median(errors) <= max(1e-4, 3 * np.median(floor)), (errors, floor)

"""A call's arguments resolved: the network's inputs, the options, and what is explained."""

from __future__ import annotations

from dataclasses import dataclass, replace

from onnxplain.engine.arguments import CheckedChoices, positioned, to_options
from onnxplain.engine.pictures import Images, PreparedInputs, prepare, prepare_named
from onnxplain.engine.run import Run
from onnxplain.engine.runtime import (
    SMALL_BYTES,
    ByteCache,
    OpenedModel,
    Stop,
    Subject,
    find_subject,
)
from onnxplain.graphops import Method
from onnxplain.graphops.options import SCORE_LAYER

__all__ = ["Machine", "prepared_run"]


@dataclass(frozen=True, eq=False)
class Machine:
    """Where a call runs and within which limits; see `Engine`."""

    device: str
    threads: int
    memory_bytes: int
    cache: ByteCache
    stop: Stop


def prepared_run(
    machine: Machine,
    opened: OpenedModel,
    images: Images | PreparedInputs,
    layer: str | None,
    method: Method,
    whole: bool,
    choices: CheckedChoices,
) -> tuple[Run, PreparedInputs]:
    """Return the run of a call, and its prepared images. Raises what `Engine.explain` does."""
    named = choices.inputs or {}
    scored = choices.own.get(SCORE_LAYER.name) if method.over == "map" else layer
    picture, further = opened.inputs(scored, named)
    prepared = images
    if not isinstance(prepared, PreparedInputs):
        prepared = prepare(opened.model, prepared, choices.preprocess, picture)
    prepared = prepare_named(opened.model, further, named, prepared)
    machine.stop.check()
    options = to_options(choices, method, whole, prepared)
    if options.to is None and method.over == "target" and further:
        options = replace(options, to=picture.name)

    def resolved() -> tuple[Subject, int]:
        inputs = (picture, further)
        return find_subject(opened, inputs, layer, method, options, machine.device), SMALL_BYTES

    # The only ones of the method's own options that change the subject.
    rest = (options.score_layer, options.score_channel_axis, replace(options, own=()))
    key = ("subject", opened.sha256, picture, further, layer, method, rest)
    subject = machine.cache.get(key, resolved)
    run = Run(
        opened=opened,
        subject=subject,
        method=method,
        options=positioned(options, method, subject),
        own=choices.own,
        position=choices.position,
        region=choices.region,
        passes=choices.passes,
        rows=prepared.rows,
        others=prepared.others,
        sizes=prepared.sizes,
        preprocess=prepared.preprocess,
        device=machine.device,
        threads=machine.threads,
        memory_bytes=machine.memory_bytes,
        cache=machine.cache,
        stop=machine.stop,
    )
    return run, prepared

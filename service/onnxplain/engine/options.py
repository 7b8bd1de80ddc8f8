"""What may be chosen about an explanation, and what of it the rewriter is given."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from inspect import cleandoc
from typing import Any

import numpy as np
import numpy.typing as npt

from onnxplain.engine.methods import METHODS, method_options
from onnxplain.engine.pictures import PreparedInputs, Preprocess
from onnxplain.graphops import Method, Options
from onnxplain.graphops.errors import OptionError
from onnxplain.graphops.methods import require_taken
from onnxplain.graphops.options import LOW

__all__ = ["Choices", "describe_options", "to_options"]

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False, kw_only=True)
class Choices:
    """What may be chosen about an explanation besides model, images, layer, method and units.

    position: "all", "max", or coordinates: a sequence for all units, or [images, units, rank].
    seed_value: "activation" or "one". Both default to the method's own.
    to: the tensor projected back to. unpool, channel_axis: see `onnxplain.graphops.Options`.
    preprocess: a Preprocess, or as the command line has it, "unit" or "raw_bgr,size=224x224";
        default the model's own, or a guess.
    labels: class names by channel, for the drawing of class scores.
    names: what to call the pictures where several are drawn; default their files' names.
    timeout: seconds after which Cancelled is raised. cancel: an event that does so when set.
    progress: called with the projections done and their total.
    passes: called with the runs done of the projections under way, and their total, by methods
        that take many.
    own: the options of the method, those that were not chosen with their defaults.
    """

    position: str | Sequence[int] | npt.NDArray[np.int64] | None = None
    seed_value: str | None = None
    to: str | None = None
    unpool: str | None = None
    channel_axis: int | None = None
    preprocess: Preprocess | str | None = None
    labels: Sequence[str] | None = None
    names: Sequence[str] | None = None
    timeout: float | None = None
    cancel: threading.Event | None = None
    progress: Progress | None = None
    passes: Progress | None = None
    own: Mapping[str, Any] = field(default_factory=dict)

    @staticmethod
    def of(method: Method, given: Mapping[str, Any]) -> Choices:
        """Return the keyword arguments of `explain`, checked.

        Raises TypeError for one that there is not, as Python does for unknown arguments, and
        OptionError for one that only other methods take, or whose value is out of bounds.
        """
        general = {f.name for f in fields(Choices)} - {"own"}
        own = {name: value for name, value in given.items() if name not in general}
        known = {*method_options(), *(option.name for option in method.takes)}
        for name in own.keys() - known:
            raise TypeError(f"explain() got an unexpected keyword argument '{name}'")
        require_taken(method, [n for n, value in own.items() if value is not None], METHODS)
        chosen = {name: value for name, value in given.items() if name in general}
        return Choices(**chosen, own=method.own(own))


def describe_options() -> str:
    """Return the keyword arguments of `explain` as text: the general ones, then the methods'."""
    general = cleandoc(Choices.__doc__ or "").partition("\n\n")[2].rpartition("\nown:")[0]
    lines = [general, "", "Of single methods:", ""]
    for option in method_options().values():
        takers = [method.name for method in METHODS.values() if option in method.takes]
        lines.append(option.described(of=", ".join(takers)))
    return "\n".join(lines)


def to_options(choices: Choices, method: Method, whole: bool, prepared: PreparedInputs) -> Options:
    """Return the rewriter's options. Raises OptionError for words that are none of its own."""
    position = choices.position
    if isinstance(position, str) and position == "given":
        raise OptionError("position 'given' is not a place: give its coordinates instead")
    own: dict[str, Any] = {}
    if method.exportable and not method.accumulated:
        own = {o.name: choices.own[o.name] for o in method.takes if not o.input}
    if LOW.name in own and not own["low"] and not own["high"] and prepared.preprocess:
        own["low"], own["high"] = (ends.tolist() for ends in prepared.preprocess.ends())
    for name in own.keys() & {"low", "high"}:
        own[name] = tuple(float(v) for v in np.atleast_1d(own[name]))
    return Options(
        select="whole" if whole else None,
        position=position if position is None or isinstance(position, str) else "given",
        seed_value=choices.seed_value,
        to=choices.to,
        unpool=choices.unpool,
        channel_axis=choices.channel_axis,
        keep_outputs=False,
        **own,
    )

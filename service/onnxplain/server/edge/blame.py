"""Which models make workers die.

A death tells nothing of one model while others ran beside it. So every model that ran is suspect:
its next calls run alone, in a fresh worker, until enough of them have ended well; each time it is
suspect again, that takes twice as many. Only a death alone counts as the model's, and none is
forgotten: after some it is quarantined. A call that opens several models runs alone if one of them
is suspect, but its death proves nothing of any of them. All this holds until the file changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from onnxplain.graphops.errors import QuarantinedModel

__all__ = ["Blame"]

DEATHS = 3  # of workers in which a model ran alone, until it is quarantined


@dataclass
class Record:
    """What is held against a model.

    stamp: of the file that it is held against. methods: those that ran when workers died.
    suspicions: how often it became suspect. proofs: calls of these methods that must end well,
    alone, before the model runs beside others again. deaths: of workers in which it ran alone.
    """

    stamp: Any
    methods: set[str] = field(default_factory=set)
    suspicions: int = 0
    proofs: int = 0
    deaths: int = 0


class Blame:
    """The suspect and the quarantined models.

    stamp: returns what identifies the present contents of a model's file, by the model's full name.
    """

    def __init__(self, stamp: Callable[[str], Any]) -> None:
        self._stamp = stamp
        self._records: dict[str, Record] = {}

    def died(self, running: Iterable[tuple[str, str]], *, alone: bool) -> None:
        """Record the death of a worker.

        running: the models and the method of each call that ran there. alone: whether the worker
        was a fresh one for calls of the same models.
        """
        methods: dict[str, set[str]] = {}
        for model, method in running:
            if model:  # calls of no model open none
                methods.setdefault(model, set()).add(method)
        for model in methods:
            record = self._record(model) or Record(self._stamp(model))
            if alone and len(methods) > 1 and not record.proofs:
                continue  # another of the call's models is suspect already
            self._records[model] = record
            record.methods |= methods[model]
            record.suspicions += not record.proofs
            record.proofs = 2 ** (record.suspicions - 1)
            record.deaths += alone and len(methods) == 1

    def ended_well(self, model: str, method: str) -> None:
        """Record that a call of a model, alone in its worker, ended without a death."""
        record = self._records.get(model)
        if record is not None and record.proofs and method in record.methods:
            record.proofs -= 1

    def suspect(self, model: str) -> bool:
        """Tell whether a model must run alone. Raises QuarantinedModel."""
        if problem := self.problem(model):
            raise QuarantinedModel(problem)
        record = self._records.get(model)
        return record is not None and record.proofs > 0

    def problem(self, model: str) -> str:
        """Return why a model is in quarantine, "" if it is not."""
        record = self._record(model)
        if record is None or record.deaths < DEATHS:
            return ""
        methods = ", ".join(sorted(method.rpartition("/")[2] for method in record.methods))
        return (
            f"'{model}' is in quarantine: {record.deaths} worker processes that ran it alone died, "
            f"in calls of {methods}; replace its file to have it served again"
        )

    def _record(self, model: str) -> Record | None:
        """Return what is held against the present contents of a model's file."""
        record = self._records.get(model)
        if record is not None and record.stamp != self._stamp(model):
            del self._records[model]
            return None
        return record

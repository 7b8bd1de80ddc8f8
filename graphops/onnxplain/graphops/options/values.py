"""The values of the options of one rewrite, checked against their declarations."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import cleandoc
from numbers import Real
from typing import TYPE_CHECKING, Any, Unpack

from onnxplain.graphops.errors import OptionError
from onnxplain.graphops.options.argument_types import OptionArguments, OwnOptions
from onnxplain.graphops.options.defaults import (
    GENERAL,
    OPTIONS,
    Backward,
    Lowering,
    Position,
    SeedValue,
    Select,
    Target,
    Unpool,
)

__all__ = ["Options"]


@dataclass(frozen=True, init=False)
class Options(OwnOptions):
    """The options of one rewrite, by keyword: `Options(samples=25, position="max")`.

    Every option of `GENERAL` and `OPTIONS` is an argument and an attribute; None means its default.

    own: the options of single methods that differ from their defaults, as sorted pairs.

    Raises OptionError for an invalid value, and for options that exclude each other.
    """

    select: Select | None
    channels: tuple[int, ...]
    position: Position | None
    seed_value: SeedValue | None
    negate: bool
    to: str | None
    unpool: Unpool
    target: Target
    lowering: Lowering
    backward: Backward
    channel_axis: int | None
    keep_outputs: bool
    keep_shape: bool
    own: tuple[tuple[str, Any], ...]

    def __init__(
        self, *, own: tuple[tuple[str, Any], ...] = (), **given: Unpack[OptionArguments]
    ) -> None:
        values: dict[str, Any] = dict(given)
        for name in values:
            if name not in GENERAL and not _is_rewrite_option(name):
                raise TypeError(f"Options() got an unexpected keyword argument '{name}'")
        for name, option in GENERAL.items():
            value = option.checked(values.get(name))
            if name == "channels":
                value = tuple(int(c) for c in value)
            object.__setattr__(self, name, value)
        chosen = dict(own) | {name: v for name, v in values.items() if name not in GENERAL}
        changed = []
        for name, value in sorted(chosen.items()):
            option = OPTIONS[name]
            value = option.checked(value)
            if option.each:
                value = (value,) if isinstance(value, Real) else tuple(value)
            if value != option.default:
                changed.append((name, value))
        object.__setattr__(self, "own", tuple(changed))
        _require_consistent(self)

    if not TYPE_CHECKING:  # type checkers know the attributes by `OwnOptions`

        def __getattr__(self, name: str) -> Any:
            """Return the value of an option of single methods."""
            if not _is_rewrite_option(name):
                raise AttributeError(f"there is no option '{name}'", name=name, obj=self)
            return dict(self.own).get(name, OPTIONS[name].default)

    def as_dict(self) -> dict[str, Any]:
        """Return every option's value by name."""
        names = [*GENERAL, *filter(_is_rewrite_option, OPTIONS)]
        return {name: getattr(self, name) for name in names}

    def changed(self) -> list[str]:
        """Return the names of the options that differ from their defaults."""
        general = [name for name, o in GENERAL.items() if getattr(self, name) != o.default]
        return general + [name for name, _ in self.own]


Options.__doc__ = "\n".join((
    cleandoc(Options.__doc__ or ""), "", *(option.described() for option in GENERAL.values()), "",
    "Of single methods:", "", *(o.described() for o in OPTIONS.values() if not o.input),
))  # fmt: skip


def _is_rewrite_option(name: str) -> bool:
    """Tell whether an option of single methods is a constant of the rewrite."""
    return name in OPTIONS and not OPTIONS[name].input


def _require_consistent(options: Options) -> None:
    """Raise OptionError where options exclude each other."""
    select = options.select
    if select == "fixed" and not options.channels:
        raise OptionError("select 'fixed' bakes channels in: name at least one channel")
    if select != "fixed" and options.channels:
        raise OptionError(
            f"channels are baked in only by select 'fixed', not by '{select or 'channel'}': leave "
            "the channels out, or choose select 'fixed'"
        )
    if select == "seed" and (options.position or options.seed_value or options.negate):
        raise OptionError(
            "select 'seed' has an input for the cotangent: leave position, seed value and negate "
            "out"
        )
    if select == "whole" and options.position not in (None, "all", "region"):
        raise OptionError(
            "select 'whole' explains all units: leave the position out, or choose another select"
        )

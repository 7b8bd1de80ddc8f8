"""What a method is: the facts about it that the rewriter, the engine and the command line ask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeAlias, TypeVar, overload

from onnxplain.graphops.options import Option, Position, SeedValue, Select

if TYPE_CHECKING:
    from onnxplain.graphops.backward import Attribution, Rules, Walk

__all__ = ["Imported", "Method"]

Over: TypeAlias = Literal["target", "map", "layer"]
Drawn: TypeAlias = Literal["map", "reconstruction", "picture"]
Accumulated: TypeAlias = Literal["", "mean", "mean_square", "variance", "path"]
T = TypeVar("T")


class Imported(Generic[T]):
    """A field that holds an object, or "module:attribute" text, which is imported when read."""

    def __init__(self, default: str | None = None) -> None:
        self._default = default

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, method: None, owner: type) -> str: ...
    @overload
    def __get__(self, method: object, owner: type) -> T: ...
    def __get__(self, method: object | None, owner: type) -> str | T:
        if method is None:  # a dataclass asks for the field's default
            if self._default is None:
                raise AttributeError(self._name)
            return self._default
        value: T | str = vars(method)[self._name]
        found: T = resolve_name(value) if isinstance(value, str) else value
        return found

    def __set__(self, method: object, value: T | str) -> None:
        vars(method)[self._name] = value


@dataclass(frozen=True, eq=False)
class Method:
    """How a signal passes each operator, what is made of it, and where it starts by default.

    rules: the table of rules, by default the gradient's, or a function from path and options to
        one. compute: makes the attribution of a `Walk`, by default of what arrives at the target.
        Either may be "module:attribute" text, which is imported on first use.
    over: what the attribution lies over: the "target" (the picture, or what `to` names); for class
        activation maps a "map", the layer that is named, while the signal starts at the class
        score; or the "layer" itself. onwards: whether the signal of a "map" is also walked to the
        picture.
    select, position, seed_value: the defaults of these options.
    takes: the options that it takes and not every method does.
    summary: what it shows, in a phrase. paper: where it comes from. peer: the implementation whose
        definition it follows.
    drawn: how an attribution is drawn: as a signed "map"; as a "reconstruction", which looks like
        the picture; or as the "picture" that it is.
    accumulated: for methods of many gradients, what the attribution is of them, so that an engine
        can add them up a few at a time: their "mean", "mean_square" or "variance" at noisy copies,
        or their integral along a "path" from the baseline.
    explains_class: whether its map shows what a picture's class hangs on.
    alias_of: the method that gives the same where a class is explained, "" where there is none.
    """

    name: str
    rules: Imported[Rules] = Imported("onnxplain.graphops.operators:GRADIENT")
    compute: Imported[Callable[[Walk], Attribution]] = Imported(
        "onnxplain.graphops.backward:projected"
    )
    over: Over = "target"
    onwards: bool = False
    select: Select = "channel"
    position: Position = "all"
    seed_value: SeedValue = "one"
    takes: tuple[Option, ...] = ()
    summary: str = ""
    paper: str = ""
    peer: str = ""
    drawn: Drawn = "map"
    accumulated: Accumulated = ""
    explains_class: bool = True
    alias_of: str = ""

    exportable: ClassVar[bool] = True  # whether it is one graph

    def own(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return the values of the options that the method takes, the defaults filled in.

        Raises OptionError for a value out of its option's bounds.
        """
        return {option.name: option.checked(values.get(option.name)) for option in self.takes}

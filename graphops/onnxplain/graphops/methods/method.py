"""The declaration of a method, from which rewriter, engine and command line derive the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeAlias, TypeVar, overload

from onnxplain.graphops.errors import OptionError, nearest
from onnxplain.graphops.options import (
    ALL_INPUTS,
    BASELINE,
    OPTIONS,
    Option,
    Position,
    SeedValue,
    Select,
)

if TYPE_CHECKING:
    from onnxplain.graphops.backward import Attribution, Rules, Walk

__all__ = ["Imported", "Method", "Taken"]

Over: TypeAlias = Literal["target", "map", "layer"]
Drawn: TypeAlias = Literal["map", "reconstruction", "picture"]
Accumulated: TypeAlias = Literal["", "mean", "mean_square", "variance", "path"]
T = TypeVar("T")


class Imported(Generic[T]):
    """A field that holds an object, or "module:attribute" text that is imported on first use."""

    def __init__(self, default: str | None = None) -> None:
        self._default = default

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, method: None, owner: type) -> str: ...
    @overload
    def __get__(self, method: object, owner: type) -> T: ...
    def __get__(self, method: object | None, owner: type) -> str | T:
        if method is None:  # the dataclass decorator reads the field's default
            if self._default is None:
                raise AttributeError(self._name)
            return self._default
        value: T | str = vars(method)[self._name]
        resolved: T = resolve_name(value) if isinstance(value, str) else value
        return resolved

    def __set__(self, method: object, value: T | str) -> None:
        vars(method)[self._name] = value


class Taken:
    """A field that holds options, of which those in `OPTIONS` may be assigned by name."""

    def __get__(self, method: object | None, owner: type) -> tuple[Option, ...]:
        options: tuple[Option, ...] = () if method is None else vars(method)["takes"]
        return options

    def __set__(self, method: object, options: Iterable[Option | str]) -> None:
        for option in options:
            if isinstance(option, str) and option not in OPTIONS:
                raise OptionError(f"no option '{option}' ({nearest(option, OPTIONS)})")
        vars(method)["takes"] = tuple(OPTIONS[o] if isinstance(o, str) else o for o in options)


@dataclass(frozen=True, eq=False)
class Method:
    """A method: its rules, how it computes the attribution, and the defaults of its options.

    name: the word by which `method=` chooses it.
    rules: the table of rules, by default the gradient's, or a function from path and options to
        one. compute: the function from a `Walk` to its attribution, by default the signal at the
        target. Either may be "module:attribute" text, which is imported on first use.
    over: the tensor that the attribution lies over: the "target" (the picture, or the tensor that
        `to` names); for class activation maps a "map", the named layer, while the signal starts at
        the class score; or the "layer" itself. onwards: whether a "map" method also walks the
        signal on to the picture.
    select, position, seed_value: the defaults of these options.
    takes: the options that it accepts. A name stands for the option of `OPTIONS`.
    summary: what it shows, in a phrase. paper: its source. peer: the implementation whose
        definition it follows.
    drawn: how an attribution is drawn: as a signed "map"; as a "reconstruction", which looks like
        the picture; or as a "picture", which it is.
    accumulated: for methods of many gradients, the statistic that the attribution is, so that an
        engine can accumulate it in several runs: their "mean", "mean_square" or "variance" at noisy
        copies, or their integral along a "path" from the baseline.
    local: whether the signal from a unit at one position, and all that it depends on, lies in the
        unit's receptive field, so that an engine may crop the picture to that.
    explains_class: whether its map shows the evidence for a picture's class.
    alias_of: the method with the same attribution where a class is explained, or "".
    title: its name in figures and lists, as papers write it; default, the name with spaces.
    aliases: further names that the field has for it, which errors recognise in any spelling. One
        that several methods have stands for a family.
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
    takes: Taken = Taken()
    summary: str = ""
    paper: str = ""
    peer: str = ""
    drawn: Drawn = "map"
    accumulated: Accumulated = ""
    local: bool = False
    explains_class: bool = True
    alias_of: str = ""
    title: str = ""
    aliases: tuple[str, ...] = ()

    exportable: ClassVar[bool] = True  # whether one graph computes it

    def __post_init__(self) -> None:
        if not self.title:
            object.__setattr__(self, "title", self.name.replace("_", " "))

    @property
    def projects_to_all(self) -> bool:
        """Whether it can project to several inputs at once: without copies or a baseline of one."""
        alone = self.over != "target" or self.accumulated or BASELINE in self.takes
        return self.exportable and not alone

    def require_target(self, to: str | None) -> None:
        """Check that the method can project to the inputs that `to` stands for.

        Args:
            to: the name of a tensor, "all" for every float input, None for the default.

        Raises:
            OptionError: it stands for several inputs, and the method explains one at a time.
        """
        if to == ALL_INPUTS and not self.projects_to_all:
            raise OptionError(
                f"method '{self.name}' explains to one input at a time: name it by `to`, or choose "
                "a method of one backward pass, such as gradient"
            )

    def own(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return the values of the method's own options, with defaults filled in.

        Args:
            values: values by option name; None stands for the default, other names are ignored.

        Returns:
            The value of each option in `takes` by name.

        Raises:
            OptionError: a value is invalid, see `Option.checked`.
        """
        return {option.name: option.checked(values.get(option.name)) for option in self.takes}

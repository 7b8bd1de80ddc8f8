"""How a view is declared: what it takes, which arrays it returns, and what its command prints.

The command line, the service and `engine.VIEWS` follow from the declarations. This module imports
only the standard library: a view's own module is imported when its function is first used.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from onnxplain.engine.drawing import View
    from onnxplain.engine.engine import Engine
    from onnxplain.engine.pictures import Picture
    from onnxplain.engine.runtime import Model

__all__ = ["ViewArgument", "ViewCommand", "ViewDeclaration"]

ArgumentType = Literal["text", "integer", "channels", "units", "size", "method_options"]
Callback = Callable[[int, int], None]


@dataclass(frozen=True)
class ViewArgument:
    """One argument of a view: a keyword of its function, a field of its message, a flag.

    name: of the keyword and the field, which for the type "size" are two, `height` and `width`;
    the type "method_options" stands for the keywords of methods. many: several values, a repeated
    field, and a flag that may be repeated. default: the function's own, None where it depends on
    the model or the picture. flag: empty where the command has none. required: by the command.

    Every view takes `labels`, `preprocess` and `progress` besides. `names`, without a flag, are
    what the drawing calls the pictures: the command gives the files' names.
    """

    name: str
    type: ArgumentType
    help: str = ""
    default: Any = None
    flag: str = ""
    metavar: str = "N"
    required: bool = False
    many: bool = False


@dataclass(frozen=True)
class ViewCommand:
    """The command that draws a view and prints a summary of its arrays.

    doing: what a terminal shows while the view is computed. model_help: added to the help of MODEL.
    summary: "module:function" of (arrays) that returns the lines to print. rows: "module:function"
    of (arrays, paths of the pictures) that returns a list of dictionaries, which --json prints as
    they are, and the command otherwise as a table of `columns`.
    """

    help: str
    description: str
    doing: str
    model_help: str = ""
    summary: str = ""
    rows: str = ""
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class ViewDeclaration:
    """A view: the function that computes it, what this takes, and the arrays of its result.

    function: "module:function" of (engine, model, picture, **arguments). pictures: whether it takes
    one picture or a sequence of them, on the command line those of a folder. models: whether it
    takes one model or a sequence, with `names` for them; a request names those before its own model
    in the field `earlier`. arrays: type, shape and meaning of each, by names in which words in
    capitals stand for numbers and names. passes: whether it reports the runs within a step.
    command: None where another command draws the view.
    """

    name: str
    function: str
    arguments: tuple[ViewArgument, ...]
    arrays: Mapping[str, str]
    pictures: Literal["one", "several"] = "one"
    models: Literal["one", "several"] = "one"
    passes: bool = False
    command: ViewCommand | None = None

    def resolve(self) -> Callable[..., View]:
        """Return the view's function, whose module is imported now."""
        function: Callable[..., View] = pkgutil.resolve_name(self.function)
        return function

    def compute(
        self,
        engine: Engine,
        models: Sequence[Model],
        pictures: Sequence[Picture],
        progress: Callback,
        passes: Callback,
        **arguments: Any,
    ) -> View:
        """Return the view of the pictures: of the last model and the first picture if it takes one.

        progress, passes: called with how many steps, or runs of a step, are done, and their number.
        """
        if self.passes:
            arguments["passes"] = passes
        return self.resolve()(
            engine,
            list(models) if self.models == "several" else models[-1],
            pictures if self.pictures == "several" else pictures[0],
            progress=progress,
            **arguments,
        )

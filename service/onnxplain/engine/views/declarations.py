"""The declaration of a view: its arguments, its arrays, and the output of its command.

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
    from onnxplain.engine.explainer import Explainer
    from onnxplain.engine.pictures import Picture
    from onnxplain.engine.runtime import Model

__all__ = ["ViewArgument", "ViewCommand", "ViewDeclaration"]

ArgumentType = Literal["text", "integer", "channels", "units", "size", "method_options", "class"]
Callback = Callable[[int, int], None]


@dataclass(frozen=True)
class ViewArgument:
    """One argument of a view: a keyword of its function, a field of its message, a flag.

    name: that of the keyword and the field; the type "size" has two fields, `height` and `width`,
    the type "channels" has `all` and `top` beside its own, for "all" and "top:K", and the type
    "method_options" stands for the options of methods.
    default: the function's own, None where it depends on the model or the picture.
    flag: the command's flag, "" for none; `alias` is a second one. For the type "class", an
    integer, the flag also takes a class's name.
    required: whether the command requires it.
    many: whether it has several values: a repeated field, and a flag that may be repeated.

    Every view also takes `labels`, `preprocess` and `progress`. `names`, which has no flag, are
    the pictures' names in the drawing: the command passes those of the files.
    """

    name: str
    type: ArgumentType
    help: str = ""
    default: Any = None
    flag: str = ""
    metavar: str = "N"
    required: bool = False
    many: bool = False
    alias: str = ""


@dataclass(frozen=True)
class ViewCommand:
    """The command that draws a view and prints a summary of its arrays.

    doing: the text of the terminal's progress line.
    model_help: appended to the help of MODEL.
    summary: "module:function" of (arrays) that returns the lines to print.
    rows: "module:function" of (arrays, paths of the pictures) that returns a list of dictionaries:
        --json prints them as they are, the command otherwise as a table of `columns`.
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
    """A view: the function that computes it, its arguments, and the arrays of its result.

    function: "module:function" of (engine, model, picture, **arguments).
    arrays: type, shape and meaning by name; words in capitals stand for numbers and names.
    pictures: whether it takes one picture or a sequence, on the command line a folder.
    models: whether it takes one model or a sequence, with `names`; a request has all but the last
        in its field `earlier`.
    passes: whether it reports the runs within a step.
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
        """Import the view's module and return its function."""
        function: Callable[..., View] = pkgutil.resolve_name(self.function)
        return function

    def compute(
        self,
        engine: Explainer,
        models: Sequence[Model],
        pictures: Sequence[Picture],
        progress: Callback,
        passes: Callback,
        **arguments: Any,
    ) -> View:
        """Compute the view, for the last model and the first picture where it takes only one.

        progress, passes: called with the steps, or the runs of a step, that are done, and their
        total.
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

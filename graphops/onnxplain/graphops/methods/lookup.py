"""Methods by name, and the options that they accept. Imports only the standard library."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from onnxplain.graphops.errors import OptionError
from onnxplain.graphops.methods.method import Method
from onnxplain.graphops.methods.registry import METHODS
from onnxplain.graphops.methods.spelling import unknown_method

__all__ = ["find_method", "require_taken"]


def find_method(name: str | Method) -> Method:
    """Return the method of that name.

    Raises UnknownMethod with the names meant, and OptionError for a method that one graph cannot
    compute.
    """
    method = METHODS.get(name) if isinstance(name, str) else name
    if method is None:
        hint = "methods that take many runs are in `onnxplain.engine`: use its `explain`"
        raise unknown_method(str(name), METHODS, hint)
    if not method.exportable:
        raise OptionError(
            f"method '{method.name}' takes many runs of the network, so one graph cannot compute "
            "it: use `explain`, or choose another method"
        )
    return method


def require_taken(
    method: Method, given: Iterable[str], methods: Mapping[str, Method] = METHODS
) -> None:
    """Raise OptionError for an option in `given` that only other methods accept."""
    own = {option.name for option in method.takes}
    for name in given:
        others = [m.name for m in methods.values() if name in {option.name for option in m.takes}]
        if others and name not in own:
            raise OptionError(
                f"method '{method.name}' takes no {name.replace('_', ' ')}: leave it out, or "
                f"choose {' or '.join(others)}"
            )

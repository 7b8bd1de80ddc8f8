"""Explaining the same pictures by each of several methods."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Unpack, cast

from onnxplain.engine.argument_checks import checked
from onnxplain.engine.arguments import CheckedChoices
from onnxplain.engine.choices import Choices
from onnxplain.engine.explainer import Explainer
from onnxplain.engine.explanation import Explanation
from onnxplain.engine.methods import find_method, own_options
from onnxplain.engine.pictures import Images
from onnxplain.engine.runtime import Model
from onnxplain.engine.signatures import with_choices
from onnxplain.engine.units import Units
from onnxplain.engine.views.side_by_side import SideBySide
from onnxplain.graphops import Method
from onnxplain.graphops.errors import ModelError, OptionError, one_line

__all__ = ["explain_by_each", "maps"]


@checked
@with_choices
def maps(
    engine: Explainer,
    model: Model,
    pictures: Images,
    methods: Sequence[str | Method],
    layer: str | None = None,
    units: Units = None,
    **choices: Unpack[Choices],
) -> Explanation | SideBySide:
    """Explain units by one method, or by several side by side.

    Args:
        model: as in `Engine.explain`, like the arguments below.
        pictures: one or several pictures, or one preprocessed float array.
        methods: the names of the methods.
        layer: a tensor, node or module; None for the class score.
        units: the units of each picture.
        **choices: see `Choices`; an option of single methods is for those that take it.

    Returns:
        The explanation by the only method, or all of them side by side.

    Raises:
        OptionError: there are no methods, or none takes an option.
        InputError, ModelError, DeviceError, Cancelled: as `Engine.explain`.
    """
    methods = [methods] if isinstance(methods, str | Method) else list(methods)
    if len(methods) == 1:
        return engine.explain(model, pictures, layer, methods[0], units, **choices)
    return explain_by_each(engine, model, pictures, methods, layer, units, **choices)


def explain_by_each(
    engine: Explainer,
    model: Model,
    pictures: Images,
    methods: Sequence[str | Method],
    layer: str | None,
    units: Units,
    **choices: Unpack[Choices],
) -> SideBySide:
    """Explain units by each of several methods.

    A method that cannot explain the network, or not with these options, is left out, and the result
    says why. Raises the error of the first one where all are.
    """
    found = [find_method(method) for method in methods]
    names = [method.name for method in found]
    if not found:
        raise OptionError("there are no methods: give at least one")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise OptionError(f"method '{twice}' is named twice: name each method once")
    own = [own_options(choices, method, found) for method in found]
    for method, options in zip(found, own, strict=True):
        CheckedChoices.of(method, cast(Choices, options))  # refuses wrong options before the work
    model = engine.open(model)
    if isinstance(pictures, Iterator):
        pictures = list(pictures)  # every method reads them
    explanations: list[Explanation] = []
    errors: dict[str, OptionError | ModelError] = {}
    for method, options in zip(found, own, strict=True):
        try:
            explanations.append(engine.explain(model, pictures, layer, method, units, **options))
        except (OptionError, ModelError) as e:
            errors[method.name] = e
    refused = {name: one_line(error) for name, error in errors.items()}
    if not explanations:
        first = next(iter(errors.values()))
        if len(set(refused.values())) == 1:
            raise first
        reasons = "; ".join(f"{name}: {reason}" for name, reason in refused.items())
        raise type(first)(f"none of the methods can explain this: {reasons}") from first
    return SideBySide(tuple(explanations), refused)

"""The options of a rewrite, each declared once with its type, default and bounds.

The rewriter's `Options`, the engine's keyword arguments, the command line's flags with their help
and the service's lists derive from the declarations. Imports only the standard library.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from inspect import cleandoc
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal, Unpack, get_args

from onnxplain.graphops.errors import OptionError
from onnxplain.graphops.option_declaration import Option
from onnxplain.graphops.option_types import OptionArguments, OwnOptions

__all__ = [
    "BACKWARDS",
    "GENERAL",
    "OPTIONS",
    "POSITIONS",
    "SEED_VALUES",
    "SELECTS",
    "TARGETS",
    "UNPOOLS",
    "Option",
    "Options",
]

Select = Literal["channel", "pairs", "fixed", "predicted", "seed", "whole"]
Position = Literal["all", "max", "given"]
SeedValue = Literal["activation", "one"]
Unpool = Literal["auto", "maxunpool", "scatter", "portable", "window"]
Target = Literal["cpu", "cuda", "openvino", "web", "tensorrt"]
Backward = Literal["same", "float32"]

SELECTS: tuple[str, ...] = get_args(Select)
POSITIONS: tuple[str, ...] = get_args(Position)
SEED_VALUES: tuple[str, ...] = get_args(SeedValue)
UNPOOLS: tuple[str, ...] = get_args(Unpool)
TARGETS: tuple[str, ...] = get_args(Target)
BACKWARDS: tuple[str, ...] = get_args(Backward)


SELECT = Option(
    "select", str, None, "the inputs that select the unit", choices=SELECTS,
    default_text="whole for inverse, else channel",
)  # fmt: skip
CHANNELS = Option("channels", int, (), "the channels to bake in by select 'fixed'", each="unit")
POSITION = Option(
    "position", str, None, "the position in the layer where the signal starts", choices=POSITIONS,
    default_text="max for deconvnet, else all",
)  # fmt: skip
SEED_VALUE = Option(
    "seed_value", str, None, "the value that the signal starts with", choices=SEED_VALUES,
    default_text="activation for deconvnet, inverse, LRP and excitation_backprop, else one",
)  # fmt: skip
TO = Option("to", str, None, "the tensor to project back to", default_text="the picture")
UNPOOL = Option("unpool", str, "auto", "the form of max-unpooling", choices=UNPOOLS)
TARGET = Option(
    "target", str, "cpu", "the runtime of the artefact, to which unpool 'auto' adapts (cpu and "
    "cuda are ONNX Runtime, web is onnxruntime-web)", choices=TARGETS,
)  # fmt: skip
BACKWARD = Option(
    "backward", str, "same", "the precision of the backward pass and the attribution of a network "
    "in half precision", choices=BACKWARDS,
)  # fmt: skip
CHANNEL_AXIS = Option(
    "channel_axis", int, None, "the layer's channel axis",
    default_text="1, or the last of a layer of rank 3 or NHWC",
)  # fmt: skip
KEEP_OUTPUTS = Option("keep_outputs", bool, True, "keep the network's own outputs")
KEEP_SHAPE = Option("keep_shape", bool, False, "keep a fixed batch size fixed")

# The options of all methods.
GENERAL: Mapping[str, Option] = {
    option.name: option
    for option in (
        SELECT, CHANNELS, POSITION, SEED_VALUE, TO, UNPOOL, TARGET, BACKWARD, CHANNEL_AXIS,
        KEEP_OUTPUTS, KEEP_SHAPE,
    )
}  # fmt: skip

SCORE_LAYER = Option(
    "score_layer", str, None, "the layer whose unit is explained, while the map covers the chosen "
    "layer", default_text="the class score",
)  # fmt: skip
UPSAMPLE = Option("upsample", bool, True, "resize the map to the picture's height and width")
SAMPLES = Option(
    "samples", int, 50, "the number of noisy copies", bounds=(1, math.inf), most_exported=1000
)
NOISE_LEVEL = Option(
    "noise_level", float, 0.15, "the standard deviation of the noise, as a fraction of the input's "
    "range", bounds=(0, math.inf),
)  # fmt: skip
NOISE_SEED = Option("noise_seed", int, 0, "the seed of the noise", bounds=(0, 2**63 - 1))
STEPS = Option(
    "steps", int, 50, "the number of points between baseline and input", bounds=(1, 1000)
)
BASELINE = Option(
    "baseline", float, None, "the reference that stands for an absent picture, in the values of "
    "the network's input", each="channel", input=True, default_text="0",
)  # fmt: skip
LOW = Option(
    "low", float, (), "the lowest value of the input", each="channel",
    default_text="that of a pixel of 0", required_exported=True,
)  # fmt: skip
HIGH = Option(
    "high", float, (), "the highest value of the input", each="channel",
    default_text="that of a pixel of 255", required_exported=True,
)  # fmt: skip

# The options of single methods, see `Method.takes`.
OPTIONS: Mapping[str, Option] = {
    option.name: option
    for option in (
        SCORE_LAYER, UPSAMPLE, SAMPLES, NOISE_LEVEL, NOISE_SEED, STEPS, BASELINE, LOW, HIGH,
    )
}  # fmt: skip


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
    to: str | None
    unpool: Unpool
    target: Target
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
    if select == "seed" and (options.position or options.seed_value):
        raise OptionError(
            "select 'seed' has an input for the cotangent: leave position and seed value out"
        )
    if select == "whole" and options.position not in (None, "all"):
        raise OptionError(
            "select 'whole' explains all units: leave the position out, or choose another select"
        )

"""Every option of a rewrite, declared once: its type, default, bounds and help.

The rewriter's `Options`, the engine's keyword arguments, the command line's flags with their help
and the service's lists derive from these declarations. Imports only the standard library.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, get_args

from onnxplain.graphops.options.option import Option

__all__ = [
    "ALL_INPUTS",
    "BACKWARD",
    "BACKWARDS",
    "BASELINE",
    "Backward",
    "CHANNELS",
    "CHANNEL_AXIS",
    "GENERAL",
    "HIGH",
    "KEEP_OUTPUTS",
    "KEEP_SHAPE",
    "LOW",
    "LOWERING",
    "LOWERINGS",
    "Lowering",
    "NEGATE",
    "NOISE",
    "NOISE_LEVEL",
    "NOISE_SEED",
    "OPTIONS",
    "POSITION",
    "POSITIONS",
    "Position",
    "SAMPLES",
    "SCORE_CHANNEL_AXIS",
    "SCORE_LAYER",
    "SEED_VALUE",
    "SEED_VALUES",
    "SELECT",
    "SELECTS",
    "STEPS",
    "SeedValue",
    "Select",
    "TARGET",
    "TARGETS",
    "TO",
    "Target",
    "UNPOOL",
    "UNPOOLS",
    "UPSAMPLE",
    "Unpool",
]

Select = Literal["channel", "pairs", "fixed", "predicted", "seed", "whole"]
Position = Literal["all", "max", "given", "region"]
SeedValue = Literal["activation", "one"]
Unpool = Literal["auto", "maxunpool", "scatter", "portable", "window"]
Target = Literal["cpu", "cuda", "openvino", "web", "tensorrt"]
Backward = Literal["same", "float32"]
Lowering = Literal["plain", "fast"]

SELECTS: tuple[str, ...] = get_args(Select)
POSITIONS: tuple[str, ...] = get_args(Position)
SEED_VALUES: tuple[str, ...] = get_args(SeedValue)
UNPOOLS: tuple[str, ...] = get_args(Unpool)
TARGETS: tuple[str, ...] = get_args(Target)
BACKWARDS: tuple[str, ...] = get_args(Backward)
LOWERINGS: tuple[str, ...] = get_args(Lowering)


SELECT = Option(
    "select", str, None, "the inputs that select the unit", choices=SELECTS,
    default_text="whole for inverse, else channel",
)  # fmt: skip
CHANNELS = Option("channels", int, (), "the channels to bake in by select 'fixed'", each="unit")
POSITION = Option(
    "position", str, None, "the position in the layer where the signal starts", choices=POSITIONS,
    default_text="max for deconvnet and for a class score with positions, else all",
)  # fmt: skip
SEED_VALUE = Option(
    "seed_value", str, None, "the value that the signal starts with", choices=SEED_VALUES,
    default_text="activation for deconvnet, inverse, LRP and excitation_backprop, else one",
)  # fmt: skip
NEGATE = Option(
    "negate", bool, False, "explain the evidence against the unit: the signal starts with the "
    "opposite sign",
)  # fmt: skip
ALL_INPUTS = "all"  # the value of `to` that stands for every float input
TO = Option(
    "to", str, None, f"the tensor to project back to, or {ALL_INPUTS} for every float input",
    default_text="the picture",
)  # fmt: skip
UNPOOL = Option("unpool", str, "auto", "the form of max-unpooling", choices=UNPOOLS)
TARGET = Option(
    "target", str, "cpu", "the runtime of the artefact, to which unpool 'auto' adapts (cpu and "
    "cuda are ONNX Runtime, web is onnxruntime-web)", choices=TARGETS,
)  # fmt: skip
LOWERING = Option(
    "lowering", str, "plain", "the operators of the backward pass: the textbook ones, or others of "
    "the same meaning that are fastest on the target", choices=LOWERINGS,
)  # fmt: skip
BACKWARD = Option(
    "backward", str, "same", "the precision of the backward pass and the attribution of a network "
    "in half precision", choices=BACKWARDS,
)  # fmt: skip
CHANNEL_AXIS = Option(
    "channel_axis", int, None, "the layer's channel axis",
    default_text="as the network tells, see `onnxplain layers`",
)  # fmt: skip
KEEP_OUTPUTS = Option("keep_outputs", bool, True, "keep the network's own outputs")
KEEP_SHAPE = Option("keep_shape", bool, False, "keep a fixed batch size fixed")

# The options of all methods.
GENERAL: Mapping[str, Option] = {
    option.name: option
    for option in (
        SELECT, CHANNELS, POSITION, SEED_VALUE, NEGATE, TO, UNPOOL, TARGET, LOWERING, BACKWARD,
        CHANNEL_AXIS, KEEP_OUTPUTS, KEEP_SHAPE,
    )
}  # fmt: skip

SCORE_LAYER = Option(
    "score_layer", str, None, "the layer whose unit is explained, while the map covers the chosen "
    "layer", default_text="the class score",
)  # fmt: skip
SCORE_CHANNEL_AXIS = Option(
    "score_channel_axis", int, None, "the channel axis of the layer whose unit is explained",
    default_text="as the network tells",
)  # fmt: skip
UPSAMPLE = Option("upsample", bool, True, "resize the map to the picture's height and width")
SAMPLES = Option(
    "samples", int, 50, "the number of noisy copies", bounds=(1, math.inf), most_exported=1000
)
NOISE_LEVEL = Option(
    "noise_level", float, 0.15, "the standard deviation of the noise, as a fraction of the input's "
    "range", bounds=(0, math.inf),
)  # fmt: skip
NOISE = Option(
    "noise", str, "input", "where the noise comes from: an artefact's own input, or drawn from the "
    "seed in the graph", choices=("input", "drawn"),
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
        SCORE_LAYER, SCORE_CHANNEL_AXIS, UPSAMPLE, SAMPLES, NOISE_LEVEL, NOISE, NOISE_SEED,
        STEPS,
        BASELINE, LOW, HIGH,
    )
}  # fmt: skip

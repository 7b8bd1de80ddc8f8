"""The preprocessing of pictures as a part of the model, which then takes 8-bit pixels."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import onnx

from onnxplain.engine.pictures.inputs import METADATA
from onnxplain.engine.pictures.network_input import Input, choose_picture_input, required_inputs
from onnxplain.engine.pictures.preprocess import Preprocess
from onnxplain.engine.pictures.presets import PRESETS, parse
from onnxplain.graphops import Network, bake_pixels, read_metadata
from onnxplain.graphops.errors import OptionError, UnsupportedModel

__all__ = ["bake_preprocess"]

BAKED = "onnxplain.baked_preprocess"


def bake_preprocess(model: onnx.ModelProto, preprocess: Preprocess | str) -> onnx.ModelProto:
    """Let an artefact take pictures as they are read, without their preprocessing.

    Args:
        model: an artefact, as `rewrite` returns it, or a network; it is not changed.
        preprocess: the preprocessing or its text, such as "imagenet" or "raw_bgr,mean=127". Its
            size and crop stay with the caller, since the graph resizes nothing.

    Returns:
        The model with the input `pixels`, uint8 [N, H, W, 3], RGB, of the network's own height and
        width. The attribution lies, as before, at the network's input, whose values are exactly
        those that `explain` computes. The metadata `onnxplain.baked_preprocess` holds the
        preprocessing, and `onnxplain.preprocess` what is left of it for the caller.

    Raises:
        OptionError: the preprocessing is invalid, or makes other channels or sizes than the input
            takes.
        UnsupportedModel: no input takes pictures of floats.
    """
    how = parse(preprocess) if isinstance(preprocess, str) else preprocess
    picture = _picture(model)
    if how.size and picture.size and how.size != picture.size:
        height, width = picture.size
        raise OptionError(
            f"the preprocessing makes pictures of {how.size[0]}x{how.size[1]}, and the input "
            f"'{picture.name}' takes {height}x{width}: leave the size out"
        )
    how = how if how.size else how.at(picture.size)
    every_level = np.arange(256, dtype=np.uint8)[:, None, None].repeat(3, axis=2)
    values = how.values(every_level)[:, :, 0]
    axis = picture.channel_axis + picture.batched
    baked = bake_pixels(model, picture.name, values, how.color, axis)
    raw = PRESETS["raw"]
    left = replace(how, color=raw.color, mean=raw.mean, std=raw.std, scale=raw.scale)
    # Every field, since a caller in another language does not know the defaults.
    steps = {BAKED: json.dumps(asdict(how)), METADATA: json.dumps(asdict(left))}
    metadata = read_metadata(baked) | steps
    onnx.helper.set_model_props(baked, metadata)
    return baked


def _picture(model: onnx.ModelProto) -> Input:
    """Return the input that takes the picture: of several, one that the explained layer needs."""
    network = Network(model)
    needed = network.inputs_of(read_metadata(model).get("onnxplain.layer"))
    picture = choose_picture_input(required_inputs(model, network.unbatched, needed))
    if len(picture.image_shape) != 3:
        raise UnsupportedModel(
            f"the input {picture} takes no pictures: leave the preprocessing out"
        )
    return picture

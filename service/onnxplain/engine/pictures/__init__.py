"""Reading pictures and preprocessing them into the network's input."""

from onnxplain.engine.pictures.baking import bake_preprocess
from onnxplain.engine.pictures.folder import folder_pictures, names_in
from onnxplain.engine.pictures.inputs import (
    Images,
    NamedInputs,
    PreparedInputs,
    prepare,
    prepare_named,
    stored_preprocess,
)
from onnxplain.engine.pictures.network_input import (
    Input,
    choose_picture_input,
    further_inputs,
    picture_input,
    required_inputs,
)
from onnxplain.engine.pictures.photographs import read_photographs
from onnxplain.engine.pictures.preprocess import Preprocess
from onnxplain.engine.pictures.presets import PRESETS, parse
from onnxplain.engine.pictures.read import (
    ARRAY_BYTES,
    FORMATS,
    Picture,
    is_array_file,
    read_arrays,
    read_picture,
    read_pictures,
    read_with_notes,
)

__all__ = [
    "ARRAY_BYTES",
    "FORMATS",
    "Images",
    "Input",
    "NamedInputs",
    "PRESETS",
    "Picture",
    "PreparedInputs",
    "Preprocess",
    "bake_preprocess",
    "choose_picture_input",
    "folder_pictures",
    "further_inputs",
    "is_array_file",
    "names_in",
    "parse",
    "picture_input",
    "prepare",
    "prepare_named",
    "read_arrays",
    "read_photographs",
    "read_picture",
    "read_pictures",
    "read_with_notes",
    "required_inputs",
    "stored_preprocess",
]

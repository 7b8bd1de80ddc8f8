"""Reading pictures and preprocessing them into the network's input."""

from onnxplain.engine.pictures.inputs import Images, Input, PreparedInputs, picture_input, prepare
from onnxplain.engine.pictures.preprocess import PRESETS, Preprocess, parse
from onnxplain.engine.pictures.read import Picture, read_picture, read_pictures

__all__ = [
    "Images",
    "Input",
    "PRESETS",
    "Picture",
    "PreparedInputs",
    "Preprocess",
    "parse",
    "picture_input",
    "prepare",
    "read_picture",
    "read_pictures",
]

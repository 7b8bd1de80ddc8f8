"""The values of --preprocess."""

import pytest

from onnxplain.cli.preprocessing import PREPROCESS_HELP
from onnxplain.engine import PRESETS, Preprocess
from onnxplain.engine.pictures import parse


def test_help_names_every_preset() -> None:
    assert all(name in PREPROCESS_HELP for name in PRESETS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("imagenet", PRESETS["imagenet"]),
        ("size=32", Preprocess(size=(32, 32))),
        ("size=24x32 color=gray", Preprocess(size=(24, 32), color="GRAY")),
        ("mean=1,2,3,std=4,5,6", Preprocess(mean=(1.0, 2.0, 3.0), std=(4.0, 5.0, 6.0))),
        ("mean=127;std=128;crop=center", Preprocess(mean=(127.0,), std=(128.0,), crop="center")),
        ("raw_bgr,scale=1/255", Preprocess(color="BGR", scale=1 / 255)),
    ],
)
def test_preprocess(text: str, expected: Preprocess) -> None:
    assert parse(text) == expected

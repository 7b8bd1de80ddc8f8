"""Classes by their names, as `--class` takes them."""

import pytest

from onnxplain.engine.class_names import class_index
from onnxplain.graphops.errors import OptionError

LABELS = [
    "tench, Tinca tinca",
    "crane",
    "Egyptian cat",
    "crane",
    "egyptian CAT",
    "tabby, tabby cat",
]


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("3", 3),
        ("281", 281),  # whether there is one is seen when it is explained
        ("Egyptian cat", 2),  # exactly, though another differs in its capitals only
        ("TENCH", 0),
        ("tench, tinca tinca", 0),
        ("tabby cat", 5),
    ],
)
def test_by_index_name_or_synonym(text, index):
    assert class_index(text, LABELS) == index


@pytest.mark.parametrize(
    ("text", "labels", "says"),
    [
        ("crane", LABELS, r"'crane' is ambiguous: give the index, 1 \('crane'\) or 3 \('crane'\)"),
        ("EGYPTIAN CAT", LABELS, r"ambiguous: .* 2 .* or 4"),
        ("tabbi", LABELS, r"no class 'tabbi' \(nearest: 'tabby, tabby cat'"),
        ("tabby", (), r"the names of the classes are not known"),
        ("-1", LABELS, r"no class '-1'"),
    ],
)
def test_what_cannot_be_told_apart_is_refused(text, labels, says):
    with pytest.raises(OptionError, match=says):
        class_index(text, labels)

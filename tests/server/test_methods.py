"""The methods and their options as the service has them, against their declarations."""

import re
from pathlib import Path

import pytest
from google.protobuf.descriptor import FieldDescriptor

from onnxplain.engine import METHODS
from onnxplain.graphops import Options, load, rewrite
from onnxplain.v1 import explain_pb2 as pb

TYPES = {
    int: FieldDescriptor.TYPE_INT64,
    float: FieldDescriptor.TYPE_DOUBLE,
    bool: FieldDescriptor.TYPE_BOOL,
    str: FieldDescriptor.TYPE_STRING,
}


def test_a_methods_options_are_those_of_the_library():
    declared = {option.name: option for method in METHODS.values() for option in method.takes}
    fields = pb.MethodOptions.DESCRIPTOR.fields_by_name
    assert set(fields) == set(declared)
    for name, field in fields.items():
        option = declared[name]
        assert field.is_repeated == bool(option.each and not option.input)
        assert field.type == (field.TYPE_MESSAGE if option.input else TYPES[option.type])


def test_a_methods_options_have_their_defaults_in_the_comments():
    text = (Path(pb.__file__).parent / "explain.proto").read_text()
    message = text.partition("message MethodOptions {")[2].partition("\n}")[0]
    defaults = {}
    for comment, name in re.findall(r"((?:  //.*\n)+)  [\w ]+ (\w+) = \d+;", message):
        words = " ".join(line.strip().removeprefix("// ") for line in comment.splitlines())
        defaults[name] = words.partition("Default: ")[2].removesuffix(".")
    declared = {option for method in METHODS.values() for option in method.takes}
    assert defaults == {option.name: option.shown_default for option in declared}


def test_list_methods(stub):
    listed = stub.ListMethods(pb.ListMethodsRequest()).methods
    assert [method.name for method in listed] == list(METHODS)
    by_name = {method.name: method for method in listed}
    assert [m.name for m in listed if not m.exportable] == [
        "occlusion", "rise", "activation_maximisation",
    ]  # fmt: skip
    assert by_name["deconvnet"].summary.startswith("the unit's activity carried back")
    steps, baseline = by_name["integrated_gradients"].options
    assert (steps.name, steps.type, steps.default) == ("steps", "int", "50")
    assert (steps.minimum, steps.maximum) == (1, 1000)
    assert (baseline.name, baseline.default) == ("baseline", "0")
    assert not baseline.HasField("minimum")
    start = by_name["activation_maximisation"].options[0]
    assert (start.default, list(start.choices)) == ("noise", ["noise", "picture"])


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("grad_cam", {"score_layer": "score", "upsample": False}),
        ("smoothgrad", {"samples": 3, "noise_level": 0.5, "noise_seed": 7}),
        ("integrated_gradients", {"steps": 5}),
        ("lrp_epsilon_gamma_box", {"low": (-1.0, -2.0, -3.0), "high": (4.0,)}),
    ],
)
def test_rewrite_takes_each_option(stub, folder, method, options):
    request = pb.RewriteRequest(
        model="models/classifier", layer="r" if method == "grad_cam" else None, method=method,
        method_options=pb.MethodOptions(**options),
    )  # fmt: skip
    data = b"".join(part.data for part in stub.Rewrite(request))
    model = load(folder / "classifier.onnx")
    expected = rewrite(model, request.layer or None, method, Options(**options))
    assert data == expected.SerializeToString()

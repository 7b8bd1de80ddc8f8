"""The names of the interface's calls: what is newer than its first version keeps buf's rules."""

import re
from collections import Counter
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from onnxplain.v1 import explain_pb2

PROTO = Path(__file__).parents[2] / "proto"
SERVICE = explain_pb2.DESCRIPTOR.services_by_name["ExplainService"]
RELAXED = {
    "RPC_REQUEST_RESPONSE_UNIQUE",
    "RPC_REQUEST_STANDARD_NAME",
    "RPC_RESPONSE_STANDARD_NAME",
}


def released():
    """Return the calls of the image that `buf breaking` compares with."""
    image = FileDescriptorSet.FromString((PROTO / "explain.binpb").read_bytes())
    services = [service for file in image.file for service in file.service]
    (service,) = (service for service in services if service.name == SERVICE.name)
    return {method.name for method in service.method}


def ignored():
    """Return the rules that comments switch off, by the call that they stand before."""
    text = (PROTO / "onnxplain/v1/explain.proto").read_text()
    found = {}
    for comments, call in re.findall(r"((?:^ *//.*\n)*) *rpc (\w+)\(", text, re.MULTILINE):
        if rules := set(re.findall(r"buf:lint:ignore (\w+)", comments)):
            found[call] = rules
    assert sum(map(len, found.values())) == text.count("buf:lint:")
    return found


def test_rules_are_off_for_released_calls_only():
    assert ignored().keys() <= released() <= {method.name for method in SERVICE.methods}
    assert set().union(*ignored().values()) == RELAXED


@pytest.mark.parametrize(
    "method",
    [method for method in SERVICE.methods if method.name not in released()],
    ids=lambda method: method.name,
)
def test_a_newer_calls_messages_are_its_own_and_named_after_it(method):
    assert method.input_type.name == f"{method.name}Request"
    assert method.output_type.name == f"{method.name}Response"
    uses = Counter(m for one in SERVICE.methods for m in (one.input_type, one.output_type))
    assert uses[method.input_type] == uses[method.output_type] == 1


def test_no_rule_is_off_for_the_whole_interface():
    lint = (PROTO / "buf.yaml").read_text()
    assert "- STANDARD" in lint
    assert not any(rule in lint for rule in RELAXED)
    assert re.findall(r"onnxplain/\S+", lint) == ["onnxplain/inference"]

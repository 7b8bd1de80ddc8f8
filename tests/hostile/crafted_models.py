"""Models made to do harm, each with the error that it must end in."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnxplain.graphops import errors

__all__ = ["CRAFTED", "MIB"]

MIB = 2**20
Make = Callable[[], "onnx.ModelProto | bytes"]


def net(body: str, constants: str = "", opset: int = 17) -> onnx.ModelProto:
    """Parse a network from a picture `x` to `y`."""
    return onnx.parser.parse_model(
        f"""<ir_version: 8, opset_import: ["": {opset}, "other": 1]>
        net (float[N, 3, 8, 8] x) => (float[N, 3, 8, 8] y) <{constants}> {{ {body} }}"""
    )


def asking(operator: str, constants: str) -> Make:
    """Return a network that computes a huge tensor `k`, and adds its mean to the picture."""
    return lambda: net(
        f"k = {operator} t = ReduceMean <keepdims = 1> (k) y = Add (x, t)", constants
    )


def conv(change: Callable[[onnx.ModelProto], object] = lambda model: None) -> Make:
    """Return a changed network of one convolution."""

    def make() -> onnx.ModelProto:
        model = net("c = Conv <pads = [1, 1, 1, 1]> (x, w) y = Relu (c)")
        weight = numpy_helper.from_array(np.ones((3, 3, 3, 3), np.float32), "w")
        model.graph.initializer.append(weight)
        change(model)
        return model

    return make


def repeated(step: str, count: int, constants: str = "", first: str = "a0 = Relu (x)") -> Make:
    """Return a network of many like steps from {a} to {b}."""
    names = [f"a{i}" for i in range(count + 1)]
    steps = (step.format(a=a, b=b) for a, b in zip(names, names[1:], strict=False))
    body = f"{first} {' '.join(steps)} y = Identity (a{count})"
    return lambda: net(body, constants)


def million_nodes() -> bytes:
    more = onnx.ModelProto()
    more.graph.node.add(op_type="Relu", input=["x"], output=["z"])
    return conv()().SerializeToString() + 1_000_000 * more.SerializeToString()


def nested(depth: int) -> bytes:
    """Return a graph in a graph, deeper than any message may be nested."""
    graph = _field(2, b"g")
    for _ in range(depth):
        attribute = _field(1, b"then_branch") + _field(6, graph)
        graph = _field(1, _field(4, b"If") + _field(5, attribute))
    return b"\x08\x08" + _field(7, graph) + _field(8, b"\x10\x11")


def _field(number: int, data: bytes) -> bytes:
    length, size = len(data), b""
    while length > 127:
        size, length = size + bytes([length & 127 | 128]), length >> 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + data


def function(name: str, *called: str) -> onnx.FunctionProto:
    """Return a function that calls others, one after the other."""
    names = ["a", *(f"t{i}" for i in range(len(called) - 1)), "b"]
    nodes = [
        helper.make_node(operator, [source], [target], domain="other" if operator[0] == "F" else "")
        for operator, source, target in zip(called, names, names[1:], strict=False)
    ]
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("other", 1)]
    return helper.make_function("other", name, ["a"], ["b"], nodes, imports)


def calling(*functions: onnx.FunctionProto) -> Make:
    def change(model: onnx.ModelProto) -> None:
        model.functions.extend(functions)
        model.graph.node[1].op_type, model.graph.node[1].domain = functions[0].name, "other"

    return conv(change)


def in_domain(domain: str, operator: str, **attributes: object) -> Make:
    def change(model: onnx.ModelProto) -> None:
        node = model.graph.node[1]
        node.domain, node.op_type = domain, operator
        node.attribute.extend(helper.make_attribute(k, v) for k, v in attributes.items())
        model.opset_import.add(domain=domain, version=1)

    return conv(change)


def weight(**fields: object) -> Make:
    """Return a network whose weight has other fields."""

    def change(model: onnx.ModelProto) -> None:
        tensor = model.graph.initializer[0]
        for name, value in fields.items():
            if name == "dims":
                tensor.dims[:] = value
            else:
                setattr(tensor, name, value)

    return conv(change)


def attribute(**fields: object) -> Make:
    return conv(lambda model: model.graph.node[0].attribute.extend(
        helper.make_attribute(name, value) for name, value in fields.items()
    ))  # fmt: skip


def renamed(model: onnx.ModelProto) -> None:
    model.graph.node[0].output[0] = model.graph.node[1].input[0] = "n" * MIB


def deep_type(model: onnx.ModelProto) -> None:
    kind = model.graph.input.add(name="deep").type
    for _ in range(45):
        kind = kind.sequence_type.elem_type
    kind.tensor_type.elem_type = 1


def too_wide(model: onnx.ModelProto) -> None:
    model.graph.node[1].op_type = "Concat"
    model.graph.node[1].input[:] = ["c"] * 100_000
    model.graph.node[1].attribute.add(name="axis", type=onnx.AttributeProto.INT, i=1)


def undefined_reference(model: onnx.ModelProto) -> None:
    kind = onnx.AttributeProto.INTS
    model.graph.node[0].attribute.add(name="strides", ref_attr_name="s", type=kind)


def at_an_address(model: onnx.ModelProto) -> None:
    """Have the weight lie in memory, as ONNX Runtime marks it for itself."""
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    places = {"location": "*/_ORT_MEM_ADDR_/*", "offset": "140000000000000", "length": "324"}
    for key, value in places.items():
        tensor.external_data.add(key=key, value=value)


HUGE = "int64[4] s = {1, 100000, 100000, 100}"
Corrupt, Unsafe, Unsupported = errors.CorruptModel, errors.UnsafeModel, errors.UnsupportedModel
UnsupportedOperator = errors.UnsupportedOperator
SUM = "t = ReduceMean <keepdims = 1> (k) y = Add (x, t)"  # makes use of `k`

# The error that reading or explaining must end in; None for models that do no harm.
CRAFTED: dict[str, tuple[type[errors.OnnxplainError] | None, Make]] = {
    "ConstantOfShape of 4 TB, alone": (Unsupported, lambda: onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 17]> g () => (float[a] y) '
        "<int64[1] s = {1000000000000}> { y = ConstantOfShape (s) }")),
    "ConstantOfShape of 4 TB": (Unsupported, asking("ConstantOfShape (s)", HUGE)),
    "ConstantOfShape of 8 GB": (errors.OutOfMemory, asking(
        "ConstantOfShape (s)", "int64[4] s = {1, 1, 40000, 50000}")),
    "Expand to 4 TB": (Unsupported, asking("Expand (o, s)", f"float[1] o = {{1}}, {HUGE}")),
    "Tile to 4 TB": (Unsupported, asking("Tile (x, s)", HUGE)),
    "Resize to 8 TB": (Unsupported, asking("Resize (x, , s)", "float[4] s = {1, 1, 99999, 99999}")),
    "Pad to 4 TB": (Unsupported, asking(
        "Pad (x, s)", "int64[8] s = {0, 0, 1000000, 1000000, 0, 0, 1000000, 1000000}")),
    "Range of 8 TB": (Unsupported, lambda: net(
        "i = Range (a, b, c) k = Cast <to = 1> (i) " + SUM,
        "int64 a = {0}, int64 b = {1000000000000}, int64 c = {1}")),
    "OneHot of 8 TB": (Unsupported, asking(
        "OneHot (i, d, v)", "int64[1] i = {0}, int64 d = {1000000000000}, float[2] v = {0, 1}")),
    "RandomNormal of 4 TB": (Unsupported, asking(
        "RandomNormal <shape = [1000000, 1000000]> ()", "")),
    "a size computed by 62 doublings": (Unsupported, lambda: net(
        " ".join(f"s{i + 1} = Add (s{i}, s{i})" for i in range(62))
        + " k = ConstantOfShape (s62) " + SUM,
        "int64[1] s0 = {1}")),
    "a tensor joined to itself 60 times": (Unsupported, repeated(
        "{b} = Concat <axis = 1> ({a}, {a})", 60)),
    "a list joined to itself 40 times": (Unsupported, lambda: net(
        " ".join(f"s{i + 1} = Concat <axis = 0> (s{i}, s{i})" for i in range(40))
        + " k = Reshape (x, s40) y = Add (x, k)", "int64[1] s0 = {1}")),
    "a size by 2 to the 60 ways": (None, lambda: net(
        "d = Shape (x) s0 = Mul (d, z) "
        + " ".join(f"s{i + 1} = Add (s{i}, s{i})" for i in range(60))
        + " k = Reshape (x, s60) y = Add (x, k)", "int64[4] z = {0, 0, 0, 0}")),
    "a picture split and joined 40 times": (None, repeated(
        "{b}p, {b}q = Split <axis = 1> ({a}, s) {b} = Concat <axis = 1> ({b}q, {b}p)", 40,
        "int64[2] s = {1, 2}")),
    "a million nodes": (Unsupported, million_nodes),
    "a node of 100,000 inputs": (Unsupported, conv(too_wide)),
    "graphs nested 2000 deep": (Corrupt, lambda: nested(2000)),
    "types nested 45 deep": (Unsupported, conv(deep_type)),
    "a chain of 3000 Concats": (Unsupported, repeated("{b} = Concat <axis = 1> ({a})", 3000)),
    "a name of 1 MB": (Unsupported, conv(renamed)),
    "a function that calls itself": (Corrupt, calling(function("F", "F"))),
    "functions that call each other": (Corrupt, calling(function("F", "FG"), function("FG", "F"))),
    "functions that double 30 times": (Unsupported, calling(
        *(function(f"F{i}", *2 * [f"F{i + 1}"]) for i in range(30)), function("F30", "Relu"))),
    "functions 1000 deep": (Corrupt, calling(
        *(function(f"F{i}", f"F{i + 1}") for i in range(1000)), function("F1000", "Relu"))),
    "a reference to no function's attribute": (Corrupt, conv(undefined_reference)),
    "two tensors of one name": (Corrupt, lambda: net("c = Relu (x) c = Neg (x) y = Neg (c)")),
    "two weights of one name": (Corrupt, conv(
        lambda model: model.graph.initializer.append(model.graph.initializer[0]))),
    "two nodes of one name": (None, conv(
        lambda model: [setattr(node, "name", "same") for node in model.graph.node])),
    "a cycle": (Corrupt, lambda: net("a = Add (x, c) b = Relu (a) c = Neg (b) y = Relu (c)")),
    "no output": (Unsupported, conv(lambda model: model.graph.ClearField("output"))),
    "an output that is not computed": (Corrupt, lambda: net("c = Relu (x)")),
    "an operator of a custom domain": (UnsupportedOperator, in_domain("evil", "Relu")),
    "a custom operator on the way": (UnsupportedOperator, lambda: net(
        "c = other.F (x) y = Relu (c)")),
    "EPContext": (Unsafe, in_domain(
        "com.microsoft", "EPContext", ep_cache_context="/etc/passwd", embed_mode=0)),
    "session options": (None, conv(lambda model: helper.set_model_props(
        model, {"ort_config": '{"session_options": {"enable_profiling": 1}}'}))),
    "opset 2**63 - 1": (Unsupported, conv(
        lambda model: setattr(model.opset_import[0], "version", 2**63 - 1))),
    "an opset below zero": (Unsupported, conv(
        lambda model: setattr(model.opset_import[0], "version", -1))),
    "an IR version from the future": (Corrupt, conv(
        lambda model: setattr(model, "ir_version", 2**63 - 1))),
    "a weight of 40 GB in a small file": (Corrupt, weight(dims=[2**20, 2**10, 3, 3])),
    "a weight without values": (Corrupt, weight(raw_data=b"")),
    "a weight of too few values": (Corrupt, weight(raw_data=bytes(4))),
    "a weight of too many values": (Corrupt, weight(raw_data=bytes(5000))),
    "a weight of a negative size": (Corrupt, weight(dims=[-3, 3, 3, 3])),
    "a weight whose size overflows": (Corrupt, weight(dims=[2**32, 2**32, 2**32, 1])),
    "a weight of an unknown type": (Corrupt, weight(data_type=77)),
    "a weight of no type": (Corrupt, weight(data_type=0)),
    "a weight at an address": (Unsafe, conv(at_an_address)),
    "a declared size of 2**60": (None, conv(lambda model: model.graph.value_info.append(
        helper.make_tensor_value_info("c", 1, [2**60, 2, 2, 2])))),
    "an input of 2**62 pixels": (Unsupported, lambda: onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 17]> '
        "n (float[1, 3, 2147483648, 2147483648] x) => (float[1, 3, a, b] y) { y = Relu (x) }")),
    "an input of a negative size before a Slice": (None, lambda: onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 17]> n (float[1, 3, -2, 8] x) => (float[1, 3, a, b] y) '
        "<int64[1] a = {0}, int64[1] e = {2}, int64[1] w = {2}> "
        "{ r = Relu (x) s = Slice (r, a, e, w) y = Neg (s) }")),
    "a window larger than the picture before a Slice": (Unsupported, lambda: net(
        "p = MaxPool <kernel_shape = [10, 10]> (x) k = Slice (p, a, e, w) " + SUM,
        "int64[1] a = {0}, int64[1] e = {2}, int64[1] w = {2}")),
    "pads of 2**62": (Corrupt, attribute(pads=[2**62] * 4)),
    "pads of 2**40": (Corrupt, attribute(pads=[2**40] * 4)),
    "dilations of zero": (Corrupt, attribute(dilations=[0, 0])),
    "a group below zero": (Unsupported, attribute(group=-3)),
    "an attribute of another type": (Corrupt, attribute(strides="hello")),
    "indices out of range": (Unsupported, lambda: net(
        "k = Gather <axis = 1> (x, i) y = Add (k, x)", "int64[3] i = {0, 1, 2147483648}")),
    "weights that are not numbers": (None, weight(
        raw_data=np.full((3, 3, 3, 3), np.nan, np.float32).tobytes())),
    "bytes that are cut off": (Corrupt, lambda: conv()().SerializeToString()[:-200]),
    "random bytes": (Corrupt, lambda: np.random.default_rng(0).bytes(5000)),
    "text": (Corrupt, lambda: b"#!/bin/sh\nrm -rf /\n" * 100),
    "nothing": (Corrupt, lambda: b""),
}  # fmt: skip

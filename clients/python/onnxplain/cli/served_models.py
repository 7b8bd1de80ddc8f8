"""What a server says of its models and methods, in the classes that this machine's own are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnxplain.graphops import Layer, Report
    from onnxplain.server import ServedModel, Value
    from onnxplain.v1 import explain_pb2 as pb

__all__ = ["layer_of", "model_of", "report_of"]


def model_of(message: pb.Model) -> ServedModel:
    """Return the version of a model that a message of the service describes."""
    from onnxplain.server import ServedModel, Value

    def values(infos: Any) -> tuple[Value, ...]:
        return tuple(Value(one.name, one.data_type, _shape(one.shape)) for one in infos)

    return ServedModel(
        name=message.name,
        size_bytes=message.size_bytes,
        opset=message.opset,
        inputs=values(message.inputs),
        outputs=values(message.outputs),
        metadata=dict(message.metadata),
        problem=message.problem,
    )


def layer_of(message: pb.Layer) -> Layer:
    """Return the layer that a message of the service describes."""
    from onnxplain.graphops import Arithmetic, Layer

    def by_axis(field: str) -> tuple[int | None, ...] | None:
        return tuple(_optional(axis, field) for axis in message.receptive_field) or None

    return Layer(
        tensor=message.tensor,
        node=message.node,
        operator=message.operator,
        module=message.module,
        shape=_shape(message.shape) or None,
        dtype=message.data_type,
        channel_axis=_optional(message, "channel_axis"),
        channel_axis_assumed=message.channel_axis_assumed,
        spatial_axes=tuple(message.spatial_axes),
        channels=_optional(message, "channels"),
        receptive_field=by_axis("size"),
        stride=by_axis("stride"),
        offset=by_axis("offset"),
        arithmetic=Arithmetic(
            kernel=tuple(message.kernel) or None,
            step=tuple(message.step) or None,
            padding=tuple(message.padding) or None,
            parameters=message.parameters,
            multiply_adds=_optional(message, "multiply_adds"),
        ),
        marks=tuple(message.marks),
        output=message.output,
        output_offset=_optional(message, "output_offset"),
    )


def report_of(message: pb.CheckResponse) -> Report:
    """Return the preflight report that a message of the service holds."""
    from onnxplain.graphops import NodeReport, Report

    return Report(
        layer=message.layer,
        method=message.method,
        to=message.to,
        opset=message.opset,
        batch=message.batch,
        batch_note=message.batch_note,
        nodes=tuple(
            NodeReport(
                node=node.node,
                operator=node.operator,
                tensor=node.tensor,
                rule=node.rule,
                unpool=node.unpool or None,
                note=node.note,
                lowering=node.lowering,
            )
            for node in message.nodes
        ),
        explainable_from=message.explainable_from or None,
        warnings=tuple(message.warnings),
        ok=message.ok,
        problem=message.problem,
        quantity=message.quantity,
        other_outputs=tuple(message.other_outputs),
    )


def _shape(dimensions: Any) -> tuple[int | str | None, ...]:
    return tuple(d.name or _optional(d, "size") for d in dimensions)


def _optional(message: Any, field: str) -> Any:
    """Return a field's value, None where it is not set."""
    return getattr(message, field) if message.HasField(field) else None

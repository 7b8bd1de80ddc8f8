"""Results converted to response messages, large ones in pieces."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from onnxplain.engine import Explanation, Preprocess
from onnxplain.graphops import Layer, Method, Option, Report
from onnxplain.graphops.metadata import SOURCE_MODEL
from onnxplain.server.worker.models import ServedModel, Value
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import tensors

__all__ = [
    "check_response",
    "explain_parts",
    "explain_response",
    "layer_message",
    "method_message",
    "model_message",
    "rewrite_parts",
]

SEED_VALUES = {"one": pb.SEED_VALUE_ONE, "activation": pb.SEED_VALUE_ACTIVATION}


def model_message(model: ServedModel) -> pb.Model:
    """Return a served model as a message."""
    return pb.Model(
        name=model.name,
        size_bytes=model.size_bytes,
        opset=model.opset,
        inputs=[_value(v) for v in model.inputs],
        outputs=[_value(v) for v in model.outputs],
        metadata=model.metadata,
        problem=model.problem,
        source_model=model.metadata.get(SOURCE_MODEL, ""),
    )


def method_message(method: Method) -> pb.MethodInfo:
    """Return a method as a message."""
    return pb.MethodInfo(
        name=method.name,
        summary=method.summary,
        exportable=method.exportable,
        options=[_option_message(option) for option in method.takes],
    )


def _option_message(option: Option) -> pb.OptionInfo:
    least, most = option.bounds
    return pb.OptionInfo(
        name=option.name,
        type=option.type.__name__,
        default=option.shown_default,
        minimum=least if math.isfinite(least) else None,
        maximum=most if math.isfinite(most) else None,
        choices=option.choices,
        help=option.help,
    )


def layer_message(layer: Layer) -> pb.Layer:
    """Return a layer as a message."""
    return pb.Layer(
        tensor=layer.tensor,
        node=layer.node,
        operator=layer.operator,
        module=layer.module,
        shape=_dimensions(layer.shape or ()),
        data_type=layer.dtype,
        channel_axis=layer.channel_axis,
        channel_axis_assumed=layer.channel_axis_assumed,
        spatial_axes=layer.spatial_axes,
        channels=layer.channels,
        marks=layer.marks,
        kernel=layer.arithmetic.kernel or (),
        step=layer.arithmetic.step or (),
        padding=layer.arithmetic.padding or (),
        parameters=layer.arithmetic.parameters,
        multiply_adds=layer.arithmetic.multiply_adds,
        output=layer.output,
        output_offset=layer.output_offset,
        receptive_field=[
            pb.ReceptiveField(size=size, stride=stride, offset=offset)
            for size, stride, offset in zip(
                layer.receptive_field or (), layer.stride or (), layer.offset or (), strict=True
            )
        ],
    )


def check_response(report: Report) -> pb.CheckResponse:
    """Return a preflight's report as a message."""
    return pb.CheckResponse(
        ok=report.ok,
        problem=report.problem,
        layer=report.layer,
        method=report.method,
        to=report.to,
        opset=report.opset,
        batch=report.batch,
        batch_note=report.batch_note,
        nodes=[
            pb.NodeReport(
                node=node.node,
                operator=node.operator,
                tensor=node.tensor,
                rule=node.rule,
                unpool=node.unpool or "",
                note=node.note,
                lowering=node.lowering,
            )
            for node in report.nodes
        ],
        explainable_from=report.explainable_from or "",
        warnings=report.warnings,
        quantity=report.quantity,
        other_outputs=report.other_outputs,
    )


def rewrite_parts(data: bytes) -> Iterator[pb.RewriteResponse]:
    """Yield a model's bytes in messages of at most 1 MiB, the first with the size and hash."""
    for start in range(0, len(data), tensors.MAX_PART_BYTES):
        message = pb.RewriteResponse(data=data[start : start + tensors.MAX_PART_BYTES])
        if start == 0:
            message.size = len(data)
            message.sha256 = hashlib.sha256(data).hexdigest()
        yield message


def explain_response(model: str, result: Explanation, pictures: bool) -> pb.ExplainResponse:
    """Return a whole explanation as one message."""
    position, error = result.position, result.completeness_error
    probability = result.probability
    return pb.ExplainResponse(
        model=model,
        layer=result.layer,
        method=result.method,
        to=result.to,
        labels=result.labels,
        notes=result.notes,
        preprocess=_preprocess_message(result.preprocess),
        attribution=tensors.from_array(result.attribution),
        score=tensors.from_array(result.score),
        channels=tensors.from_array(result.channels),
        position=None if position is None else tensors.from_array(position),
        box=None if result.box is None else tensors.from_array(result.box),
        pictures=[tensors.from_array(picture) for picture in result.pictures if pictures],
        completeness_error=None if error is None else tensors.from_array(error),
        seed_value=SEED_VALUES[result.seed_value],
        probability=None if probability is None else tensors.from_array(probability),
        others=[
            pb.NamedTensor(name=name, values=part)
            for name, values in result.others.items()
            for part in tensors.split(values)
        ],
    )


def explain_parts(
    model: str, pieces: Iterable[Explanation], pictures: bool, total: Callable[[], int]
) -> Iterator[pb.ExplainUnitsResponse]:
    """Yield the pieces that `Engine.explain_units` yields as messages.

    total: returns the number of attributions, which is known once there is a piece.
    """
    sent_notes: set[str] = set()
    image, unit = -1, 0
    for piece in pieces:
        if image < 0:
            yield pb.ExplainUnitsResponse(header=_header(model, piece, total()))
        for note in piece.notes:
            if note not in sent_notes:
                sent_notes.add(note)
                yield pb.ExplainUnitsResponse(note=note)
        if piece.first_image != image:
            image, unit = piece.first_image, 0
            for picture in piece.pictures if pictures else ():
                for part in tensors.split(picture):
                    message = pb.PicturePart(image=image, pixels=part)
                    yield pb.ExplainUnitsResponse(picture=message)
        for i in range(piece.channels.shape[1]):
            facts = _unit_facts(piece, i, unit)
            for part in tensors.split(piece.attribution[0, i]):
                yield pb.ExplainUnitsResponse(unit=pb.UnitPart(attribution=part, **facts))
            for name, values in piece.others.items():
                for part in tensors.split(values[0, i]):
                    named = pb.NamedTensor(name=name, values=part)
                    yield pb.ExplainUnitsResponse(unit=pb.UnitPart(others=[named], **facts))
            unit += 1


def _unit_facts(piece: Explanation, index: int, unit: int) -> dict[str, Any]:
    """Return the fields of a unit's messages besides its attributions.

    index: of the unit in the piece. unit: among all units of the image.
    """
    errors, probabilities = piece.completeness_error, piece.probability
    return {
        "image": piece.first_image,
        "unit": unit,
        "channel": int(piece.channels[0, index]),
        "score": float(piece.score[0, index]),
        "position": () if piece.position is None else piece.position[0, index].tolist(),
        "box": () if piece.box is None else piece.box[0, index].tolist(),
        "completeness_error": None if errors is None else float(errors[0, index]),
        "probability": None if probabilities is None else float(probabilities[0, index]),
    }


def _header(model: str, piece: Explanation, total: int) -> pb.ExplainHeader:
    return pb.ExplainHeader(
        model=model,
        layer=piece.layer,
        method=piece.method,
        to=piece.to,
        labels=piece.labels,
        preprocess=_preprocess_message(piece.preprocess),
        total=total,
        seed_value=SEED_VALUES[piece.seed_value],
    )


def _preprocess_message(used: Preprocess | None) -> pb.Preprocess | None:
    if used is None:
        return None
    height, width = used.size or (0, 0)
    return pb.Preprocess(
        height=height,
        width=width,
        crop=used.crop,
        color=used.color,
        mean=used.mean,
        std=used.std,
        scale=used.scale,
        resize=used.resize,
        interpolation=used.interpolation,
    )


def _value(value: Value) -> pb.TensorInfo:
    return pb.TensorInfo(name=value.name, data_type=value.dtype, shape=_dimensions(value.shape))


def _dimensions(shape: Sequence[int | str | None]) -> list[pb.Dimension]:
    return [
        pb.Dimension(size=d) if isinstance(d, int) else pb.Dimension(name=d or None) for d in shape
    ]

"""The outputs of select `predicted`: the class that the network predicts, and its probability."""

from __future__ import annotations

from onnxplain.graphops.analysis import ClassScore
from onnxplain.graphops.backward import Unit, Walk, channel_values, column
from onnxplain.graphops.errors import OptionError
from onnxplain.graphops.ir import Tensor, shape_of
from onnxplain.graphops.layer_and_target import Ends

__all__ = ["prediction"]


def prediction(walk: Walk, ends: Ends) -> list[Tensor]:
    """Append `class` int64[N] and, behind a Softmax or Sigmoid, `probability` [N]; return them.

    The probability is the network's own, at the position where the signal starts; there is none
    where it starts at several.
    """
    if walk.channel is None or ends.score is None:
        raise OptionError("select 'predicted' explains the class score: leave the layer out")
    op, interface = walk.op, walk.interface
    with op.scoped("prediction"):
        probability = _probability(walk, ends, ends.score, walk.channel)
    outputs = [interface.output(op, "class", walk.channel, [interface.results])]
    if probability is not None:
        outputs.append(interface.output(op, "probability", probability, [interface.results]))
    return outputs


def _probability(walk: Walk, ends: Ends, score: ClassScore, channel: Tensor) -> Tensor | None:
    op, position = walk.op, walk.seed.position
    if score.quantity != "probability" or (score.has_positions and position is None):
        return None
    values = _with_batch(walk, _probabilities(walk, ends, score))
    of_class = op.widened(channel_values(op, values, ends.axis or 1, Unit(channel)))
    if position is not None:
        return op.GatherND(of_class, position, batch_dims=1)
    return op.Reshape(of_class, [-1])


def _probabilities(walk: Walk, ends: Ends, score: ClassScore) -> Tensor:
    """Return the network's probabilities of all classes."""
    if score.normalized:
        return walk.graph.tensors()[score.normalized]
    # The network computes them where the batch axis is lost already.
    if "Sigmoid" in score.stepped_over[-1:]:
        values = walk.op.Sigmoid(ends.layer)
    else:
        values = walk.op.Softmax(ends.layer, axis=ends.axis or 1)
    values.shape = ends.layer.shape
    return values


def _with_batch(walk: Walk, values: Tensor) -> Tensor:
    """Return values with a batch axis, and with a channel axis where there is one per image."""
    op, shape = walk.op, list(shape_of(values))
    if walk.lacks_batch(values):
        batched = op.raw("Unsqueeze", values, [0])
        batched.shape = [1, *shape]
        return batched
    return column(op, values) if len(shape) == 1 else values

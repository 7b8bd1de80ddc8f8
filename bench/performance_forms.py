"""The forms of lowering `fast`, each against the plain one: the measurements behind its choices.

Each operator stands between two depthwise convolutions, which keep its maps in ONNX Runtime's
blocked layout, as their neighbours in a network would.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime as ort
from performance_table import Table
from performance_timing import THREADS, geometric_mean, seconds_of_each

from onnxplain.graphops import Options, rewrite

__all__ = ["forms"]

ROUNDS = 11


@dataclass(frozen=True)
class Case:
    """An operator on maps [N, channels, side, side]; `text` computes y from a.

    outputs: the channels of y. weight: the shape of w, if the text reads it.
    """

    name: str
    channels: int
    side: int
    text: str
    outputs: int = 0
    weight: tuple[int, ...] = (1,)

    def model(self) -> onnx.ModelProto:
        """Return the operator between two depthwise convolutions."""
        outputs = self.outputs or self.channels
        declared = {
            "k": (self.channels, 1, 1, 1), "w": self.weight, "l": (outputs, 1, 1, 1),
            "scale": (self.channels,), "shift": (self.channels,), "mean": (self.channels,),
            "variance": (self.channels,),
        }  # fmt: skip
        read = {name: shape for name, shape in declared.items() if name in self.words()}
        said = ", ".join(f"float{list(shape)} {name}" for name, shape in read.items())
        model = onnx.parser.parse_model(
            f"""<ir_version: 8, opset_import: ["": 17]>
            net (float[N, {self.channels}, {self.side}, {self.side}] x, {said}) => (float[N] z)
            {{ a = Conv <group = {self.channels}> (x, k) {self.text}
               z = Conv <group = {outputs}> (y, l) }}"""
        )
        model.graph.output[0].type.tensor_type.ClearField("shape")
        rng = np.random.default_rng(0)
        for value in model.graph.input[1:]:
            shape = read[value.name]
            numbers = np.abs(rng.normal(size=shape)) / np.sqrt(np.prod(shape[1:]))
            model.graph.initializer.append(
                onnx.numpy_helper.from_array(numbers.astype(np.float32), value.name)
            )
        del model.graph.input[1:]
        return model

    def words(self) -> set[str]:
        """Return the names that the text may read, with those of the convolutions around it."""
        return {"k", "l", *self.text.replace(",", " ").replace(")", " ").replace("(", " ").split()}


def convolution(
    name: str, inputs: int, outputs: int, side: int, kernel: int, stride: int = 1, group: int = 1
) -> Case:
    """Return a convolution with the padding that keeps the side, or divides it by the stride."""
    pads = ", ".join([str(kernel // 2)] * 4)
    attrs = f"group = {group}, strides = [{stride}, {stride}], pads = [{pads}]"
    weight = (outputs, inputs // group, kernel, kernel)
    return Case(name, inputs, side, f"y = Conv <{attrs}> (a, w)", outputs, weight)


def max_pool(channels: int, side: int, kernel: int, stride: int, pad: int) -> Case:
    pads = ", ".join([str(pad)] * 4)
    size = f"kernel_shape = [{kernel}, {kernel}], strides = [{stride}, {stride}]"
    text = f"r = Relu (a) y = MaxPool <{size}, pads = [{pads}]> (r)"
    return Case(f"max-pool {kernel}×{kernel}, stride {stride}", channels, side, text)


CASES = (
    convolution("convolution 3×3", 64, 64, 56, 3),
    convolution("convolution 3×3", 512, 512, 7, 3),
    convolution("convolution 1×1", 64, 256, 56, 1),
    convolution("convolution 1×1", 512, 2048, 7, 1),
    convolution("convolution 3×3, stride 2", 128, 128, 56, 3, 2),
    convolution("convolution 3×3, stride 2", 512, 512, 14, 3, 2),
    convolution("convolution 1×1, stride 2", 256, 512, 56, 1, 2),
    convolution("depthwise convolution 3×3", 144, 144, 56, 3, group=144),
    convolution("depthwise convolution 7×7", 96, 96, 56, 7, group=96),
    convolution("depthwise convolution 3×3, stride 2", 96, 96, 112, 3, 2, group=96),
    convolution("depthwise convolution 5×5, stride 2", 144, 144, 56, 5, 2, group=144),
    Case("ReLU", 64, 112, "y = Relu (a)"),
    Case("ReLU6", 96, 112, "lo = Constant <value_float = 0.0> () "
         "hi = Constant <value_float = 6.0> () y = Clip (a, lo, hi)"),
    Case("SiLU", 96, 112, "s = Sigmoid (a) y = Mul (a, s)"),
    Case("BatchNormalization and ReLU", 256, 56,
         "b = BatchNormalization (a, scale, shift, mean, variance) y = Relu (b)"),
    Case("squeeze-and-excitation", 96, 56,
         "m = GlobalAveragePool (a) s = Sigmoid (m) y = Mul (a, s)"),
    max_pool(256, 28, 3, 1, 1),
    max_pool(64, 112, 3, 2, 1),
    max_pool(64, 112, 2, 2, 0),
    Case("average pool 2×2, stride 2", 128, 56,
         "y = AveragePool <kernel_shape = [2, 2], strides = [2, 2]> (a)"),
)  # fmt: skip


def forms(table: Table, nets: Sequence[str]) -> None:
    """Time the artefact of each operator in both forms; they have one result."""
    table.head("operator", "maps", "plain", "fast", "plain / fast", words=2)
    gains = []
    for case in CASES:
        times = _times(case)
        gains.append(times["plain"] / times["fast"])
        table.row(
            case.name,
            f"{case.channels} × {case.side}²",
            *(f"{1000 * times[form]:.2f} ms" for form in ("plain", "fast")),
            f"{gains[-1]:.2f}",
        )
    table.say("", "Both columns hold the operator's forward pass too, and that of its neighbours.")
    table.at_least(1, min(gains), "plain / fast of an operator, at worst", " ×")
    table.say(f"Geometric mean: {geometric_mean(gains):.2f}.")


def _times(case: Case) -> dict[str, float]:
    model = case.model()
    x = np.random.default_rng(1).standard_normal((1, case.channels, case.side, case.side))
    feeds, runs, found = {"x": x.astype(np.float32)}, {}, {}
    for form in ("plain", "fast"):
        options = Options(select="seed", to="a", lowering=form, keep_outputs=False)
        session = _session(rewrite(model, "z", "gradient", options))
        seed = next(i.shape for i in session.get_inputs() if i.name == "seed")
        feeds["seed"] = np.ones([1, *seed[1:]], np.float32)
        (found[form],) = session.run(["attribution"], feeds)
        runs[form] = lambda session=session: session.run(["attribution"], feeds)
    np.testing.assert_allclose(found["fast"], found["plain"], rtol=1e-3, atol=1e-4)
    return seconds_of_each(runs, ROUNDS)


def _session(model: onnx.ModelProto) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.log_severity_level = 3
    return ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])

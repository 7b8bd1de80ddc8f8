"""How long rewriting takes: a ResNet-50, and graphs of 1,000 to 16,000 nodes with a linear fit.

Usage: `python bench/rewriting.py`, or `make bench-rewriting`. Writes docs/rewriting.md. Rewriting
runs on one thread, so its CPU time is its wall time on an idle machine.
"""

from __future__ import annotations

import gc
import os
import platform
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from statistics import median

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnxplain.graphops import METHODS, Options, rewrite

PAGE = Path(__file__).parents[1] / "docs" / "rewriting.md"
FLOAT = onnx.TensorProto.FLOAT
SIZES = (1000, 2000, 4000, 8000, 16000)
RUNS = 5


def main() -> None:
    lines = []
    for line in measured():
        print(line, flush=True)
        lines.append(line)
    PAGE.write_text("\n".join([*INTRODUCTION, "", *lines]) + "\n")


def measured() -> Iterator[str]:
    """Measure, and yield the page line by line."""
    model = resnet50()
    megabytes = model.ByteSize() / 1e6
    packages = ", ".join(f"{name} {version(name)}" for name in ("onnx", "onnx-graphsurgeon"))
    yield f"Python {platform.python_version()}, {packages}; {_processor()}, {os.cpu_count()} cores"
    yield f"at a load average of {os.getloadavg()[0]:.1f} before the start. Medians of {RUNS} runs."
    yield ""
    yield "| network | nodes | method | CPU time (s) | wall time (s) |"
    yield "|---|---:|---|---:|---:|"
    for method in METHODS:
        nodes = len(model.graph.node)
        yield f"| ResNet-50, {megabytes:.0f} MB | {nodes} | {method} | {_cells(model, method)[1]} |"
    sizes, medians = [], []
    for size in SIZES:
        model = mixed(size)
        seconds, cells = _cells(model, "gradient")
        sizes.append(len(model.graph.node))
        medians.append(seconds)
        yield f"| mixed | {sizes[-1]} | gradient | {cells} |"
    slope, start = np.polyfit(sizes, medians, 1)
    exponent, _ = np.polyfit(np.log(sizes), np.log(medians), 1)
    yield ""
    yield (
        f"Linear fit of the CPU time: {start:.2f} s + {slope * 1e3:.2f} s per 1,000 nodes, "
        f"or {start + slope * 14000:.1f} s for 14,000 nodes."
    )
    yield (
        f"On logarithmic axes the slope is {exponent:.2f}: the time grows with that power of the "
        "number of nodes."
    )


def _cells(model: onnx.ModelProto, method: str) -> tuple[float, str]:
    """Return the median CPU time of several runs, and the table's cells."""
    bounds = any(option.name == "low" for option in METHODS[method].takes)
    options = Options(low=(-2.2,), high=(2.7,)) if bounds else Options()
    processor, clock = [], []
    for _ in range(RUNS + 1):
        gc.collect()
        time.sleep(0.05)
        before = time.process_time(), time.perf_counter()
        rewrite(model, method=method, options=options)
        processor.append(time.process_time() - before[0])
        clock.append(time.perf_counter() - before[1])
    seconds = median(processor[1:])  # without the first run, which imports and fills caches
    return seconds, f"{seconds:.2f} | {median(clock[1:]):.2f}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next(line.partition(": ")[2] for line in lines if line.startswith("model name"))


INTRODUCTION = """# How long rewriting takes

`make bench-rewriting` writes this page. The *mixed* networks alternate a convolutional block
(BatchNormalization, Relu, Concat, a residual Add) with a block on tokens (LayerNormalization,
MatMul, Transpose, Reshape); their shapes are computed by Shape, Gather and Concat, as PyTorch's
exporter writes them. Rewriting runs on one thread.
""".splitlines()


class Net:
    """A network of one input and random weights, built node by node as exporters write it."""

    def __init__(self, shape: list[str | int]) -> None:
        self.input = helper.make_tensor_value_info("image", FLOAT, shape)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._random = np.random.default_rng(0)

    def __call__(self, op_type: str, *inputs: str, **attrs: object) -> str:
        name = f"{op_type}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, inputs, [f"{name}_output"], name, **attrs))
        return f"{name}_output"

    def weight(self, *shape: int) -> str:
        """Add a weight; it is positive, so that it can serve as a variance too."""
        values = self._random.random(shape, np.float32) / np.float32(np.prod(shape[1:]))
        self.weights.append(numpy_helper.from_array(values, f"weight_{len(self.weights)}"))
        return self.weights[-1].name

    def ints(self, *values: int) -> str:
        """Add a Constant node, as PyTorch's exporter does for each number in shape arithmetic."""
        return self("Constant", value=helper.make_tensor("value", 7, [len(values)], values))

    def conv(self, x: str, inputs: int, outputs: int, kernel: int = 1, stride: int = 1) -> str:
        """Add a convolution and its BatchNormalization."""
        y = self(
            "Conv",
            x,
            self.weight(outputs, inputs, kernel, kernel),
            kernel_shape=[kernel] * 2,
            strides=[stride] * 2,
            pads=[kernel // 2] * 4,
        )
        return self("BatchNormalization", y, *(self.weight(outputs) for _ in range(4)))

    def model(self, output: str, shape: list[str | int]) -> onnx.ModelProto:
        """Return the network that ends at `output`."""
        end = helper.make_tensor_value_info(output, FLOAT, shape)
        graph = helper.make_graph(self.nodes, "net", [self.input], [end], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        onnx.checker.check_model(model)
        return model


def resnet50() -> onnx.ModelProto:
    """ResNet-50 (He et al. 2016) with its BatchNormalizations."""
    net = Net(["N", 3, 224, 224])
    x = net("Relu", net.conv("image", 3, 64, 7, 2))
    x = net("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    inputs = 64
    for width, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for block in range(blocks):
            step = 1 if block else stride
            y = net("Relu", net.conv(x, inputs, width))
            y = net("Relu", net.conv(y, width, width, 3, step))
            y = net.conv(y, width, 4 * width)
            shortcut = x if block else net.conv(x, inputs, 4 * width, 1, step)
            x = net("Relu", net("Add", y, shortcut))
            inputs = 4 * width
    x = net("Flatten", net("GlobalAveragePool", x))
    scores = net("Gemm", x, net.weight(1000, inputs), net.weight(1000), transB=1)
    return net.model(scores, ["N", 1000])


def mixed(size: int) -> onnx.ModelProto:
    """Convolutional and token-wise blocks in turn, with shape arithmetic as PyTorch writes it."""
    net = Net(["N", 16, 8, 8])
    x = "image"
    while len(net.nodes) < size - 30:
        y = net("Relu", net.conv(x, 16, 16, 3))
        y = net("Concat", net.conv(y, 16, 8), net.conv(y, 16, 8), axis=1)
        x = net("Relu", net("Add", x, y))
        tokens = net("Transpose", net("Reshape", x, _sizes(net, x, 2, -1)), perm=[0, 2, 1])
        y = net("LayerNormalization", tokens, net.weight(16), net.weight(16), axis=-1)
        y = net("Add", net("MatMul", y, net.weight(16, 16)), net.weight(16))
        y = net("Transpose", net("Add", tokens, y), perm=[0, 2, 1])
        x = net("Reshape", y, _sizes(net, x, 2, 8, 8))
    while len(net.nodes) < size - 3:
        x = net("Relu", x)
    x = net("Flatten", net("GlobalAveragePool", x))
    return net.model(net("Gemm", x, net.weight(16, 10)), ["N", 10])


def _sizes(net: Net, x: str, kept: int, *rest: int) -> str:
    """Return the first `kept` sizes of x, then `rest`, by Shape, Gather, Unsqueeze and Concat."""
    sizes = [net("Gather", net("Shape", x), net.ints(i), axis=0) for i in range(kept)]
    return net("Concat", *sizes, *(net.ints(r) for r in rest), axis=0)


if __name__ == "__main__":
    main()

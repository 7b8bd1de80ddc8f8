"""What holds of a network whatever exported it: its layers by name, its maps, its own outputs."""

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import onnx
import torch
from artefacts import artefact, images, run, session, weights
from oracle import project, relative_error
from torch import nn

from onnxplain.graphops import layers

METHODS = ("gradient", "deconvnet", "guided_backprop")
INPUTS = 5


def as_it_is(array):
    return array


@dataclass
class Twin:
    """The PyTorch net that an exported one must equal, and how to get from its arrays to that's.

    `size` is of the images; `to_file` and `to_torch` reorder an array that has positions, such as
    NCHW to NHWC and back, for the input and the layers named in `reordered`.
    """

    net: nn.Module
    size: tuple[int, int]
    channels: int = 3
    rows: int = 2
    to_file: Callable = as_it_is
    to_torch: Callable = as_it_is
    reordered: tuple[str, ...] = ()
    cases: dict = field(default_factory=dict)

    def feed(self, seed):
        return images(self.rows, self.size, self.channels, seed=seed)

    def values(self, x):
        """Return what each module gives of x, [rows, channels, height, width]."""
        seen = {}
        handles = [
            module.register_forward_hook(lambda m, i, y, name=name: seen.update({name: y.numpy()}))
            for name, module in self.net.named_modules()
        ]
        with torch.no_grad():
            self.net(torch.from_numpy(x))
        for handle in handles:
            handle.remove()
        return seen

    def signals(self, module, method):
        """Return for each input: x, a random cotangent, the exact signal, float32's error."""
        if (module, method) not in self.cases:
            self.cases[module, method] = [self._signal(module, method, s) for s in range(INPUTS)]
        return self.cases[module, method]

    def _signal(self, module, method, seed):
        x = self.feed(seed)
        y = self.values(x)[module]
        cotangent = np.random.default_rng(seed).standard_normal(y.shape).astype(np.float32)
        exact, single = (
            project(
                self.net,
                module,
                torch.from_numpy(x).to(dtype),
                lambda y: torch.from_numpy(cotangent).to(y.dtype),
                method,
            ).numpy()
            for dtype in (torch.float64, torch.float32)
        )
        return x, cotangent, exact, relative_error(single, exact)


def twin_of(model, net, size, **kwargs):
    """Return the net with the file's weights: both list them in the same order.

    What a MatMul multiplies with is the Linear's weight, transposed, and perhaps with all the axes
    that are flattened before it; a bias that is added may have axes of size 1.
    """
    given = [w for w in weights(model).values() if w.ndim and w.dtype.kind == "f"]
    state = {k: v for k, v in net.state_dict().items() if "num_batches" not in k}
    for (key, value), weight in zip(state.items(), given, strict=True):
        if value.ndim == 2:
            weight = weight.reshape(-1, weight.shape[-1])
            weight = weight if weight.shape == tuple(value.shape) else weight.T
        state[key] = torch.from_numpy(weight.reshape(value.shape).copy())
    net.load_state_dict(state, strict=False)
    return Twin(net.eval(), size, **kwargs)


def check_projections(model, twin, named, methods=METHODS, **options):
    """Compare with autograd, within the design's bound, from layers to the input.

    `named`: for each layer by the name that people know it by, the twin's module.
    """
    name = network_input(model).name
    for layer, module in named.items():
        for method in methods:
            opened = session(artefact(model, layer, method, select="seed", **options))
            errors, bounds = [], []
            for x, cotangent, exact, error_of_float32 in twin.signals(module, method):
                seed = twin.to_file(cotangent) if layer in twin.reordered else cotangent
                found = run(opened, **{name: twin.to_file(x), "seed": seed})["attribution"]
                errors.append(relative_error(twin.to_torch(found), exact))
                bounds.append(error_of_float32)
            assert np.median(errors) <= max(1e-4, 3 * np.median(bounds)), (layer, method)


def check_layers(model, twin, named):
    """Compare the values of layers, by the tensors that `layers` says bear their modules' names.

    `named`: the twin's modules, each found as the last layer at its path or below.
    """
    tensors = {}
    for layer in layers(model):
        scopes = layer.module.split(".")
        for depth in range(1, len(scopes) + 1):
            tensors[".".join(scopes[:depth])] = layer
    given = network_input(model)
    x = twin.feed(0)[: given.type.tensor_type.shape.dim[0].dim_value or None]
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    del whole.graph.output[:]
    for module in named:
        assert module in tensors, f"{module} is none of {sorted(tensors)}"
    for tensor in {tensors[module].tensor for module in named}:
        whole.graph.output.append(onnx.helper.make_empty_tensor_value_info(tensor))
    found, expected = run(whole, **{given.name: twin.to_file(x)}), twin.values(x)
    for module in named:
        got = found[tensors[module].tensor]
        assert relative_error(got.reshape(expected[module].shape), expected[module]) < 1e-5, module


def check_outputs(model, layer, twin, **options):
    """Compare the artefact's outputs that are the network's with the network's as it was."""
    made = artefact(model, layer, "gradient", **options)
    added = {i.name for i in made.graph.input} - {i.name for i in model.graph.input}
    assert added == {"channel"}
    given = network_input(model)
    dtype = onnx.helper.tensor_dtype_to_np_dtype(given.type.tensor_type.elem_type)
    rows = given.type.tensor_type.shape.dim[0].dim_value or twin.rows
    x = twin.to_file(twin.feed(0))[:rows].astype(dtype)
    channel = np.zeros(rows, np.int64)
    for optimized in (False, True):  # float16 is compared after ONNX Runtime's own casts
        before = run(model, optimized, **{given.name: x})
        after = run(made, optimized, **{given.name: x, "channel": channel})
        for name, expected in before.items():
            assert after[name].dtype == expected.dtype == dtype
            if dtype == np.float16:
                assert relative_error(after[name], expected) <= 1e-3
            elif optimized:
                assert relative_error(after[name], expected) <= 1e-5
            else:
                np.testing.assert_array_equal(after[name], expected)


def in_float16(model):
    """Return the model in half precision, its numbers too large for that at its largest."""
    half = onnx.ModelProto()
    half.CopyFrom(model)
    for tensor in half.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            bounded = np.clip(onnx.numpy_helper.to_array(tensor), -65504, 65504)
            tensor.CopyFrom(onnx.numpy_helper.from_array(bounded.astype(np.float16), tensor.name))
    for value in [*half.graph.input, *half.graph.output]:
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT:
            value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    for node in half.graph.node:
        for attribute in node.attribute:
            if (node.op_type, attribute.i) == ("Cast", onnx.TensorProto.FLOAT):
                attribute.i = onnx.TensorProto.FLOAT16
    return half


def network_input(model):
    """Return the one input that is no initialiser."""
    (given,) = [i for i in model.graph.input if i.name not in weights(model)]
    return given


def torch_export(net, image, names=("x",), **kwargs):
    """Return what PyTorch's exporter writes; what it warns of itself is not our concern.

    image: of several inputs, a tuple, whose names are in `names`.
    """
    inputs = image if isinstance(image, tuple) else (image,)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        return torch.onnx.export(net, inputs, input_names=list(names), output_names=["y"], **kwargs)


def export_by(exporter, net, inputs, names=("x",), free=True):
    """Return a model of opset 18 by one of PyTorch's exporters, "torchscript" or "dynamo".

    free: whether axis 0 of the inputs is a free batch.
    """
    dynamic = torch.export.Dim.DYNAMIC
    if exporter == "dynamo":
        shapes = tuple({0: dynamic} for _ in names) if free else None
        program = torch_export(
            net, inputs, names, dynamo=True, opset_version=18, dynamic_shapes=shapes, verbose=False
        )
        return program.model_proto
    axes = {name: {0: "N"} for name in (*names, "y")} if free else None
    file = io.BytesIO()
    torch_export(net, inputs, names, f=file, dynamo=False, opset_version=18, dynamic_axes=axes)
    return onnx.load_from_string(file.getvalue())

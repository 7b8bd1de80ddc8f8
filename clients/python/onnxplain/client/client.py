"""The client of the gRPC service, one method per thing that the service can do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self, cast

import grpc
from grpc import StatusCode

from onnxplain.client.errors import ClientError, plain_errors
from onnxplain.client.requests import (
    Images,
    Position,
    Preprocess,
    Units,
    enum,
    explain_request,
    fitting,
    model_name,
    options_of_method,
    pictures,
    preprocessing,
)
from onnxplain.client.results import Result, gather, whole_file, without_progress
from onnxplain.client.views import ServedView, gather_view, view_request
from onnxplain.v1 import explain_pb2 as pb
from onnxplain.v1 import explain_pb2_grpc

__all__ = ["Client"]


class Client:
    """A connection to an onnxplain service. Use it in a `with` block, or close it.

    address: HOST:PORT. timeout: seconds that each call may take, None for as long as it takes.

    Models are named as the service lists them, `squeezenet` or `squeezenet/versions/2`, with or
    without `models/` in front. Every method raises ClientError.
    """

    def __init__(self, address: str, *, timeout: float | None = None) -> None:
        if not re.search(r":\d+$|^unix:", address):
            raise ClientError(
                StatusCode.INVALID_ARGUMENT,
                f"'{address}' is not the address of a service: write HOST:PORT",
                "OptionError",
            )
        self._address = address
        self._timeout = timeout
        # gRPC would send even calls to this machine through a proxy that the environment names.
        local = re.match(r"localhost:|127\.|\[::1\]", address) is not None
        self._channel = grpc.insecure_channel(
            address, [("grpc.enable_http_proxy", 0)] if local else []
        )
        self._stub = explain_pb2_grpc.ExplainServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def list_models(self) -> list[pb.Model]:
        """Return every version of every model; one that cannot be used says why in `problem`."""
        return list(self._answer(self._stub.ListModels, pb.ListModelsRequest()).models)

    def model(self, name: str) -> pb.Model:
        """Return one version of a model, the newest if `name` says none."""
        request = pb.GetModelRequest(name=model_name(name))
        return cast(pb.Model, self._answer(self._stub.GetModel, request))

    def layers(self, name: str, size: Sequence[int] = ()) -> list[pb.Layer]:
        """Return the layers of a model, in the order in which they are computed.

        size: the picture's height and width, where the model leaves them free.
        """
        with fitting():
            request = pb.ListLayersRequest(model=model_name(name), size=size)
        return list(self._answer(self._stub.ListLayers, request).layers)

    def methods(self) -> list[pb.MethodInfo]:
        """Return the methods that `explain` takes, each with its own options."""
        return list(self._answer(self._stub.ListMethods, pb.ListMethodsRequest()).methods)

    def check(
        self,
        name: str,
        layer: str | None = None,
        method: str = "deconvnet",
        *,
        to: str | None = None,
        unpool: str | None = None,
        channel_axis: int | None = None,
        keep_shape: bool = False,
        target: str | None = None,
        score_layer: str | None = None,
    ) -> pb.CheckResponse:
        """Return whether a layer can be explained, and by which rule at each node."""
        request = pb.CheckRequest(
            model=model_name(name),
            layer=layer or "",
            method=method,
            to=to or "",
            unpool=enum("unpool", pb.Unpool.Value, unpool),
            channel_axis=channel_axis,
            keep_shape=keep_shape,
            target=enum("target", pb.Target.Value, target),
            method_options=options_of_method({"score_layer": score_layer}),
        )
        return cast(pb.CheckResponse, self._answer(self._stub.Check, request))

    def rewrite(
        self,
        name: str,
        layer: str | None = None,
        method: str = "deconvnet",
        *,
        select: str | None = None,
        channels: Sequence[int] = (),
        position: str | None = None,
        seed_value: str | None = None,
        to: str | None = None,
        unpool: str | None = None,
        channel_axis: int | None = None,
        keep_outputs: bool = True,
        keep_shape: bool = False,
        target: str | None = None,
        backward: str | None = None,
        **method_options: Any,
    ) -> bytes:
        """Return the ONNX file of a model that explains one of its layers by itself.

        The options are those of `onnxplain rewrite`, and of single methods those that `methods`
        lists, such as `samples=25`; None is the default of the method.
        """
        request = pb.RewriteRequest(
            model=model_name(name),
            layer=layer or "",
            method=method,
            select=enum("select", pb.Select.Value, select),
            channels=channels,
            position=enum("position", pb.Position.Value, position),
            seed_value=enum("seed_value", pb.SeedValue.Value, seed_value),
            to=to or "",
            unpool=enum("unpool", pb.Unpool.Value, unpool),
            channel_axis=channel_axis,
            keep_outputs=keep_outputs,
            keep_shape=keep_shape,
            target=enum("target", pb.Target.Value, target),
            backward=enum("backward", pb.Backward.Value, backward),
            method_options=options_of_method(method_options),
        )
        with self._streaming(self._stub.Rewrite, request) as stream:
            return whole_file(stream)

    def explain(
        self,
        name: str,
        images: Images,
        layer: str | None = None,
        method: str = "deconvnet",
        units: Units = None,
        *,
        position: Position = None,
        seed_value: str | None = None,
        to: str | None = None,
        unpool: str | None = None,
        channel_axis: int | None = None,
        preprocess: Preprocess = None,
        labels: Sequence[str] | None = None,
        pictures: bool = False,
        progress: Callable[[int, int], None] | None = None,
        passes: Callable[[int, int], None] | None = None,
        **method_options: Any,
    ) -> Result:
        """Project units of a layer back to the pixels of each image.

        images: one or several paths, bytes of files or uint8 arrays [H, W, 3]; or one float array
            [N, ...], taken as already preprocessed.
        layer: a tensor, node or module path; None is the class score.
        units: None for the strongest, "top:K" for the K strongest, "all", channel numbers, or
            "whole" for the layer as one.
        position: "all", "max", or int64 [images, units, spatial rank], or one position for all.
        preprocess: as the command line has it, such as "unit" or "raw_bgr,size=224x224", or a
            mapping of size, crop, color, mean, std and scale.
        labels: class names by channel. pictures: have the pictures as the network saw them back.
        progress: called with the projections that have come, and their total. passes: with the
            runs done of those under way, and their total, by methods that take many.
        method_options: the options of single methods, such as `samples=25`, see `methods`.

        What is None takes the default of the method or the model.
        """
        request = explain_request(
            name,
            images,
            layer=layer,
            method=method,
            units=units,
            position=position,
            seed_value=seed_value,
            to=to,
            unpool=unpool,
            channel_axis=channel_axis,
            preprocess=preprocess,
            labels=labels,
            return_pictures=pictures,
            method_options=method_options,
        )
        with self._streaming(self._stub.ExplainUnits, request) as stream:
            return gather(stream, progress, passes)

    def view(
        self,
        name: str,
        images: Images,
        view: str,
        *,
        preprocess: Preprocess = None,
        labels: Sequence[str] | None = None,
        progress: Callable[[int, int], None] | None = None,
        passes: Callable[[int, int], None] | None = None,
        **options: Any,
    ) -> ServedView:
        """Have the service draw one of its views, and return the drawing and its arrays.

        images: one picture or, for "maps" and "top", several: paths, bytes of files or uint8 arrays
            [H, W, 3].
        view: the name of a field of ViewRequest's `view` in explain.proto, such as "occlusion".
        options: the fields of the view's message, such as `layer="mixed"`, `channels=[7, 44]` and
            `count=5` for "top". `units` are written as in `explain`, `size` stands for `height` and
            `width`, and a view with `method_options` takes the options of its methods as they are.

        preprocess, labels, progress and passes are as in `explain`.
        """
        request = view_request(name, images, view, preprocess, labels, options)
        with self._streaming(self._stub.View, request) as stream:
            return gather_view(stream, progress, passes)

    def evaluate(
        self,
        name: str,
        images: Images,
        methods: Sequence[str] = (),
        *,
        masks: Images | None = None,
        randomize: int = 0,
        preprocess: Preprocess = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[pb.MethodEvaluation]:
        """Return how true the maps of each image's predicted class are, method by method.

        methods: none for all that explain a class. masks: one for each image, light where the class
        is. randomize: how many of the images the randomisation check takes. progress: called with
        the steps done, and their total.
        """
        with fitting():
            request = pb.EvaluateRequest(
                model=model_name(name),
                images=pictures(images),
                masks=None if masks is None else pictures(masks),
                methods=methods,
                randomize=randomize,
                **preprocessing(preprocess),
            )
        with self._streaming(self._stub.Evaluate, request) as stream:
            return [part.method for part in without_progress(stream, progress)]

    def convolutionalize(self, name: str, size: tuple[int, int] | None = None) -> bytes:
        """Return the ONNX file of a classifier that takes larger pictures, window by window.

        size: the window's height and width, where the model leaves them free.
        """
        height, width = size or (0, 0)
        request = pb.ConvolutionalizeRequest(model=model_name(name), height=height, width=width)
        with self._streaming(self._stub.Convolutionalize, request) as stream:
            return whole_file(stream)

    def _answer(self, call: Any, request: Any) -> Any:
        """Return the one message that a call answers with."""
        with plain_errors(self._address, self._timeout):
            return call(request, self._timeout)

    @contextmanager
    def _streaming(self, call: Any, request: Any) -> Iterator[Any]:
        """Yield the messages of a call, which ends with the block, be it by an error or Ctrl-C."""
        with plain_errors(self._address, self._timeout):
            stream = call(request, self._timeout)
            try:
                yield stream
            finally:
                stream.cancel()  # of no effect where all has come

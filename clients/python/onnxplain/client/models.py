"""The calls that inspect or rewrite a model, and take no pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from onnxplain.client.connection import Connection
from onnxplain.client.files import whole_file
from onnxplain.client.requests import model_name, options_of_method, request_of
from onnxplain.v1 import explain_pb2 as pb

__all__ = ["ModelCalls", "rewrite_request"]

PAGE = 100  # models in a response, whose metadata may hold a thousand names of classes


class ModelCalls(Connection):
    """The calls of a client that inspect or rewrite a model."""

    async def list_models(self) -> list[pb.Model]:
        """Return every version of every model; `problem` is why one cannot be used."""
        models: list[pb.Model] = []
        request = pb.ListModelsRequest(page_size=PAGE)
        while True:
            page = await self._unary("ListModels", request)
            models += page.models
            if not page.next_page_token:
                return models
            request.page_token = page.next_page_token

    async def model(self, name: str) -> pb.Model:
        """Return one version of a model.

        Args:
            name: the model, in its newest version if it names none.

        Returns:
            Its inputs, outputs, opset, size and metadata.

        Raises:
            ClientError: no such model, or the call fails.
        """
        request = pb.GetModelRequest(name=model_name(name))
        return cast(pb.Model, await self._unary("GetModel", request))

    async def layers(self, name: str, size: Sequence[int] = ()) -> list[pb.Layer]:
        """Return the layers of a model, in the order in which they are computed.

        Args:
            name: the model.
            size: the picture's height and width in pixels, if the model leaves them free.

        Returns:
            One message per floating-point tensor.

        Raises:
            ClientError: no such model, a size that does not fit it, or the call fails.
        """
        request = request_of(pb.ListLayersRequest, name, size=size)
        return list((await self._unary("ListLayers", request)).layers)

    async def methods(self) -> list[pb.MethodInfo]:
        """Return the methods that `explain` takes, each with its own options."""
        return list((await self._unary("ListMethods", pb.ListMethodsRequest())).methods)

    async def check(
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
        lowering: str | None = None,
        score_layer: str | None = None,
        score_channel_axis: int | None = None,
    ) -> pb.CheckResponse:
        """Report whether a layer can be explained, without running the network.

        Args:
            name: the model.
            layer: a tensor, node or module path; None for the class score.
            method: a name that `methods` lists.
            to: the tensor to project back to; None for the picture.
            unpool: the form of max-unpooling; None for "auto".
            channel_axis: the layer's channel axis, if the default is wrong.
            keep_shape: leave a fixed batch fixed.
            target: the runtime that an artefact would be for; None for "cpu".
            lowering: the operators that an artefact would have, "plain" or "fast"; None for
                "plain".
            score_layer: of class activation maps, the layer whose unit is explained.
            score_channel_axis: that layer's channel axis, if the default is wrong.

        Returns:
            Whether and why not, and the rule for each node on the path.

        Raises:
            ClientError: an argument is wrong, the model cannot be read, or the call fails.
        """
        request = request_of(
            pb.CheckRequest,
            name,
            layer=layer,
            method=method,
            to=to,
            unpool=unpool,
            channel_axis=channel_axis,
            keep_shape=keep_shape,
            target=target,
            lowering=lowering,
            method_options=options_of_method(
                {"score_layer": score_layer, "score_channel_axis": score_channel_axis}
            ),
        )
        return cast(pb.CheckResponse, await self._unary("Check", request))

    async def rewrite(
        self,
        /,
        name: str,
        layer: str | None = None,
        method: str = "deconvnet",
        *,
        select: str | None = None,
        channels: Sequence[int] = (),
        position: str | None = None,
        seed_value: str | None = None,
        negate: bool = False,
        to: str | None = None,
        unpool: str | None = None,
        channel_axis: int | None = None,
        keep_outputs: bool = True,
        keep_shape: bool = False,
        target: str | None = None,
        lowering: str | None = None,
        backward: str | None = None,
        bake_preprocess: str | None = None,
        **method_options: Any,
    ) -> bytes:
        """Rewrite a model into one ONNX file that also computes the explanation of a layer.

        Args:
            name: the model.
            layer: a tensor, node or module path; None for the class score.
            method: a name that `methods` lists as exportable.
            select: which inputs name the unit: "channel", "pairs", "fixed", "predicted", "seed" or
                "whole".
            channels: the channels that select "fixed" bakes in.
            position: where the signal starts: "all", "max" or "given".
            seed_value: the value that the signal starts with: "activation" or "one".
            negate: start with the opposite sign, for the evidence against the unit.
            to: the tensor to project back to; None for the picture.
            unpool: the form of max-unpooling; None for "auto".
            channel_axis: the layer's channel axis, if the default is wrong.
            keep_outputs: keep the network's own outputs.
            keep_shape: leave a fixed batch fixed.
            target: the runtime that the file is for; None for "cpu".
            lowering: the operators of the backward pass: "plain", or "fast" for those that are
                fastest on the target; None for "plain".
            backward: the backward pass's precision in half-precision networks: "same" or "float32".
            bake_preprocess: the preprocessing, such as "imagenet" or "raw_bgr,mean=127", of a file
                that takes 8-bit pictures [N, H, W, 3]; None: it takes the network's input.
            **method_options: the method's own options, such as `samples=25`.

        Returns:
            The bytes of the ONNX file.

        Raises:
            ClientError: an argument is wrong, the layer cannot be explained, or the call fails.
            TypeError: no method takes an option.
        """
        request = rewrite_request(
            name,
            layer=layer,
            method=method,
            select=select,
            channels=channels,
            position=position,
            seed_value=seed_value,
            negate=negate,
            to=to,
            unpool=unpool,
            channel_axis=channel_axis,
            keep_outputs=keep_outputs,
            keep_shape=keep_shape,
            target=target,
            lowering=lowering,
            backward=backward,
            bake_preprocess=bake_preprocess,
            **method_options,
        )
        return await self._file("Rewrite", request)

    async def convolutionalize(self, name: str, size: tuple[int, int] | None = None) -> bytes:
        """Rewrite a classifier into a sliding window over larger pictures.

        Args:
            name: the model.
            size: the window's height and width in pixels, if the model leaves them free.

        Returns:
            The bytes of the ONNX file.

        Raises:
            ClientError: the model is not such a classifier, or the call fails.
        """
        height, width = size or (0, 0)
        request = request_of(pb.ConvolutionalizeRequest, name, height=height, width=width)
        return await self._file("Convolutionalize", request)

    async def _file(self, call: str, request: Any) -> bytes:
        parts: list[pb.RewriteResponse] = []
        await self._stream(call, request, parts.append)
        return whole_file(parts)


def rewrite_request(name: str, **options: Any) -> pb.RewriteRequest:
    """Return the request of Rewrite.

    options: its fields; those that are none belong to the method. Raises ClientError, TypeError.
    """
    known = pb.RewriteRequest.DESCRIPTOR.fields_by_name
    fields = {field: options.pop(field) for field in tuple(options) if field in known}
    own = options_of_method(options)
    return request_of(pb.RewriteRequest, name, method_options=own, **fields)

"""The calls that take pictures: explain, view and evaluate."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from onnxplain.client.labels import Labels, label_names
from onnxplain.client.models import ModelCalls
from onnxplain.client.requests import (
    Images,
    Position,
    Preprocess,
    Region,
    Units,
    arrays_of,
    evaluate_request,
    explain_request,
)
from onnxplain.client.results import EvaluationParts, Result, ResultParts, ServedEvaluations
from onnxplain.client.views import ServedView, ViewParts, view_request

__all__ = ["ExplanationCalls"]


class ExplanationCalls(ModelCalls):
    """The calls of a client that take pictures."""

    async def explain(
        self,
        /,
        name: str,
        images: Images,
        layer: str | None = None,
        method: str = "deconvnet",
        units: Units = None,
        *,
        position: Position = None,
        region: Region = None,
        seed_value: str | None = None,
        negate: bool = False,
        to: str | None = None,
        inputs: Mapping[str, Images] | None = None,
        unpool: str | None = None,
        channel_axis: int | None = None,
        preprocess: Preprocess = None,
        labels: Labels | None = None,
        pictures: bool = False,
        progress: Callable[[int, int], None] | None = None,
        passes: Callable[[int, int], None] | None = None,
        **method_options: Any,
    ) -> Result:
        """Project units of a layer back to the pixels of each image.

        Args:
            name: the model.
            images: one or several paths, bytes of files or uint8 arrays [H, W, 3]; or arrays of
                preprocessed network inputs, with a batch axis or without, or .npy files of them.
            layer: a tensor, node or module path; None for the class score.
            method: a name that `methods` lists.
            units: None for the strongest, "top:K" for the K strongest, "all", channel numbers, or
                "whole" for the layer as one.
            position: "all", "max", or int64 [images, units, spatial rank], or one position for all;
                None for the method's default.
            region: the weights of the layer's positions, in place of a position: float [...spatial]
                or [images, ...spatial]; or a uint8 mask of the picture's size; or a .npy file.
            seed_value: the value that the signal starts with, "activation" or "one"; None for the
                method's default.
            negate: start with the opposite sign, for the evidence against the unit.
            to: the tensor to project back to, "all" for every float input; None for the picture.
            inputs: the values of the network's further inputs by name, given as images are.
            unpool: the form of max-unpooling; None for "auto".
            channel_axis: the layer's channel axis, if the default is wrong.
            preprocess: as on the command line, such as "unit" or "raw_bgr,size=224x224", or a
                mapping of size, crop, color, mean, std and scale; None for the model's own.
            labels: class names by channel, a list or a text file of one name a line.
            pictures: also return the pictures as the network sees them.
            progress: called with the projections received, and their total.
            passes: called with the runs done of the current projection, and their total, by methods
                that take many.
            **method_options: the method's own options, such as `samples=25`.

        Returns:
            The attributions, float32 [images, units, ...shape of `to`], with scores and channels.

        Raises:
            ClientError: an argument is wrong, the layer cannot be explained, or the call fails.
            TypeError: no method takes an option.
        """
        images, inputs = await self._unpacked(name, images, inputs)
        request = explain_request(
            name,
            images,
            layer=layer,
            method=method,
            units=units,
            position=position,
            region=region,
            inputs=inputs,
            seed_value=seed_value,
            negate=negate,
            to=to,
            unpool=unpool,
            channel_axis=channel_axis,
            preprocess=preprocess,
            labels=label_names(labels),
            return_pictures=pictures,
            method_options=method_options,
        )
        parts = ResultParts(progress, passes)
        await self._stream("ExplainUnits", request, parts.add)
        return parts.result()

    async def _unpacked(
        self, name: str, images: Images, inputs: Mapping[str, Images] | None
    ) -> tuple[Images, Mapping[str, Images] | None]:
        """Return the arrays of a .npz file of several inputs by their names."""
        if isinstance(images, list) and len(images) == 1:
            (images,) = images
        if not isinstance(images, str | os.PathLike) or not str(images).endswith(".npz"):
            return images, inputs
        arrays = arrays_of(images)
        if len(arrays) < 2:
            return images, inputs
        model = await self.model(name)
        known = [one.name for one in model.inputs if one.name in arrays]
        wide = [one for one in known if arrays[one].dtype.kind == "f" and arrays[one].ndim >= 3]
        picture = next(iter([*wide, *known, *arrays]))
        further = {one: values for one, values in arrays.items() if one != picture}
        return arrays[picture], {**further, **(inputs or {})}

    async def view(
        self,
        /,
        name: str,
        images: Images,
        view: str,
        *,
        preprocess: Preprocess = None,
        labels: Labels | None = None,
        progress: Callable[[int, int], None] | None = None,
        passes: Callable[[int, int], None] | None = None,
        **options: Any,
    ) -> ServedView:
        """Draw one of the service's views.

        Args:
            name: the model.
            images: one picture, or several for "maps" and "top": paths, bytes of files or uint8
                arrays [H, W, 3].
            view: the name of a field of ViewRequest's `view` in explain.proto, such as "occlusion".
            preprocess: as in `explain`.
            labels: class names by channel, a list or a text file of one name a line.
            progress: called with the steps done, and their total.
            passes: called with the runs done of the current step, and their total.
            **options: the fields of the view's message, such as `layer="mixed"`, `channels=[7, 44]`
                and `count=5` for "top". `units` is written as in `explain`, `size` stands for
                `height` and `width`, and method options are keywords of their own. So are the
                fields of `Drawing`: `format="pdf"`, `dpi`, `width`, `cmap`, `alpha`, `columns`,
                `title`, `notes`, `show`, `at` and `panels`.

        Returns:
            The drawing, its panels if requested, and its arrays.

        Raises:
            ClientError: an argument is wrong, the view cannot be drawn, or the call fails.
            TypeError: the view does not take an option.
        """
        request = view_request(name, images, view, preprocess, label_names(labels), options)
        parts = ViewParts(progress, passes)
        await self._stream("View", request, parts.add)
        return parts.result()

    async def evaluate(
        self,
        name: str,
        images: Images,
        methods: Sequence[str] = (),
        *,
        class_index: int | None = None,
        masks: Images | None = None,
        randomize: int = 0,
        preprocess: Preprocess = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> ServedEvaluations:
        """Measure how faithful the methods' maps of each image's predicted class, or of one, are.

        Args:
            name: the model.
            images: pictures, as in `view`.
            methods: names that `methods` lists; none for all that explain a class.
            class_index: the class to measure; None for each image's predicted one.
            masks: one picture per image, light where the class is.
            randomize: the number of images for the randomisation check.
            preprocess: as in `explain`.
            progress: called with the steps done, and their total.

        Returns:
            One message per method; the last is "random", maps of noise. The methods that cannot
            explain the network are in `refused`, with their reasons.

        Raises:
            ClientError: an argument is wrong, or the call fails.
        """
        request = evaluate_request(name, images, methods, masks, randomize, class_index, preprocess)
        parts = EvaluationParts(progress)
        await self._stream("Evaluate", request, parts.add)
        return parts.result()

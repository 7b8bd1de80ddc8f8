"""The keyword arguments of `explain`, for type checkers.

Written by `make generate` from the declarations of the options; do not edit it. Imports only the
standard library.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, TypedDict

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from onnxplain.engine.labels import Labels
    from onnxplain.engine.pictures import Images, NamedInputs, Preprocess

__all__ = ["Choices"]


class Choices(TypedDict, total=False):
    """The choices of an explanation besides model, images, layer, method and units.

    Choices:
        position: where the signal starts: "all", "max", or coordinates, of one position for all
            units or one for each, [images, units, rank]; None for the method's default.
        region: a mask of the layer's positions, in place of a position: a picture that is light
            inside, a .npy file or an array of weights, of the size of the layer or the picture.
        seed_value: what the signal starts with, "activation" or "one"; None for the method's
            default.
        negate: explain the evidence against the unit: the signal starts with the opposite sign.
        to: the tensor projected back to, or "all" for every float input; None for the picture.
        inputs: the values of the network's further inputs by name, given as images are.
        unpool: the form of max-unpooling, "maxunpool", "scatter", "portable" or "window"; None for
            what suits the pool and the device.
        channel_axis: the layer's channel axis, counted with the batch axis; None for what the
            network tells.
        preprocess: a Preprocess, or its text as on the command line, "unit" or
            "raw_bgr,size=224x224"; None for the model's own, or a guess.
        labels: class names by channel: a list, a text file of one name a line, or "imagenet"; None
            for the model's own.
        names: the names of the pictures in a drawing of several; None for their file names.
        bands: of arrays with more than three channels, the one or three that a drawing shows; None
            for the mean.
        timeout: seconds after which Cancelled is raised; None for no limit.
        cancel: an event after which, once set, Cancelled is raised.
        progress: called with the number of projections done and their total.
        passes: called with the number of runs done for the current projections and their total, by
            methods of many runs.

    Choices of single methods, where None means the default:
        samples: of smoothgrad, smoothgrad_sq, vargrad: the number of noisy copies (default: 50)
        noise_level: of smoothgrad, smoothgrad_sq, vargrad: the standard deviation of the noise, as
            a fraction of the input's range (default: 0.15)
        noise: of smoothgrad, smoothgrad_sq, vargrad: where the noise comes from: an artefact's own
            input, or drawn from the seed in the graph: input, drawn (default: input)
        noise_seed: of smoothgrad, smoothgrad_sq, vargrad, rise, activation_maximisation: the seed
            of the noise (default: 0)
        steps: of integrated_gradients: the number of points between baseline and input (default:
            50)
        baseline: of integrated_gradients, deeplift, occlusion, rise: the reference that stands for
            an absent picture, in the values of the network's input (default: 0)
        score_layer: of grad_cam, grad_cam_pp, layer_cam, guided_grad_cam: the layer whose unit is
            explained, while the map covers the chosen layer (default: the class score)
        score_channel_axis: of grad_cam, grad_cam_pp, layer_cam, guided_grad_cam: the channel axis
            of the layer whose unit is explained (default: as the network tells)
        upsample: of grad_cam, grad_cam_pp, layer_cam, guided_grad_cam: resize the map to the
            picture's height and width (default: true)
        low: of lrp_epsilon_gamma_box: the lowest value of the input (default: that of a pixel of 0;
            required by a rewrite)
        high: of lrp_epsilon_gamma_box: the highest value of the input (default: that of a pixel of
            255; required by a rewrite)
        window: of occlusion: the window's sides in pixels (default: an eighth of each side)
        stride: of occlusion: the distance between windows in pixels (default: half the window)
        masks: of rise: the number of masks (default: 1000)
        resolution: of rise: the number of a mask's cells along a side (default: 8)
        keep: of rise: the probability that a cell stays visible (default: 0.5)
        start: of activation_maximisation: the picture that the ascent starts from: noise, picture
            (default: noise)
        iterations: of activation_maximisation: the number of steps (default: 128)
        step_size: of activation_maximisation: the root mean square of a step, as a fraction of the
            range of pixel values (default: 0.02)
        jitter: of activation_maximisation: the largest random shift before a step, in pixels
            (default: 4)
        blur: of activation_maximisation: the standard deviation of the Gaussian blur after a step,
            in pixels (default: 0.5)
        decay: of activation_maximisation: the fraction by which a step fades the picture to
            mid-grey (default: 0.01)
    """

    position: str | Sequence[int] | npt.NDArray[np.int64] | None
    region: Images | None
    seed_value: str | None
    negate: bool | None
    to: str | None
    inputs: NamedInputs | None
    unpool: str | None
    channel_axis: int | None
    preprocess: Preprocess | str | None
    labels: Labels | None
    names: Sequence[str] | None
    bands: Sequence[int] | None
    timeout: float | None
    cancel: threading.Event | None
    progress: Callable[[int, int], None] | None
    passes: Callable[[int, int], None] | None
    samples: int | None
    noise_level: float | None
    noise: Literal["input", "drawn"] | None
    noise_seed: int | None
    steps: int | None
    baseline: float | Sequence[float] | npt.NDArray[np.floating] | None
    score_layer: str | None
    score_channel_axis: int | None
    upsample: bool | None
    low: float | Sequence[float] | npt.NDArray[np.floating] | None
    high: float | Sequence[float] | npt.NDArray[np.floating] | None
    window: int | Sequence[int] | None
    stride: int | Sequence[int] | None
    masks: int | None
    resolution: int | None
    keep: float | None
    start: Literal["noise", "picture"] | None
    iterations: int | None
    step_size: float | None
    jitter: int | None
    blur: float | None
    decay: float | None

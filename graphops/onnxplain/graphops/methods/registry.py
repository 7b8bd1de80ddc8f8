"""The methods that one graph computes, each declared once. Imports only the standard library."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from onnxplain.graphops import options as o
from onnxplain.graphops.errors import OptionError, UnknownMethod, nearest
from onnxplain.graphops.methods.method import Method

__all__ = ["DEFAULT_METHOD", "METHODS", "find_method", "require_taken"]

HERE = "onnxplain.graphops.methods"
NOISY = (o.SAMPLES, o.NOISE_LEVEL, o.NOISE, o.NOISE_SEED)
MAPPED = (o.SCORE_LAYER, o.SCORE_CHANNEL_AXIS, o.UPSAMPLE)


def _relevance(
    name: str,
    composite: str,
    summary: str,
    takes: tuple[o.Option, ...] = (),
    alias_of: str = "",
    paper: str = "Bach et al. 2015",
    peer: str = "Zennit's composites",
) -> Method:
    """Return an LRP method, whose relevance starts with the unit's activation, as Captum's does."""
    return Method(
        name,
        f"{HERE}.lrp_composites:{composite}",
        f"{HERE}.lrp_composites:relevance",
        seed_value="activation",
        takes=takes,
        summary=summary,
        paper=paper,
        peer=peer,
        alias_of=alias_of,
    )


DEFAULT_METHOD = "deconvnet"  # of every function, command and view

METHODS: Mapping[str, Method] = {
    method.name: method
    for method in (
        Method(
            "gradient",
            summary="the derivative of the unit with respect to each pixel",
            paper="Simonyan et al. 2013",
            peer="Captum `Saliency(abs=False)`",
            drawn="reconstruction",
        ),
        Method(
            "deconvnet",
            f"{HERE}.rectified:DECONVNET",
            position="max",
            seed_value="activation",
            summary="the unit's activity carried back to the pixels, rectified at every ReLU",
            paper="Zeiler & Fergus 2014",
            peer="Captum `Deconvolution`",
            drawn="reconstruction",
        ),
        Method(
            "guided_backprop",
            f"{HERE}.rectified:GUIDED_BACKPROP",
            summary="the gradient, of which only positive signals pass each ReLU",
            paper="Springenberg et al. 2015",
            peer="Captum `GuidedBackprop`",
            drawn="reconstruction",
        ),
        Method(
            "input_x_gradient",
            compute=f"{HERE}.elementary:times_input",
            summary="the gradient times the picture",
            paper="Shrikumar et al. 2016",
            peer="Captum `InputXGradient`",
        ),
        Method(
            "smoothgrad",
            compute=f"{HERE}.sampling:smoothgrad",
            takes=NOISY,
            summary="the mean gradient over noisy copies of the picture",
            paper="Smilkov et al. 2017",
            peer="Captum `NoiseTunnel`",
            drawn="reconstruction",
            accumulated="mean",
        ),
        Method(
            "smoothgrad_sq",
            compute=f"{HERE}.sampling:smoothgrad_sq",
            takes=NOISY,
            summary="the mean squared gradient over noisy copies",
            paper="Hooker et al. 2019",
            peer="Captum `NoiseTunnel`",
            accumulated="mean_square",
        ),
        Method(
            "vargrad",
            compute=f"{HERE}.sampling:vargrad",
            takes=NOISY,
            summary="the variance of the gradient over noisy copies",
            paper="Adebayo et al. 2018",
            peer="Captum `NoiseTunnel`",
            accumulated="variance",
        ),
        Method(
            "integrated_gradients",
            compute=f"{HERE}.sampling:integrated_gradients",
            takes=(o.STEPS, o.BASELINE),
            summary="the gradient, integrated from a baseline to the picture",
            paper="Sundararajan et al. 2017",
            peer="Captum `IntegratedGradients`",
            accumulated="path",
        ),
        Method(
            "deeplift",
            compute=f"{HERE}.deeplift:deeplift",
            takes=(o.BASELINE,),
            summary="the contribution of each difference from a baseline, by the rescale rule",
            paper="Shrikumar et al. 2017",
            peer="Captum `DeepLift`",
        ),
        Method(
            "grad_cam",
            compute=f"{HERE}.cam:grad_cam",
            over="map",
            takes=MAPPED,
            summary="the sum of a layer's channels, weighted by their mean gradients, rectified",
            paper="Selvaraju et al. 2017",
            peer="pytorch-grad-cam",
        ),
        Method(
            "grad_cam_pp",
            compute=f"{HERE}.cam:grad_cam_pp",
            over="map",
            takes=MAPPED,
            summary="Grad-CAM with weights for several objects of a class",
            paper="Chattopadhay et al. 2018",
            peer="pytorch-grad-cam",
        ),
        Method(
            "layer_cam",
            compute=f"{HERE}.cam:layer_cam",
            over="map",
            takes=MAPPED,
            summary="Grad-CAM with a weight per position, for earlier layers too",
            paper="Jiang et al. 2021",
            peer="pytorch-grad-cam",
        ),
        Method(
            "guided_grad_cam",
            f"{HERE}.rectified:GUIDED_BACKPROP",
            f"{HERE}.cam:guided_grad_cam",
            over="map",
            onwards=True,
            takes=MAPPED,
            summary="guided backpropagation times the Grad-CAM map",
            paper="Selvaraju et al. 2017",
            peer="pytorch-grad-cam",
            drawn="reconstruction",
        ),
        _relevance(
            "lrp",
            "EPSILON_PLUS_FLAT",
            "the same as lrp_epsilon_plus_flat",
            alias_of="lrp_epsilon_plus_flat",
        ),
        _relevance("lrp_epsilon", "EPSILON", "relevance in proportion to contributions"),
        _relevance(
            "lrp_epsilon_plus",
            "EPSILON_PLUS",
            "relevance by positive contributions in convolutions, by epsilon in dense layers",
        ),
        _relevance(
            "lrp_epsilon_plus_flat",
            "EPSILON_PLUS_FLAT",
            "as lrp_epsilon_plus, but spread evenly in the first layer",
        ),
        _relevance(
            "lrp_epsilon_alpha2_beta1",
            "EPSILON_ALPHA2_BETA1",
            "relevance by twice the positive contributions less the negative in convolutions",
        ),
        _relevance(
            "lrp_epsilon_alpha2_beta1_flat",
            "EPSILON_ALPHA2_BETA1_FLAT",
            "as lrp_epsilon_alpha2_beta1, but spread evenly in the first layer",
        ),
        _relevance(
            "lrp_epsilon_gamma_box",
            "epsilon_gamma_box",
            "relevance that favours positive contributions in convolutions, bounded by the "
            "pixels' range in the first",
            takes=(o.LOW, o.HIGH),
        ),
        _relevance(
            "lrp_cp",
            "CP",
            "as lrp_epsilon, but with attention weights held constant, so that it conserves",
            paper="Ali et al. 2022",
            peer="",
        ),
        Method(
            "excitation_backprop",
            f"{HERE}.lrp_composites:EXCITATION_BACKPROP",
            f"{HERE}.lrp_composites:relevance",
            seed_value="activation",
            summary="the probability of winning, passed down along positive weights",
            paper="Zhang et al. 2016",
            peer="Zennit",
        ),
        Method(
            "inverse",
            select="whole",
            seed_value="activation",
            summary="the activity of a whole layer, carried back through one or several layers",
            peer="Lasagne's `InverseLayer`",
            drawn="reconstruction",
            alias_of="gradient",
        ),
        Method(
            "activation",
            compute=f"{HERE}.elementary:activation",
            over="layer",
            summary="the unit's own activation map",
            explains_class=False,
        ),
    )
}


def find_method(name: str | Method) -> Method:
    """Return the method of that name.

    Raises UnknownMethod with the nearest names, and OptionError for a method that one graph cannot
    compute.
    """
    method = METHODS.get(name) if isinstance(name, str) else name
    if method is None:
        raise UnknownMethod(
            f"no method '{name}' ({nearest(str(name), METHODS)}); methods that take many runs are "
            "in `onnxplain.engine`: use its `explain`"
        )
    if not method.exportable:
        raise OptionError(
            f"method '{method.name}' takes many runs of the network, so one graph cannot compute "
            "it: use `explain`, or choose another method"
        )
    return method


def require_taken(
    method: Method, given: Iterable[str], methods: Mapping[str, Method] = METHODS
) -> None:
    """Raise OptionError for an option in `given` that only other methods accept."""
    own = {option.name for option in method.takes}
    for name in given:
        others = [m.name for m in methods.values() if name in {option.name for option in m.takes}]
        if others and name not in own:
            raise OptionError(
                f"method '{method.name}' takes no {name.replace('_', ' ')}: leave it out, or "
                f"choose {' or '.join(others)}"
            )

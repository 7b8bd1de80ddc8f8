"""The methods that one graph computes, each declared once. Imports only the standard library."""

from __future__ import annotations

from collections.abc import Mapping

from onnxplain.graphops import options as o
from onnxplain.graphops.methods.method import Method

__all__ = ["DEFAULT_METHOD", "METHODS"]

HERE = "onnxplain.graphops.methods"
NOISY = (o.SAMPLES, o.NOISE_LEVEL, o.NOISE, o.NOISE_SEED)
MAPPED = (o.SCORE_LAYER, o.SCORE_CHANNEL_AXIS, o.UPSAMPLE)


def _relevance(
    name: str,
    title: str,
    composite: str,
    summary: str,
    takes: tuple[o.Option, ...] = (),
    aliases: tuple[str, ...] = (),
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
        title=title,
        aliases=aliases,
    )


DEFAULT_METHOD = "deconvnet"  # of every function, command and view

METHODS: Mapping[str, Method] = {
    method.name: method
    for method in (
        Method(
            "gradient",
            aliases=(
                "saliency",
                "saliency map",
                "vanilla gradient",
                "gradients",
                "backpropagation",
            ),
            summary="the derivative of the unit with respect to each pixel",
            paper="Simonyan et al. 2013",
            peer="Captum `Saliency(abs=False)`",
            drawn="reconstruction",
        ),
        Method(
            "deconvnet",
            f"{HERE}.rectified:DECONVNET",
            title="DeconvNet",
            aliases=("deconv", "deconvolution", "deconvolutional network"),
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
            title="guided backpropagation",
            aliases=("guided gradient", "guided bp", "gbp"),
            summary="the gradient, of which only positive signals pass each ReLU",
            paper="Springenberg et al. 2015",
            peer="Captum `GuidedBackprop`",
            drawn="reconstruction",
        ),
        Method(
            "input_x_gradient",
            title="input × gradient",
            aliases=("input times gradient", "gradient x input", "grad x input", "ixg"),
            compute=f"{HERE}.elementary:times_input",
            summary="the gradient times the picture",
            paper="Shrikumar et al. 2016",
            peer="Captum `InputXGradient`",
        ),
        Method(
            "smoothgrad",
            title="SmoothGrad",
            aliases=("noise tunnel", "smooth gradient"),
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
            title="SmoothGrad-squared",
            aliases=("smoothgrad²", "noise tunnel"),
            compute=f"{HERE}.sampling:smoothgrad_sq",
            takes=NOISY,
            summary="the mean squared gradient over noisy copies",
            paper="Hooker et al. 2019",
            peer="Captum `NoiseTunnel`",
            accumulated="mean_square",
        ),
        Method(
            "vargrad",
            title="VarGrad",
            aliases=("noise tunnel",),
            compute=f"{HERE}.sampling:vargrad",
            takes=NOISY,
            summary="the variance of the gradient over noisy copies",
            paper="Adebayo et al. 2018",
            peer="Captum `NoiseTunnel`",
            accumulated="variance",
        ),
        Method(
            "integrated_gradients",
            aliases=("ig", "intgrad", "integrated gradient"),
            compute=f"{HERE}.sampling:integrated_gradients",
            takes=(o.STEPS, o.BASELINE),
            summary="the gradient, integrated from a baseline to the picture",
            paper="Sundararajan et al. 2017",
            peer="Captum `IntegratedGradients`",
            accumulated="path",
        ),
        Method(
            "deeplift",
            title="DeepLIFT",
            aliases=("rescale rule",),
            compute=f"{HERE}.deeplift:deeplift",
            takes=(o.BASELINE,),
            summary="the contribution of each difference from a baseline, by the rescale rule",
            paper="Shrikumar et al. 2017",
            peer="Captum `DeepLift`",
        ),
        Method(
            "grad_cam",
            title="Grad-CAM",
            aliases=("cam", "class activation map"),
            compute=f"{HERE}.cam:grad_cam",
            over="map",
            takes=MAPPED,
            summary="the sum of a layer's channels, weighted by their mean gradients, rectified",
            paper="Selvaraju et al. 2017",
            peer="pytorch-grad-cam",
        ),
        Method(
            "grad_cam_pp",
            title="Grad-CAM++",
            aliases=("grad cam plus plus", "cam", "class activation map"),
            compute=f"{HERE}.cam:grad_cam_pp",
            over="map",
            takes=MAPPED,
            summary="Grad-CAM with weights for several objects of a class",
            paper="Chattopadhay et al. 2018",
            peer="pytorch-grad-cam",
        ),
        Method(
            "layer_cam",
            title="LayerCAM",
            aliases=("cam", "class activation map"),
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
            title="guided Grad-CAM",
            aliases=("guided cam",),
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
            "LRP",
            "EPSILON_PLUS_FLAT",
            "the same as lrp_epsilon_plus_flat",
            aliases=("layer-wise relevance propagation", "relevance"),
            alias_of="lrp_epsilon_plus_flat",
        ),
        _relevance(
            "lrp_epsilon",
            "LRP, ε rule",
            "EPSILON",
            "relevance in proportion to contributions",
            aliases=("epsilon", "epsilon rule"),
        ),
        _relevance(
            "lrp_epsilon_plus",
            "LRP, ε and z⁺ rules",
            "EPSILON_PLUS",
            "relevance by positive contributions in convolutions, by epsilon in dense layers",
            aliases=("z plus", "lrp z plus", "deep taylor"),
        ),
        _relevance(
            "lrp_epsilon_plus_flat",
            "LRP, ε, z⁺ and flat rules",
            "EPSILON_PLUS_FLAT",
            "as lrp_epsilon_plus, but spread evenly in the first layer",
        ),
        _relevance(
            "lrp_epsilon_alpha2_beta1",
            "LRP, ε and α2β1 rules",
            "EPSILON_ALPHA2_BETA1",
            "relevance by twice the positive contributions less the negative in convolutions",
            aliases=("alpha beta", "lrp alpha beta", "lrp alpha2 beta1"),
        ),
        _relevance(
            "lrp_epsilon_alpha2_beta1_flat",
            "LRP, ε, α2β1 and flat rules",
            "EPSILON_ALPHA2_BETA1_FLAT",
            "as lrp_epsilon_alpha2_beta1, but spread evenly in the first layer",
        ),
        _relevance(
            "lrp_epsilon_gamma_box",
            "LRP, ε, γ and box rules",
            "epsilon_gamma_box",
            "relevance that favours positive contributions in convolutions, bounded by the "
            "pixels' range in the first",
            takes=(o.LOW, o.HIGH),
            aliases=("gamma", "lrp gamma"),
        ),
        _relevance(
            "lrp_cp",
            "CP-LRP",
            "CP",
            "as lrp_epsilon, but with attention weights held constant, so that it conserves",
            paper="Ali et al. 2022",
            peer="",
        ),
        Method(
            "excitation_backprop",
            f"{HERE}.lrp_composites:EXCITATION_BACKPROP",
            f"{HERE}.lrp_composites:relevance",
            title="excitation backpropagation",
            aliases=("excitation bp", "ebp"),
            seed_value="activation",
            summary="the probability of winning, passed down along positive weights",
            paper="Zhang et al. 2016",
            peer="Zennit",
        ),
        Method(
            "inverse",
            aliases=("inverse layer", "layer inversion"),
            select="whole",
            seed_value="activation",
            summary="the activity of a whole layer, carried back through one or several layers",
            peer="Lasagne's `InverseLayer`",
            drawn="reconstruction",
            alias_of="gradient",
        ),
        Method(
            "activation",
            title="activation map",
            aliases=("activations", "activity", "feature map", "feature maps"),
            compute=f"{HERE}.elementary:activation",
            over="layer",
            summary="the unit's own activation map",
            explains_class=False,
        ),
    )
}

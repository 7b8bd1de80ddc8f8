"""What the error for an unknown method suggests."""

import pytest

from onnxplain.engine.methods import METHODS, method_title
from onnxplain.engine.methods import find_method as find
from onnxplain.graphops.errors import UnknownMethod
from onnxplain.graphops.methods import Method, find_method, methods_meant, plain, unknown_method


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Grad-CAM", "grad_cam"),
        ("GradCAM", "grad_cam"),
        ("grad cam", "grad_cam"),
        ("grad-cam++", "grad_cam_pp"),
        ("Guided Grad-CAM", "guided_grad_cam"),
        ("LayerCam", "layer_cam"),
        ("guided backprop", "guided_backprop"),
        ("Guided Backpropagation", "guided_backprop"),
        ("IG", "integrated_gradients"),
        ("Integrated gradients", "integrated_gradients"),
        ("saliency", "gradient"),
        ("vanilla gradient", "gradient"),
        ("input*gradient", "input_x_gradient"),
        ("Input × Gradient", "input_x_gradient"),
        ("SmoothGrad²", "smoothgrad_sq"),
        ("deconv", "deconvnet"),
        ("LRP-ε", "lrp_epsilon"),
        ("excitation bp", "excitation_backprop"),
        ("Activation Maximization", "activation_maximisation"),
    ],
)
def test_the_names_of_the_field_are_recognised(written, meant):
    assert methods_meant(written, METHODS) == [meant]
    with pytest.raises(UnknownMethod) as error:
        find(written)
    assert str(error.value) == f"no method '{written}': did you mean '{meant}'?"


def test_a_family_s_name_gives_its_methods():
    with pytest.raises(UnknownMethod, match="mean 'grad_cam', 'grad_cam_pp' or 'layer_cam'"):
        find("CAM")


@pytest.mark.parametrize(
    ("written", "similar"), [("SHAP", "deeplift"), ("lime", "rise"), ("ScoreCAM", "grad_cam")]
)
def test_what_is_not_offered_is_said(written, similar):
    with pytest.raises(UnknownMethod, match=f"is not offered; similar in purpose: .*'{similar}'"):
        find(written)


def test_a_misspelt_alias_gives_its_method():
    with pytest.raises(UnknownMethod, match=r"no method 'salliency' \(nearest: 'gradient'"):
        find("salliency")
    with pytest.raises(UnknownMethod, match=r"\(nearest: 'guided_backprop'"):
        find("guided backpropogation")


def test_methods_that_the_rewriter_lacks_are_not_suggested_by_it():
    with pytest.raises(UnknownMethod, match=r"^no method 'RISE' \(nearest: .*many runs are in"):
        find_method("RISE")
    with pytest.raises(UnknownMethod, match="similar in purpose: 'deeplift' or 'integrated_gradi"):
        find_method("SHAP")


def test_an_own_method_has_a_title_and_aliases():
    own = Method("my_method", aliases=("Mine",))
    assert own.title == "my method"
    assert "did you mean 'my_method'?" in str(unknown_method("MINE", {"my_method": own}))
    assert method_title("grad_cam_pp") == "Grad-CAM++"
    assert method_title("of_a_newer_server") == "of_a_newer_server"


def test_no_alias_stands_for_another_method_s_name():
    names = {plain(text): m.name for m in METHODS.values() for text in (m.name, m.title)}
    assert len({m.title for m in METHODS.values()}) == len(METHODS)
    for method in METHODS.values():
        for alias in method.aliases:
            assert names.get(plain(alias), method.name) == method.name
            assert method.name in methods_meant(alias, METHODS)

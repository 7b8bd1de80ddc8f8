"""Which method a user means who writes another name or spelling of it: 'GradCAM', 'saliency', 'IG'.

Imports only the standard library.
"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Mapping

from onnxplain.graphops.errors import UnknownMethod, listed, nearest
from onnxplain.graphops.methods.method import Method

__all__ = ["methods_meant", "plain", "unknown_method"]

# Well-known methods that are not offered, and those that serve the same purpose.
NOT_OFFERED: Mapping[str, tuple[str, ...]] = {
    "SHAP": ("deeplift", "integrated_gradients", "occlusion"),
    "DeepSHAP": ("deeplift",),
    "GradientSHAP": ("integrated_gradients", "smoothgrad"),
    "KernelSHAP": ("occlusion", "rise"),
    "LIME": ("occlusion", "rise"),
    "Score-CAM": ("grad_cam", "grad_cam_pp", "layer_cam"),
    "Ablation-CAM": ("grad_cam", "grad_cam_pp", "layer_cam"),
    "XGrad-CAM": ("grad_cam", "grad_cam_pp", "layer_cam"),
    "HiResCAM": ("layer_cam", "grad_cam"),
    "Eigen-CAM": ("activation", "grad_cam"),
    "attention rollout": ("lrp_cp",),
}
LETTERS = str.maketrans(
    {"×": "x", "*": "x", "+": "p", "ε": "epsilon", "α": "alpha", "β": "beta", "γ": "gamma"}
)
CLOSE = 0.7  # difflib's ratio, from which a misspelt name counts as close


def plain(name: str) -> str:
    """Return a name's letters and digits in lower case: 'gradcampp' for 'Grad-CAM++'."""
    folded = unicodedata.normalize("NFKC", name).casefold().translate(LETTERS)
    return "".join(c for c in folded if c.isalnum())


def methods_meant(name: str, methods: Mapping[str, Method]) -> list[str]:
    """Return the names of the methods that `name` is an alias or another spelling of."""
    return _spellings(methods).get(plain(name), [])


def unknown_method(name: str, methods: Mapping[str, Method], hint: str = "") -> UnknownMethod:
    """Return the error for a name that no method has.

    Args:
        name: what the user wrote.
        methods: those that there are.
        hint: what else to do, at the end of the text.

    Returns:
        The error, whose text names the methods meant, or else the nearest.
    """
    name = name[:200]  # a request may have megabytes of it
    if meant := methods_meant(name, methods):
        text = f"no method '{name}': did you mean {_quoted(meant)}?"
    elif similar := [m for m in _not_offered(name) if m in methods]:
        text = f"no method '{name}': it is not offered; similar in purpose: {_quoted(similar)}"
    else:
        spellings = _spellings(methods)
        close = difflib.get_close_matches(plain(name), spellings, n=8, cutoff=CLOSE)
        found = list(dict.fromkeys(method for one in close for method in spellings[one]))[:5]
        phrase = "nearest: " + ", ".join(map(repr, found)) if found else nearest(name, methods)
        text = f"no method '{name}' ({phrase})"
    return UnknownMethod(text + (f"; {hint}" if hint else ""))


def _spellings(methods: Mapping[str, Method]) -> dict[str, list[str]]:
    """Return the methods by their plain names; an alias that is another's name is left out."""
    found: dict[str, list[str]] = {}
    for method in methods.values():
        for name in (method.name, method.title):
            found.setdefault(plain(name), []).append(method.name)
    own = set(found)
    for method in methods.values():
        for alias in map(plain, method.aliases):
            if alias not in own:
                found.setdefault(alias, []).append(method.name)
    return {spelling: list(dict.fromkeys(names)) for spelling, names in found.items()}


def _not_offered(name: str) -> tuple[str, ...]:
    similar = {plain(other): methods for other, methods in NOT_OFFERED.items()}
    return similar.get(plain(name), ())


def _quoted(names: list[str]) -> str:
    return listed(map(repr, names))

"""Zennit's answer to what an artefact of LRP computes."""

import copy
import sys
import types

import torch
from blocks import Residual
from torch import nn


def _without_torchvision():
    """Let Zennit be imported: it names two classes of torchvision, and uses them nowhere here."""
    for name in ("torchvision", "torchvision.models", "torchvision.models.resnet"):
        sys.modules.setdefault(name, types.ModuleType(name))
    resnet = sys.modules["torchvision.models.resnet"]
    resnet.BasicBlock = resnet.Bottleneck = type("Absent", (nn.Module,), {})


_without_torchvision()

from zennit import canonizers, composites, rules  # noqa: E402
from zennit.layer import Sum  # noqa: E402
from zennit.types import Linear  # noqa: E402

LOW, HIGH = -4.0, 4.0

COMPOSITES = {
    "lrp_epsilon": lambda: composites.LayerMapComposite(
        [*composites.layer_map_base(), (Linear, rules.Epsilon())]
    ),
    "lrp_epsilon_plus": composites.EpsilonPlus,
    "lrp_epsilon_plus_flat": composites.EpsilonPlusFlat,
    "lrp_epsilon_alpha2_beta1": composites.EpsilonAlpha2Beta1,
    "lrp_epsilon_alpha2_beta1_flat": composites.EpsilonAlpha2Beta1Flat,
    "lrp_epsilon_gamma_box": lambda: composites.EpsilonGammaBox(low=LOW, high=HIGH),
    "excitation_backprop": composites.ExcitationBackprop,
}


def relevance(net, x, cotangent, method):
    """Return what Zennit's composite hands from the net's output down to x, in x's precision."""
    net = copy.deepcopy(net).to(x.dtype)
    composite = COMPOSITES[method]()
    composite.canonizers = [
        _Sums(),
        _Merge(list(_merged(net))),
    ]
    x = x.clone().requires_grad_()
    with composite.context(net) as explained:
        (found,) = torch.autograd.grad(explained(x), x, cotangent)
    return found


def _merged(net):
    """Yield the convolutions that a BatchNorm follows, and that."""
    for name, module in net.named_modules():
        if not isinstance(module, nn.Sequential):
            continue
        children = list(module.named_children())
        for (one, first), (other, second) in zip(children, children[1:], strict=False):
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                prefix = f"{name}." if name else ""
                yield [prefix + one], prefix + other


class _Merge(canonizers.NamedMergeBatchNorm):
    """Zennit's merging, which leaves ε behind, so that the rest would scale by 1/√(1 + ε)."""

    def merge_batch_norm(self, modules, batch_norm):
        super().merge_batch_norm(modules, batch_norm)
        batch_norm.eps = 0.0


class _Sums(canonizers.AttributeCanonizer):
    """Gives the additions of residual blocks a module, which Zennit's rule for sums needs."""

    def __init__(self):
        super().__init__(self._attributes)

    @staticmethod
    def _attributes(name, module):
        if not isinstance(module, Residual):
            return None
        added = Sum()

        def forward(x):
            branches = [module.conv2(module.conv1(x)), module.shortcut(x)]
            return module.relu(added(torch.stack(branches, dim=-1)))

        return {"added": added, "forward": forward}

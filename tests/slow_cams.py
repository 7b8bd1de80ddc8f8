"""Class activation maps by their papers' formulas, written out slowly, on PyTorch's gradients."""

import numpy as np
import torch
import torch.nn.functional as F

__all__ = ["CAMS", "METHODS", "cam", "signals"]

CAMS = ("grad_cam", "grad_cam_pp", "layer_cam")
METHODS = (*CAMS, "guided_grad_cam")


def cam(method, maps, gradients):
    """Return [B, 1, ...positions] from A and g, [B, K, ...positions], by the papers' formulas."""
    rows = []
    for a, g in zip(maps, gradients, strict=True):
        total = np.zeros(a.shape[1:], a.dtype)
        for a_k, g_k in zip(a, g, strict=True):
            if method == "grad_cam":
                total += g_k.mean() * a_k
            elif method == "layer_cam":
                total += np.maximum(g_k, 0) * a_k
            else:
                weight = 0.0
                for value in g_k[g_k > 0]:
                    alpha = value**2 / (2 * value**2 + a_k.sum() * value**3 + 1e-6)
                    weight += alpha * value
                total += weight * a_k
        rows.append(np.maximum(total, 0)[None])
    return np.stack(rows)


def signals(net, module, x, channel, dtype, score="classifier"):
    """Return A and g: a module's output, and the gradient there of units of a later one.

    channel: the classes, or what the later module's output has as its cotangent.
    """
    net = net.to(dtype)
    seen = {}
    handles = [
        net.get_submodule(name).register_forward_hook(
            lambda module, inputs, y, name=name: seen.__setitem__(name, y)
        )
        for name in (module, score)
    ]
    net(torch.from_numpy(x).to(dtype))
    for handle in handles:
        handle.remove()
    y = seen[score]
    cotangent = (
        channel(y) if callable(channel) else F.one_hot(torch.from_numpy(channel), y.shape[1])
    )
    (g,) = torch.autograd.grad(y, seen[module], cotangent.to(dtype))
    return seen[module].detach().numpy(), g.numpy()

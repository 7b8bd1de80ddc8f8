"""LRP's rules for attention and its kin, from the papers' formulas, one relevance at a time.

Matrices of one image, in float64. R is the relevance of the output. ε is added with z's sign.
"""

import torch

EPSILON = 1e-6


def stabilized(z):
    return z + torch.where(z >= 0, EPSILON, -EPSILON)


def linear(x, weight, bias, relevance):
    """LRP-ε (Bach et al. 2015): R_i = Σ_j x_i·w_ji·R_j / z_j; rows of x are tokens."""
    found = torch.zeros_like(x)
    z = x @ weight.T + (0 if bias is None else bias)
    for t in range(len(x)):
        for j in range(len(weight)):
            found[t] += x[t] * weight[j] * relevance[t, j] / stabilized(z[t, j])
    return found


def product(a, b, relevance):
    """The uniform rule (Achtibat et al. 2024): R_ji = Σ_p a_ji·b_ip·R_jp / (2·o_jp), same for b."""
    o = a @ b
    of_a, of_b = torch.zeros_like(a), torch.zeros_like(b)
    for j in range(a.shape[0]):
        for p in range(b.shape[1]):
            parts = a[j] * b[:, p] * relevance[j, p] / stabilized(2 * o[j, p])
            of_a[j] += parts
            of_b[:, p] += parts
    return of_a, of_b


def weighted(weights, values, relevance):
    """The share of the values where the weights are held constant (Ali et al. 2022)."""
    return 2 * product(weights, values, relevance)[1]


def softmax(x, relevance):
    """Its Taylor rule (Achtibat et al. 2024): R_i = x_i·(R_i − s_i·Σ_j R_j), by rows."""
    found = torch.zeros_like(x)
    for t in range(len(x)):
        s = torch.softmax(x[t], 0)
        for i in range(x.shape[1]):
            if s[i] > 0:
                found[t, i] = x[t, i] * (relevance[t, i] - s[i] * relevance[t].sum())
    return found


def layer_norm(x, norm, relevance):
    """LRP-ε of γ·(x − mean)/σ + β with σ held constant (Ali et al. 2022)."""
    found = torch.zeros_like(x)
    width = x.shape[1]
    for t in range(len(x)):
        sigma = torch.sqrt(x[t].var(unbiased=False) + norm.eps)
        matrix = torch.diag(norm.weight / sigma) @ (torch.eye(width).double() - 1 / width)
        bias = norm.bias if norm.bias is not None else torch.zeros(width).double()
        found[t] = linear(x[t : t + 1], matrix, bias, relevance[t : t + 1])[0]
    return found


def total(parts, relevance):
    """Share the relevance of a sum of tensors in proportion."""
    z = stabilized(sum(parts))
    return [part / z * relevance for part in parts]


def mean(x, relevance):
    """Share the relevance of the mean over the tokens in proportion."""
    return x / len(x) / stabilized(x.mean(0)) * relevance


def attention(module, x, relevance, held=False):
    """Return the relevance of the tokens x that enter `attention_nets.SelfAttention`."""
    heads, width = module.heads, x.shape[1] // module.heads
    q, k, v = module.qkv(x).split(x.shape[1], dim=1)
    parts = [slice(h * width, (h + 1) * width) for h in range(heads)]
    scores = [module.scale * q[:, h] @ k[:, h].T for h in parts]
    biased = [s + module.bias[h] for h, s in enumerate(scores)]
    weights = [torch.softmax(b, 1) for b in biased]
    mixed = torch.cat([w @ v[:, h] for w, h in zip(weights, parts, strict=True)], dim=1)
    relevance = linear(mixed, module.out.weight, module.out.bias, relevance)
    found = torch.zeros_like(torch.cat([q, k, v], dim=1))
    of_q, of_k, of_v = found.split(x.shape[1], dim=1)
    for h, s, b, w in zip(parts, scores, biased, weights, strict=True):
        if held:
            of_v[:, h] = weighted(w, v[:, h], relevance[:, h])
            continue
        of_weights, of_v[:, h] = product(w, v[:, h], relevance[:, h])
        of_scores = s / torch.where(b.isinf(), 1.0, stabilized(b)) * softmax(b, of_weights)
        of_q[:, h], of_transposed = product(q[:, h] * module.scale, k[:, h].T, of_scores)
        of_k[:, h] = of_transposed.T
    return linear(x, module.qkv.weight, module.qkv.bias, found)


def block(module, x, relevance, held=False):
    """Return the relevance of the tokens x that enter `attention_nets.Block`."""
    a = module.attention(module.norm1(x)[None])[0]
    middle = x + a
    inner = module.norm2(middle)
    hidden = module.up(inner)
    b = module.down(module.gelu(hidden))
    straight, of_b = total([middle, b], relevance)
    of_hidden = linear(module.gelu(hidden), module.down.weight, module.down.bias, of_b)
    of_inner = linear(inner, module.up.weight, module.up.bias, of_hidden)
    relevance = straight + layer_norm(middle, module.norm2, of_inner)
    straight, of_a = total([x, a], relevance)
    of_normed = attention(module.attention, module.norm1(x), of_a, held)
    return straight + layer_norm(x, module.norm1, of_normed)


def vision_transformer(net, image, relevance, held=False):
    """Return the relevance of the picture [C, H, W] that enters `attention_nets.vit()`."""
    tokens = net.tokens(image[None])[0]
    states = [tokens]
    for module in net.blocks:
        states.append(module(states[-1][None])[0])
    normed = net.norm(states[-1])
    pooled = normed.mean(0)
    relevance = linear(pooled[None], net.head.weight, net.head.bias, relevance[None])[0]
    relevance = layer_norm(states[-1], net.norm, mean(normed, relevance))
    for module, x in zip(reversed(net.blocks), reversed(states[:-1]), strict=True):
        relevance = block(module, x, relevance, held)
    return patches(net.patch, image, relevance)


def patches(conv, image, relevance):
    """LRP-ε of a convolution whose patches do not overlap; relevance [tokens, channels]."""
    side, columns = conv.kernel_size[0], image.shape[2] // conv.kernel_size[0]
    found = torch.zeros_like(image)
    weight = conv.weight.flatten(1)
    for t in range(len(relevance)):
        row, column = (side * i for i in divmod(t, columns))
        where = (slice(None), slice(row, row + side), slice(column, column + side))
        x = image[where]
        own = linear(x.reshape(1, -1), weight, conv.bias, relevance[t : t + 1])
        found[where] = own.reshape(x.shape)
    return found

"""Operators for random networks that multiply matrices."""

import torch

from random_networks.drawing import fit

__all__ = ["OPERATORS"]


def gemm(d):
    x = d.tensor(lambda v: v.rank == 2)
    trans_a, trans_b, out = d.number(0, 1), d.number(0, 1), d.number(1, 4)
    inner, rows = (x.shape[0], x.shape[1]) if trans_a else (x.shape[1], x.shape[0])
    fit(x.value.numel())  # ONNX Runtime does not write a sum over nothing
    weight = d.weight(*((out, inner) if trans_b else (inner, out)), low=-1, high=1)
    bias = d.choice([], [(out,)], [(1, out)], [(rows, 1)], [()])
    alpha, beta = d.choice(1.0, 0.5), d.choice(1.0, 2.0)
    operands = [x, weight]
    if d.choice(False, True) and not trans_a:  # the weight from the left
        operands = [d.weight(*((x.shape[0], out) if trans_a else (out, x.shape[0]))), x]
        trans_a = trans_b = 0
        bias = []

    def compute(a, b, c=0.0):
        a, b = (a.T if trans_a else a), (b.T if trans_b else b)
        return alpha * (a @ b) + beta * c

    attrs = {"transA": trans_a, "transB": trans_b, "alpha": alpha, "beta": beta}
    d.add("Gemm", [*operands, *(d.weight(*s) for s in bias)], compute, **attrs)


def matmul(d):
    x = d.tensor(lambda v: v.rank > 0)
    kind = d.choice("matrix", "stack", "left", "vector", "tensor", "gram")
    if kind == "matrix":
        operands = [x, d.weight(x.shape[-1], d.number(1, 4), low=-1, high=1)]
    elif kind == "stack":
        operands = [x, d.weight(d.number(1, 2), 1, x.shape[-1], 2)]
    elif kind == "left":
        operands = [d.weight(d.number(1, 3), x.shape[-2 if x.rank > 1 else -1]), x]
    elif kind == "vector":
        operands = [x, d.weight(x.shape[-1])]
    elif kind == "tensor":
        operands = [x, d.tensor(lambda v: v.rank > 0 and _multiplies(x, v))]
    else:
        fit(x.rank > 1)
        turned = [*range(x.rank - 2), x.rank - 1, x.rank - 2]
        operands = [x, d.add("Transpose", [x], lambda v: v.mT, perm=turned)]
    fit(_multiplies(*operands) and all(v.value.numel() for v in operands))  # as in `gemm`
    d.add("MatMul", operands, torch.matmul)


def _multiplies(a, b):
    inner = b.shape[-2] if b.rank > 1 else b.shape[0]
    leading = zip(reversed(a.shape[:-2]), reversed(b.shape[:-2]), strict=False)
    return a.shape[-1] == inner and all(m == n or 1 in (m, n) for m, n in leading)


def einsum(d):
    x = d.tensor(lambda v: 2 <= v.rank <= 4)
    letters = "abcd"[: x.rank]
    kind = d.choice("weight", "alone", "itself", "ellipsis")
    if kind == "alone":
        result = "".join(letters[i] for i in d.order(x.rank)[: d.number(1, x.rank)])
        equation, operands = f"{letters}->{result}", [x]
    elif kind == "weight":
        shared = d.some(letters)
        result = "".join(c for c in letters if c not in shared or d.choice(False, True)) + "z"
        equation = f"{letters},{''.join(shared)}z->{result}"
        # A size of 1 is repeated; in the first term the runtime plans for 1, and stumbles.
        sizes = [d.choice(x.shape[letters.index(c)], 1) for c in shared]
        operands = [x, d.weight(*sizes, 2, low=-1, high=1)]
    elif kind == "ellipsis":  # of all axes but the last two, one or none
        kept = letters[x.rank - d.number(0, 2) :]
        equation = f"...{kept},{kept}z->z..." if kept else "...,z->z..."
        operands = [x, d.weight(*x.shape[x.rank - len(kept) :], 2, low=-1, high=1)]
    else:
        equation, operands = f"{letters},{letters}->{letters[: d.number(0, x.rank)]}", [x, x]
    d.add("Einsum", operands, lambda *v: torch.einsum(equation, *v), equation=equation)


def attention(d):
    """Attend by dense layers: a size that ONNX does not know, it takes for 0 here."""
    fit(d.opset >= 23)
    x = _tokens(d, d.tensor(lambda v: v.rank > 2 and v.value.numel()))
    other = d.tensor(lambda v: v.rank == 3 and v.value.numel() and v.shape[0] == x.shape[0])
    heads, width = d.number(1, 3), d.number(1, 2)
    sizes = (heads * width, heads * width, heads * d.number(1, 2))
    q, k, v = (
        d.add("MatMul", [t, d.weight(t.shape[2], size, low=-1, high=1)], torch.matmul)
        for t, size in zip((x, other, other), sizes, strict=True)
    )
    causal = d.choice(0, 1)

    def compute(q, k, v):
        q, k, v = (t.unflatten(2, (heads, -1)).transpose(1, 2) for t in (q, k, v))
        y = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=bool(causal))
        return y.transpose(1, 2).flatten(2)

    attrs = {"q_num_heads": heads, "kv_num_heads": heads, "is_causal": causal}
    d.add("Attention", [q, k, v], compute, **attrs)


def _tokens(d, x):
    """Return the tensor as [N, tokens, size]."""
    return d.add("Reshape", [x, [0, 0, -1]], lambda v: v.flatten(2)) if x.rank > 3 else x


def rotary_embedding(d):
    """Rotate the two halves of each head by angles that depend on the position."""
    fit(d.opset >= 23)
    x = _tokens(d, d.tensor(lambda v: v.rank > 2 and v.value.numel()))
    fit(x.shape[2] % 2 == 0)
    heads = d.choice(*(n for n in (1, 2) if x.shape[2] % (2 * n) == 0))
    size = (x.shape[0], x.shape[1], x.shape[2] // (2 * heads))
    cosine, sine = d.weight(*size, low=-1, high=1), d.weight(*size, low=-1, high=1)

    def compute(x, cosine, sine):
        cosine, sine = cosine[:, :, None], sine[:, :, None]
        left, right = x.unflatten(2, (heads, -1)).chunk(2, -1)
        turned = (left * cosine - right * sine, left * sine + right * cosine)
        return torch.cat(turned, -1).flatten(2)

    d.add("RotaryEmbedding", [x, cosine, sine], compute, num_heads=heads)


OPERATORS = {
    "Attention": attention,
    "Einsum": einsum,
    "Gemm": gemm,
    "MatMul": matmul,
    "RotaryEmbedding": rotary_embedding,
}

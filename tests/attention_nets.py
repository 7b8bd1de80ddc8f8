"""Small nets with attention, gates and normalisations, as PyTorch modules."""

import torch
from torch import nn


def initialized(net, biases=True, seed=0):
    """Give a net random weights; without `biases`, all that is added is zero."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for name, parameter in net.named_parameters():
            if parameter.ndim > 1:
                fan = parameter[0].numel()
                nn.init.normal_(parameter, std=1.5 / fan**0.5)
            elif name.endswith("bias"):
                nn.init.normal_(parameter, std=0.3 if biases else 0.0)
            else:
                nn.init.normal_(parameter, 1.0, 0.3)
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.running_var, 0.5, 2.0)
                nn.init.normal_(module.running_mean, std=0.3 if biases else 0.0)
    return net.eval()


class SelfAttention(nn.Module):
    """Softmax attention of several heads; `bias` [heads, tokens, tokens] is added to the scores.

    one: as PyTorch's own function, which newer exporters write as one operator.
    """

    def __init__(self, width, heads, tokens, bias=None, one=False):
        super().__init__()
        self.one = one
        self.heads, self.scale = heads, (width // heads) ** -0.5
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.register_buffer("bias", torch.zeros(heads, tokens, tokens) if bias is None else bias)

    def forward(self, x):
        batch, tokens, width = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        if self.one:
            y = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=self.bias)
            return self.out(y.transpose(1, 2).reshape(batch, tokens, width))
        weights = ((q * self.scale) @ k.transpose(-2, -1) + self.bias).softmax(-1)
        return self.out((weights @ v).transpose(1, 2).reshape(batch, tokens, width))


class Block(nn.Module):
    """A block of a vision transformer: attention and two dense layers, each beside a shortcut."""

    def __init__(self, width, heads, tokens, **kwargs):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads, tokens, **kwargs)
        self.up, self.gelu, self.down = nn.Linear(width, 16), nn.GELU(), nn.Linear(16, width)

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.down(self.gelu(self.up(self.norm2(x))))


class VisionTransformer(nn.Module):
    """Patches of 4 × 4 pixels, blocks, a norm, the mean over the tokens, a dense layer."""

    def __init__(self, width=8, heads=2, tokens=6, depth=2, **kwargs):
        super().__init__()
        self.patch = nn.Conv2d(3, width, 4, 4)
        self.blocks = nn.ModuleList(Block(width, heads, tokens, **kwargs) for _ in range(depth))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 5)

    def tokens(self, x):
        return self.patch(x).flatten(2).transpose(1, 2)

    def forward(self, x):
        x = self.tokens(x)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x).mean(1))


class Windows(nn.Module):
    """Attention within shifted windows of 2 × 2 tokens, as in a Swin, with a bias by position."""

    def __init__(self, width=8, heads=2):
        super().__init__()
        bias = torch.randn(heads, 4, 4, generator=torch.Generator().manual_seed(5))
        self.patch = nn.Conv2d(3, width, 4, 4)
        self.attention = SelfAttention(width, heads, 4, bias)
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 5)

    def forward(self, x):
        x = self.patch(x).permute(0, 2, 3, 1)
        batch, rows, columns, width = x.shape
        shifted = torch.roll(self.norm(x), (-1, -1), (1, 2))
        windows = shifted.reshape(batch, rows // 2, 2, columns // 2, 2, width)
        windows = windows.permute(0, 1, 3, 2, 4, 5).reshape(-1, 4, width)
        mixed = self.attention(windows).reshape(batch, rows // 2, columns // 2, 2, 2, width)
        mixed = mixed.permute(0, 1, 3, 2, 4, 5).reshape(batch, rows, columns, width)
        x = x + torch.roll(mixed, (1, 1), (1, 2))
        return self.head(x.mean((1, 2)))


class InvertedBottleneck(nn.Module):
    """EfficientNet's block: expansion, depthwise, squeeze-and-excitation, projection, shortcut."""

    def __init__(self, width):
        super().__init__()
        self.expand = nn.Sequential(nn.Conv2d(width, 12, 1), nn.BatchNorm2d(12), nn.SiLU())
        self.depthwise = nn.Sequential(
            nn.Conv2d(12, 12, 5, padding=2, groups=12), nn.BatchNorm2d(12), nn.SiLU()
        )
        self.squeeze = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(12, 4, 1), nn.SiLU(), nn.Conv2d(4, 12, 1)
        )
        self.project = nn.Sequential(nn.Conv2d(12, width, 1), nn.BatchNorm2d(width))

    def forward(self, x):
        inner = self.depthwise(self.expand(x))
        return x + self.project(inner * torch.sigmoid(self.squeeze(inner)))


class ConvNeXtBlock(nn.Module):
    """A depthwise Conv, a norm over the channels, two dense layers, a scale, a shortcut."""

    def __init__(self, width):
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm, self.up = nn.LayerNorm(width), nn.Linear(width, 12)
        self.down, self.scale = nn.Linear(12, width), nn.Parameter(torch.ones(width))

    def forward(self, x):
        inner = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        inner = self.scale * self.down(nn.functional.gelu(self.up(inner)))
        return x + inner.permute(0, 3, 1, 2)


class Mean(nn.Module):
    """The mean over height and width."""

    def forward(self, x):
        return x.mean((2, 3))


def efficientnet():
    stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, padding=1), nn.BatchNorm2d(8), nn.SiLU())
    blocks = (InvertedBottleneck(8), InvertedBottleneck(8))
    return nn.Sequential(stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))


def convnext():
    blocks = (ConvNeXtBlock(8), ConvNeXtBlock(8))
    return nn.Sequential(nn.Conv2d(3, 8, 4, 4), *blocks, Mean(), nn.LayerNorm(8), nn.Linear(8, 5))

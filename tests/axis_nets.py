"""Small networks whose axes are hard to guess, one for each kind that exporters write."""

import torch
from torch import nn

SIZE = 16  # of the pictures, in pixels


class Windowed(nn.Module):
    """As Swin: channels last, attention in shifted windows, patches merged."""

    def __init__(self):
        super().__init__()
        self.patch, self.norm = nn.Conv2d(3, 8, 2, 2), nn.LayerNorm(8)
        self.mix, self.merge = nn.Linear(4, 4), nn.Linear(32, 12)

    def forward(self, x):
        x = self.patch(x).permute(0, 2, 3, 1)
        w = torch.roll(self.norm(x), (-1, -1), (1, 2))
        w = w.reshape(-1, 4, 2, 4, 2, 8).permute(0, 1, 3, 2, 4, 5).reshape(-1, 4, 8)
        w = self.mix(w.transpose(1, 2)).transpose(1, 2)
        w = w.reshape(-1, 4, 4, 2, 2, 8).permute(0, 1, 3, 2, 4, 5).reshape(-1, 8, 8, 8)
        x = x + torch.roll(w, (1, 1), (1, 2))
        parts = [x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)]
        return self.merge(torch.cat(parts, -1))


class Tokens(nn.Module):
    """As ViT: a class token before the tokens of the patches, attention with two heads."""

    def __init__(self, left=slice(None)):
        super().__init__()
        self.patch, self.left = nn.Conv2d(3, 8, 4, 4), left
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.norm, self.qkv, self.out = nn.LayerNorm(8), nn.Linear(8, 24), nn.Linear(8, 8)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1)
        q, k, v = self.qkv(self.norm(x)).reshape(-1, 17, 3, 2, 4).permute(2, 0, 3, 1, 4)
        seen = (q @ k.transpose(2, 3)).softmax(-1) @ v
        x = x + self.out(seen.transpose(1, 2).reshape(-1, 17, 8))
        return x[:, self.left]


class Mixer(nn.Module):
    """As MLP-Mixer: a dense layer over the tokens of each channel."""

    def __init__(self):
        super().__init__()
        self.patch, self.wide, self.back = (
            nn.Conv2d(3, 8, 4, 4),
            nn.Linear(16, 10),
            nn.Linear(10, 16),
        )

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        return x + self.back(self.wide(x.transpose(1, 2)).relu()).transpose(1, 2)


class Reader(nn.Module):
    """As CRNN: the picture's height is squeezed away, its width becomes the sequence."""

    def __init__(self):
        super().__init__()
        self.cnn, self.scores = nn.Conv2d(3, 8, (SIZE, 3), padding=(0, 1)), nn.Linear(8, 5)

    def forward(self, x):
        return self.scores(self.cnn(x).squeeze(2).permute(2, 0, 1))


class Boxes(nn.Module):
    """As SSD: for each of two anchors at each place four numbers, of two maps one after another."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 2, 1)

    def forward(self, x):
        a = self.first(x)
        maps = a, self.second(a)
        return torch.cat([m.permute(0, 2, 3, 1).reshape(m.shape[0], -1, 4) for m in maps], 1)


class Detector(nn.Module):
    """As YOLOv8: distances by an expectation over bins, beside the class scores."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 16 + 5, 3, 2, 1), nn.Conv2d(21, 21, 3, 2, 1)
        self.bins = nn.Conv2d(4, 1, 1, bias=False)

    def forward(self, x):
        a = self.first(x)
        flat = torch.cat([m.reshape(m.shape[0], 21, -1) for m in (a, self.second(a))], 2)
        box, scores = flat.split((16, 5), 1)
        box = box.reshape(x.shape[0], 4, 4, -1).transpose(2, 1).softmax(1)
        near, far = self.bins(box).reshape(x.shape[0], 4, -1).chunk(2, 1)
        return torch.cat([(near + far) / 2, far - near, scores.sigmoid()], 1)


class ChannelsLast(nn.Module):
    """As a block of ConvNeXt: channels first, last, and first again."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 4, 4), nn.LayerNorm(8)
        self.wide, self.back = nn.Linear(8, 32), nn.Linear(32, 8)

    def forward(self, x):
        x = self.conv(x)
        y = self.back(nn.functional.gelu(self.wide(self.norm(x.permute(0, 2, 3, 1)))))
        return x + y.permute(0, 3, 1, 2)


class Shuffled(nn.Module):
    """As ShuffleNet and ESPCN: channels shuffled between groups, then into pixels."""

    def __init__(self):
        super().__init__()
        self.conv, self.last = nn.Conv2d(3, 16, 4, 4), nn.Conv2d(4, 6, 1)

    def forward(self, x):
        x = self.conv(x)
        x = x.reshape(-1, 2, 8, 4, 4).transpose(1, 2).reshape(-1, 16, 4, 4)
        x = x.reshape(-1, 4, 2, 2, 4, 4).permute(0, 1, 4, 2, 5, 3).reshape(-1, 4, 8, 8)
        return self.last(x)


class Gated(nn.Module):
    """As ECA and CBAM: a gate from a convolution along the channels, another from their mean."""

    def __init__(self):
        super().__init__()
        self.conv, self.along = nn.Conv2d(3, 8, 4, 4), nn.Conv1d(1, 1, 3, padding=1)
        self.norm, self.over = nn.GroupNorm(2, 8), nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x):
        x = self.norm(self.conv(x))
        gate = self.along(x.mean((2, 3)).unsqueeze(1)).transpose(1, 2).unsqueeze(3)
        return x * gate.sigmoid() * self.over(x.mean(1, keepdim=True)).sigmoid()

"""Small networks with the heads that people export: what they end in, and the scores behind it."""

import torch
from torch import nn


class Heads(nn.Module):
    """A body of two convolutions with a dense head and two heads for maps.

    `scores` are the class scores that the network's end, one of `ENDS`, is computed from.
    """

    def __init__(self, kind):
        super().__init__()
        torch.manual_seed(1)
        self.kind = kind
        self.body = nn.Sequential(
            nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(), nn.Conv2d(6, 8, 3, 2, 1), nn.ReLU()
        )
        self.dense, self.single = nn.Linear(8, 5), nn.Linear(8, 1)
        self.classes, self.boxes = nn.Conv2d(8, 5, 3, padding=1), nn.Conv2d(8, 4, 1)
        self.down = nn.Conv2d(8, 8, 3, 2, 1)

    def forward(self, x):
        """Return the outputs of the exported network."""
        return ENDS[self.kind][0](self, self.body(x))

    def scores(self, x):
        """Return the class scores, in the layout of the tensor that should be found."""
        return ENDS[self.kind][1](self, self.body(x))


def dense(net, a):
    return net.dense(a.mean((2, 3)))


def single(net, a):
    return net.single(a.mean((2, 3)))


def levels(net, head, a):
    """Return a head's values for two levels, [N, channels, anchors]."""
    return torch.cat([head(level).flatten(2) for level in (a, net.down(a))], 2)


def rows(net, head, a):
    """Return the same as a detector of the SSD family lays them out, [N, anchors, channels]."""
    maps = [head(level).permute(0, 2, 3, 1) for level in (a, net.down(a))]
    return torch.cat([m.reshape(m.shape[0], -1, m.shape[-1]) for m in maps], 1)


def yolo(net, a):
    box = levels(net, net.boxes, a) * 8
    return torch.cat((box, levels(net, net.classes, a).sigmoid()), 1)


def one_class(net, a):
    return levels(net, lambda level: net.classes(level)[:, :1], a)


def pose(net, a):
    """Return boxes, the only class, and points with their visibility, as YOLO's pose networks."""
    box, seen = levels(net, net.boxes, a), levels(net, net.classes, a)[:, 1:3].sigmoid()
    points = torch.cat((box.unflatten(1, (2, 2)) * 4, seen.unflatten(1, (2, 1))), 2)
    return torch.cat((box * 8, one_class(net, a).sigmoid(), points.flatten(1, 2)), 1)


def best_boxes(net, a):
    """Return the three best boxes with score and class, as detectors without NMS do."""
    box, scores = yolo(net, a).transpose(1, 2).split((4, 5), 2)
    best, order = scores.max(2).values.topk(3, 1)
    chosen = box.gather(1, order[..., None].expand(-1, -1, 4))
    return torch.cat((chosen, best[..., None]), 2)


def per_level(net, a, join):
    """Return a head whose probabilities are computed level by level."""
    return torch.cat([join(level) for level in (a, net.down(a))], 1)


def best_per_level(net, a):
    """Return the best scores of each level, as torchvision's RetinaNet before NMS."""
    scores = rows(net, net.classes, a)
    parts = scores.split((30, scores.shape[1] - 30), 1)
    return torch.cat([part.flatten(1).sigmoid().topk(4, 1).values for part in parts], 1)


def softmax_per_level(net, a):
    return per_level(net, a, lambda t: net.classes(t).permute(0, 2, 3, 1).flatten(1, 2).softmax(-1))


def mixed_per_level(net, a):
    def join(level):
        box, classes = net.boxes(level) * 8, net.classes(level).sigmoid()
        return torch.cat((box, classes), 1).flatten(2).transpose(1, 2)

    return per_level(net, a, join)


def flat_maps(net, a):
    """Return boxes and classes of one level, flattened behind their Concat, as YOLOX does."""
    return torch.cat((net.boxes(a), net.classes(a).sigmoid()), 1).flatten(2).transpose(1, 2)


def one_map(net, a):
    return net.classes(a)[:, :1]


# By kind: what the network ends in, and the scores that should be found.
ENDS = {
    "softmax": (lambda n, a: dense(n, a).softmax(1), dense),
    "log softmax": (lambda n, a: dense(n, a).log_softmax(1), dense),
    "scores": (dense, dense),
    "multi-label": (lambda n, a: dense(n, a).sigmoid(), dense),
    "label first": (lambda n, a: (dense(n, a).argmax(1), dense(n, a).softmax(1)), dense),
    "argmax": (lambda n, a: dense(n, a).argmax(1), dense),
    "topk": (lambda n, a: dense(n, a).softmax(1).topk(3, 1), dense),
    "max": (lambda n, a: dense(n, a).softmax(1).max(1), dense),
    "squeezed": (lambda n, a: dense(n, a).softmax(1).squeeze(0), dense),
    "scores squeezed": (lambda n, a: dense(n, a).squeeze(0), dense),
    "scores squeezed, argmax": (lambda n, a: dense(n, a).squeeze(0).argmax(0), dense),
    "scores squeezed, softmax": (lambda n, a: dense(n, a).squeeze(0).softmax(0), dense),
    "first image, softmax": (lambda n, a: dense(n, a)[0].softmax(0), dense),
    "exp of log softmax": (lambda n, a: dense(n, a).log_softmax(1).exp(), dense),
    "over a threshold": (lambda n, a: dense(n, a).sigmoid() > 0.5, dense),
    "scores over a threshold": (lambda n, a: (dense(n, a) > 0).float(), dense),
    "without background": (lambda n, a: dense(n, a).softmax(1)[:, 1:], dense),
    "features first": (lambda n, a: (a.mean((2, 3)), dense(n, a)), dense),
    "binary": (lambda n, a: single(n, a).sigmoid(), single),
    "regression": (single, single),
    "regression of rank 1": (lambda n, a: single(n, a).squeeze(1), lambda n, a: single(n, a)[:, 0]),
    "segmentation": (lambda n, a: n.classes(a), lambda n, a: n.classes(a)),
    "segmentation, softmax": (lambda n, a: n.classes(a).softmax(1), lambda n, a: n.classes(a)),
    "segmentation, labels": (lambda n, a: n.classes(a).argmax(1), lambda n, a: n.classes(a)),
    "depth": (lambda n, a: one_map(n, a).squeeze(1), one_map),
    "mask": (lambda n, a: one_map(n, a).sigmoid().squeeze(1) > 0.5, one_map),
    "flat maps": (flat_maps, lambda n, a: n.classes(a)),
    "yolo": (yolo, lambda n, a: levels(n, n.classes, a)),
    "yolo, boxes last": (
        lambda n, a: yolo(n, a).transpose(1, 2), lambda n, a: levels(n, n.classes, a)
    ),
    "pose": (pose, one_class),
    "best boxes": (best_boxes, lambda n, a: levels(n, n.classes, a)),
    "ssd": (
        lambda n, a: (rows(n, n.boxes, a), rows(n, n.classes, a).softmax(-1)),
        lambda n, a: rows(n, n.classes, a),
    ),
    "detr": (
        lambda n, a: (rows(n, n.boxes, a).sigmoid(), rows(n, n.classes, a)),
        lambda n, a: rows(n, n.classes, a),
    ),
    "best per level": (best_per_level, lambda n, a: rows(n, n.classes, a)),
    "softmax per level": (softmax_per_level, softmax_per_level),
    "boxes and classes per level": (mixed_per_level, None),
}  # fmt: skip

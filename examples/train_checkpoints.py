"""Trains the example network briefly, and exports it after epochs 1, 2, 5 and 10.

Run: python examples/train_checkpoints.py FOLDER (minutes on two CPU cores; needs torch).
"""

import sys
from pathlib import Path

import torch
from shapes_data import draw_set
from shapes_net import ShapeNet
from train_shapes import TRAIN_SEED, export, preprocess, train

PICTURES = 1_600
KEPT = (1, 2, 5, 10)


def main(folder: Path) -> None:
    """Draw, train, and write `epoch_01.onnx` and the others to the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    pictures, _, labels = draw_set(PICTURES, TRAIN_SEED)
    net = ShapeNet()

    def keep(epoch: int) -> None:
        if epoch in KEPT:
            export(net, folder / f"epoch_{epoch:02}.onnx")

    images, classes = torch.from_numpy(preprocess(pictures)), torch.from_numpy(labels)
    train(net, images, classes, max(KEPT), keep)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

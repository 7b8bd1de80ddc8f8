"""Trains the example network on drawn shapes and exports it to shapes.onnx, with test pictures.

Run: python examples/train_shapes.py (minutes on two CPU cores; needs torch and onnxruntime).
"""

import io
import json
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read on import

import onnxruntime
import torch
from PIL import Image
from shapes_data import CLASSES, SIZE, draw_set
from shapes_net import ShapeNet
from torch import Tensor, nn

FOLDER = Path(__file__).resolve().parent
MODEL_FILE = FOLDER / "shapes.onnx"
PICTURES, MASKS = FOLDER / "pictures", FOLDER / "masks"

TRAIN, TRAIN_SEED = 12_000, 1
TEST, TEST_SEED = 2_000, 2
SHOWN, SHOWN_SEED = 2 * len(CLASSES), 3
EPOCHS = 8
BATCH = 32

PREPROCESS = {  # value = (pixel in 0..255 * scale - mean) / std, channels first
    "size": [SIZE, SIZE],
    "crop": "none",
    "color": "RGB",
    "mean": [0.5, 0.5, 0.5],
    "std": [0.25, 0.25, 0.25],
    "scale": 1 / 255,
}


# -- training ----------------------------------------------------------------------------


def preprocess(pictures: np.ndarray) -> np.ndarray:
    """Convert pictures uint8 [N, 64, 64, 3] to the network's input float32 [N, 3, 64, 64]."""
    mean, std = np.float32(PREPROCESS["mean"]), np.float32(PREPROCESS["std"])
    values = (pictures * np.float32(PREPROCESS["scale"]) - mean) / std
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2))


def train(
    net: ShapeNet,
    images: Tensor,
    labels: Tensor,
    epochs: int = EPOCHS,
    after: Callable[[int], None] = lambda epoch: None,
) -> None:
    """Fit `net` to `images` with random flips and quarter turns; print each epoch's loss.

    after: called with each completed epoch's number, with the network in evaluation mode.
    """
    steps = epochs * -(-len(images) // BATCH)
    optimizer = torch.optim.SGD(
        net.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-3
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.05, total_steps=steps)
    net.to(memory_format=torch.channels_last)  # the faster layout on CPU
    for epoch in range(epochs):
        net.train()
        total = 0.0
        for rows in torch.randperm(len(images)).split(BATCH):
            batch = images[rows].rot90(int(torch.randint(4, ())), (2, 3))
            if torch.rand(()) < 0.5:
                batch = batch.flip(3)
            batch = batch.contiguous(memory_format=torch.channels_last)
            loss = nn.functional.cross_entropy(net(batch), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(rows)
        print(f"epoch {epoch + 1} of {epochs}: loss {total / len(images):.4f}", flush=True)
        net.eval()
        after(epoch + 1)
    net.eval().to(memory_format=torch.contiguous_format)


# -- export ------------------------------------------------------------------------------


def export(net: ShapeNet, path: Path = MODEL_FILE) -> None:
    """Write `net` to a file: only the batch is dynamic, and BatchNorm stays a node."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, but it names nodes after their modules
        torch.onnx.export(
            net,
            (torch.zeros(1, 3, SIZE, SIZE),),
            file,
            input_names=["image"],
            output_names=["scores"],
            dynamic_axes={"image": {0: "N"}, "scores": {0: "N"}},
            opset_version=17,
            training=torch.onnx.TrainingMode.PRESERVE,
            dynamo=False,
        )
    model = onnx.load_model_from_string(file.getvalue())
    onnx.helper.set_model_props(
        model,
        {
            "onnxplain.preprocess": json.dumps(PREPROCESS),
            "onnxplain.labels": json.dumps(CLASSES),
        },
    )
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def run_exported(pictures: np.ndarray) -> np.ndarray:
    """Return the scores [N, 8] of the exported file for `pictures`, by ONNX Runtime."""
    session = onnxruntime.InferenceSession(MODEL_FILE, providers=["CPUExecutionProvider"])
    parts = np.array_split(preprocess(pictures), max(1, len(pictures) // 250))
    return np.concatenate([session.run(["scores"], {"image": part})[0] for part in parts])


def save_pictures() -> int:
    """Write the test pictures and their masks; return how many the exported file gets right."""
    for folder in (PICTURES, MASKS):
        folder.mkdir(exist_ok=True)
    pictures, masks, labels = draw_set(SHOWN, SHOWN_SEED)
    for i, (picture, mask, label) in enumerate(zip(pictures, masks, labels, strict=True)):
        name = f"{CLASSES[label]}_{i // len(CLASSES) + 1}.png"
        Image.fromarray(picture).save(PICTURES / name)
        Image.fromarray(mask * np.uint8(255)).save(MASKS / name)
    return int((run_exported(pictures).argmax(1) == labels).sum())


def main() -> None:
    """Draw, train, export, and print the accuracy on newly drawn pictures."""
    torch.set_num_threads(2)
    torch.manual_seed(0)
    start = time.perf_counter()
    pictures, _, labels = draw_set(TRAIN, TRAIN_SEED)
    test_pictures, _, test_labels = draw_set(TEST, TEST_SEED)
    print(f"drew {TRAIN} pictures to train on and {TEST} others to test on")

    net = ShapeNet()
    train(net, torch.from_numpy(preprocess(pictures)), torch.from_numpy(labels))
    with torch.inference_mode():
        test_images = torch.from_numpy(preprocess(test_pictures))
        scores = torch.cat([net(part) for part in test_images.split(250)]).numpy()
    export(net)
    exported = run_exported(test_pictures)

    print(f"held-out accuracy: {(scores.argmax(1) == test_labels).mean():.2%}")
    print(f"held-out accuracy of shapes.onnx: {(exported.argmax(1) == test_labels).mean():.2%}")
    print(f"largest difference between their scores: {np.abs(scores - exported).max():.1e}")
    print(f"saved pictures that shapes.onnx gets right: {save_pictures()} of {SHOWN}")
    print(f"shapes.onnx: {MODEL_FILE.stat().st_size / 1000:.0f} kB")
    print(f"run time: {time.perf_counter() - start:.0f} s ({time.process_time():.0f} s of CPU)")


if __name__ == "__main__":
    main()

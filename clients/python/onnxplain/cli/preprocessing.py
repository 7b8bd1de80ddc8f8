"""The help of --preprocess and --labels: the pictures' preprocessing and the classes' names."""

from __future__ import annotations

__all__ = ["LABELS_HELP", "PREPROCESS_HELP"]

PREPROCESS_HELP = (
    "a preset (imagenet, torchvision, unit, signed, raw, raw_bgr, caffe, gray, gray_raw), "
    "KEY=VALUE pairs, or both: 'raw,size=240x320,mean=127,std=128', 'torchvision,resize=232'. "
    "Keys: size (height x width), crop (none or center), resize (the shorter side before the "
    "crop), interpolation (bilinear, bicubic, lanczos or nearest), color (RGB, BGR or GRAY), mean, "
    "std (one number or one per channel), scale. "
    "value = (pixel * scale - mean) / std. Default: the model's metadata, else an assumption that "
    "is printed"
)

LABELS_HELP = (
    "class names: a file with one per line, or `index,name` on every line; or imagenet, the names "
    "of its 1000 classes"
)

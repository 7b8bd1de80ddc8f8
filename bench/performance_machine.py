"""The machine and the versions that `performance.py` ran on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Sequence
from pathlib import Path

__all__ = ["machine", "version"]

PACKAGES = ("onnxruntime", "torch", "torchvision", "captum", "onnx", "numpy")


def machine(packages: Sequence[str] = PACKAGES) -> str:
    """Return the processor and the packages' versions, as the page tells them."""
    name, flags = _processor()
    wide = "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else "no AVX2"
    used = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    about = f"{name}, {used} cores, {wide}, {platform.system()} {platform.machine()}"
    facts = f"{about}; Python {platform.python_version()}, {versions}"
    if "torch" not in packages:
        return f"{facts}."
    import torch  # here, as other benchmarks do without it

    built = f"CUDA {torch.version.cuda}" if torch.version.cuda else "the CPU"
    return f"{facts}; PyTorch built for {built}."


def _processor() -> tuple[str, list[str]]:
    """Return the processor's name and the features that it has."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine(), []
    facts = {key.strip(): value.strip() for key, _, value in (x.partition(":") for x in lines)}
    return facts.get("model name", platform.machine()), facts.get("flags", "").split()


def version(package: str) -> str:
    """Return the version of an installed package, or of its build for GPUs."""
    for name in (package, f"{package}-gpu"):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "not installed"

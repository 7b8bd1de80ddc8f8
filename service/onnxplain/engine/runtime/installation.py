"""The installed ONNX Runtime, imported at its first use: much of onnxplain works without it."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import re
import warnings
from types import ModuleType

from onnxplain.graphops.errors import MissingRuntime, one_line

__all__ = ["InstallationWarning", "installed_wheels", "onnx_runtime", "warn_of_two_wheels"]

OLDEST = (1, 31)  # what the extras demand too
WHEELS = {"onnxruntime": "cpu", "onnxruntime-gpu": "gpu"}  # and the extra that installs each
CHOICE = (
    "`pip install 'onnxplain[gpu]'` (Linux x86-64 and Windows; for CUDA and the CPU), "
    "'onnxplain[cuda]' (the same with CUDA's libraries) or 'onnxplain[cpu]' (any machine)"
)
ONLY_ONE = (
    f"`pip uninstall -y {' '.join(WHEELS)}`, then `pip install 'onnxplain[gpu]'`, or "
    "'onnxplain[cpu]' where CUDA is not needed"
)


class InstallationWarning(UserWarning):
    """Packages that onnxplain needs are installed in a way that is likely to fail."""


@functools.cache
def onnx_runtime() -> ModuleType:
    """Import ONNX Runtime.

    Returns:
        The module `onnxruntime`.

    Raises:
        MissingRuntime: it is not installed, is too old, or cannot be imported.
    """
    # The wheels send telemetry unless this is set when they are imported.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime
    except ModuleNotFoundError as e:
        if e.name != "onnxruntime":
            raise MissingRuntime(f"ONNX Runtime cannot be imported: {one_line(e)}") from e
        raise MissingRuntime(f"ONNX Runtime is not installed: {CHOICE}") from e
    except ImportError as e:
        raise MissingRuntime(
            f"ONNX Runtime is installed but cannot be imported: {one_line(e)}; to install it "
            f"anew: {ONLY_ONE}"
        ) from e
    if not hasattr(onnxruntime, "InferenceSession"):  # a folder that another wheel left
        raise MissingRuntime(f"ONNX Runtime is installed in part only: {ONLY_ONE}")
    _check_version(str(onnxruntime.__version__))
    module: ModuleType = onnxruntime
    return module


@functools.cache
def warn_of_two_wheels() -> None:
    """Warn, once per process, where the wheels for the CPU and the GPU are both installed."""
    if len(installed_wheels()) > 1:
        warnings.warn(two_wheels(), InstallationWarning, stacklevel=2)


def two_wheels() -> str:
    """Return what is wrong where both wheels are installed, and the cure."""
    return f"{' and '.join(WHEELS)} are both installed and overwrite each other: {ONLY_ONE}"


def installed_wheels() -> tuple[str, ...]:
    """Return the distributions of ONNX Runtime that are installed."""
    return tuple(wheel for wheel in WHEELS if _is_installed(wheel))


def _check_version(version: str) -> None:
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers is None or (int(numbers[1]), int(numbers[2])) >= OLDEST:
        return
    extras = [WHEELS[wheel] for wheel in installed_wheels()]
    cure = f": `pip install 'onnxplain[{extras[0]}]'`" if len(extras) == 1 else ""
    raise MissingRuntime(
        f"ONNX Runtime {version} is too old, onnxplain needs {OLDEST[0]}.{OLDEST[1]} or newer{cure}"
    )


def _is_installed(distribution: str) -> bool:
    try:
        importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True

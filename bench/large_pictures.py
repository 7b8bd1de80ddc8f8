"""Peak memory of `onnxplain explain` and of a service for pictures of 8000x8000 pixels.

Usage: `python bench/large_pictures.py`, or `make bench-pictures`. Writes the last section of
docs/memory.md, and fails if a process takes more than 1 GiB.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "memory.md"
MODEL = ROOT / "examples" / "shapes.onnx"
HEADING = "## Large pictures"
SIDE = 8000  # pixels
LIMIT = 1024  # MiB
KINDS = {  # each with the mode and the options of saving
    "JPEG": ("RGB", {"quality": 90}),
    "progressive JPEG": ("RGB", {"quality": 90, "progressive": True}),
    "PNG": ("RGB", {"compress_level": 6}),
    "PNG with transparency": ("RGBA", {"compress_level": 6}),
}
COMMAND = [sys.executable, "-m", "onnxplain.cli"]


def main() -> None:
    lines = []
    for line in measured():
        print(line, flush=True)
        lines.append(line)
    page = PAGE.read_text().partition(HEADING)[0]
    PAGE.write_text(page + "\n".join([*INTRODUCTION, "", *lines]) + "\n")


def measured() -> Iterator[str]:
    """Measure, and yield the table line by line."""
    yield "| picture | file | `explain` | a service |"
    yield "|---|---|---|---|"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Image.new("RGB", (64, 64)).save(folder / "small.png")
        yield row("64x64 PNG", folder / "small.png", folder)
        for kind in KINDS:
            file = folder / f"large.{kind.split()[-1] if 'JPEG' in kind else kind.split()[0]}"
            subprocess.run([sys.executable, __file__, "write", kind, str(file)], check=True)
            yield row(f"{SIDE}x{SIDE} {kind}", file, folder)
            file.unlink()


def row(title: str, file: Path, folder: Path) -> str:
    """Return a row: the picture, its file's size, and the peak memory of both processes."""
    flags = [str(file), "--method", "gradient", "-o", str(folder / "out.png")]
    here = peak([sys.executable, __file__, "measure", "explain", str(MODEL), *flags])
    there = served_peak(flags)
    if max(here, there) > LIMIT:
        sys.exit(f"{title}: {here} and {there} MiB, above the limit of {LIMIT} MiB")
    return f"| {title} | {file.stat().st_size / 2**20:.0f} MiB | {here} MiB | {there} MiB |"


def peak(command: list[str]) -> int:
    """Return what a command that prints its own peak memory last prints."""
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return int(found.stdout.split()[-1])


def served_peak(flags: list[str]) -> int:
    """Return the peak memory in MiB of a service that explains one picture."""
    models = ["--models", str(MODEL.parent), "--listen", "127.0.0.1:0"]
    process = subprocess.Popen([*COMMAND, "serve", *models], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        address = process.stdout.readline().split()[-1]
        command = [*COMMAND, "explain", MODEL.stem, *flags, "--server", address]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        status = Path(f"/proc/{process.pid}/status").read_text()
    finally:
        process.terminate()
        process.wait()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def measure(arguments: list[str]) -> None:
    """Run the command line in this process, and print its peak memory in MiB."""
    from onnxplain.cli.main import main as run

    if run(arguments) != 0:
        sys.exit("the command failed")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def write(kind: str, file: str) -> None:
    """Write a picture of smooth colours and some noise."""
    mode, options = KINDS[kind]
    rng = np.random.default_rng(0)
    channels = len(mode)
    coarse = Image.fromarray(rng.integers(0, 256, (40, 40, channels), np.uint8))
    pixels = np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC)).copy()
    pixels[::8, ::8] ^= rng.integers(0, 8, pixels[::8, ::8].shape, np.uint8)
    Image.fromarray(pixels).save(file, **options)


INTRODUCTION = f"""{HEADING}

A picture is decoded once and resized without a copy. A JPEG of over 32 megapixels is decoded at a
half, a quarter or an eighth of its size, as long as that leaves twice the network's own pixels in
each direction and 2,048 along its longer side. `make bench-pictures` measures the peak memory of
whole processes, Python and ONNX Runtime included, for the gradient of the top class of
`examples/shapes.onnx`, and fails above {LIMIT} MiB. The service holds the file as well:
""".splitlines()

if __name__ == "__main__":
    match sys.argv[1:]:
        case ["measure", *arguments]:
            measure(arguments)
        case ["write", kind, file]:
            write(kind, file)
        case _:
            main()

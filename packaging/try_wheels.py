"""Install the two wheels in fresh environments, as users do, and try what the README promises.

Usage: python packaging/try_wheels.py FOLDER [PYTHON ...]. FOLDER holds the wheels of onnxplain and
onnxplain-client, which `make wheel` builds. By default, one Python of each version that PATH or
pyenv has is used.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT / "examples/shapes.onnx"
PICTURE = ROOT / "examples/pictures/star_1.png"
# The distributions that the client may bring, besides Python's own.
CLIENT = {
    "googleapis-common-protos", "grpcio", "grpcio-status", "numpy", "onnxplain-client", "protobuf",
    "typing-extensions",
}  # fmt: skip
PACKAGES = {
    "onnxplain": ("proto", "graphops", "service", "clients/python"),
    "onnxplain_client": ("proto/onnxplain/v1", "clients/python/onnxplain/client"),
}
NEWEST = 20  # no Python 3.20 is looked for

NO_RUNTIME = """
import onnxplain.client, onnxplain.engine, onnxplain.graphops, sys
from onnxplain.engine import Engine
from onnxplain.graphops.errors import MissingRuntime
try:
    Engine()
except MissingRuntime as error:
    print(error)
"""

ASK = """
import sys
from onnxplain.client import Client, ClientError
with Client(sys.argv[1]) as client:
    result = client.explain("shapes", sys.argv[2], layer="mixed", units="top:4")
    print(result.channels.tolist(), result.attribution.shape)
    try:
        client.explain("shapes", sys.argv[2], layer="mixt")
    except ClientError as error:
        print(error.kind)
try:
    import onnxplain.engine
except ModuleNotFoundError:
    print("no engine")
"""


class Environment:
    """A fresh virtual environment, of a Python of one's choice."""

    def __init__(self, folder: Path, python: str) -> None:
        self.folder = folder
        subprocess.run([python, "-m", "venv", folder], check=True)

    def install(self, requirement: str) -> None:
        """Install with pip, and print how long it took and how large the environment is."""
        start = time.monotonic()
        self.run("python", "-m", "pip", "install", "--quiet", requirement)
        seconds = time.monotonic() - start
        size = sum(f.lstat().st_size for f in self.folder.rglob("*") if f.is_file())
        name = requirement.partition(" @ ")[0].rpartition("/")[2]
        print(f"  pip install {name}: {seconds:.0f} s, then {size / 1e6:.0f} MB", flush=True)

    def distributions(self) -> set[str]:
        """Return the names of what is installed, without pip and setuptools."""
        listed = self.run("python", "-m", "pip", "list", "--format=freeze").stdout.split()
        return {line.split("==")[0].lower().replace("_", "-") for line in listed} - {
            "pip",
            "setuptools",
        }

    def run(self, *command: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment in its folder. Exits where its code is another."""
        done = subprocess.run(
            self.command(*command), env=self.variables(), cwd=self.folder, text=True,
            capture_output=True, timeout=600, check=False,
        )  # fmt: skip
        if done.returncode != code:
            sys.exit(f"{done.args} returned {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def command(self, program: object, *arguments: object) -> list[str]:
        """Return the command line of a program of the environment."""
        return [str(self.folder / "bin" / str(program)), *map(str, arguments)]

    def variables(self) -> dict[str, str]:
        """Return the process's variables, less what leads to modules of the tree.

        Matplotlib lists the fonts anew, as at a user's first drawing.
        """
        kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
        return kept | {"MPLCONFIGDIR": str(self.folder / "matplotlib")}


def main(folder: str, *pythons: str) -> None:
    """Check the wheels' contents, then install and try them on each Python."""
    wheels = {name: next(Path(folder).glob(f"{name}-*.whl")).resolve() for name in PACKAGES}
    for name, wheel in wheels.items():
        check_contents(wheel, PACKAGES[name])
    versions = {wheel.name.split("-")[1] for wheel in wheels.values()}
    require(len(versions) == 1, f"the wheels have one version: {versions}")
    tried = []
    for python in pythons or found():
        version = subprocess.check_output([python, "--version"], text=True).strip()
        print(f"\n{version}", flush=True)
        start = time.monotonic()
        with tempfile.TemporaryDirectory() as place:
            try_wheels(Path(place), python, wheels, *versions)
        tried.append(f"{version} ({time.monotonic() - start:.0f} s)")
    require(bool(tried), "there is a Python 3.11 or newer")
    print(f"\nThe wheels work on {', '.join(tried)}")


def found() -> Iterator[str]:
    """Yield one Python of each version that onnxplain supports, from PATH or else from pyenv."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for minor in range(11, NEWEST):
        name = f"python3.{minor}"
        candidates = [shutil.which(name), *sorted(versions.glob(f"3.{minor}.*/bin/{name}"))]
        yield from [str(one) for one in candidates if one and runs(one)][:1]


def runs(python: str | Path) -> bool:
    """Return whether a Python runs: pyenv puts names of versions on PATH that are not active."""
    command = [python, "-c", "import venv"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def check_contents(wheel: Path, folders: tuple[str, ...]) -> None:
    """Check that a wheel holds the files of these folders that git knows, and nothing else."""
    listed = subprocess.check_output(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *folders],
        cwd=ROOT, text=True,
    ).splitlines()  # fmt: skip
    expected = {"onnxplain/" + f.partition("/onnxplain/")[2] for f in listed if "/onnxplain/" in f}
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        licences = [name for name in archive.namelist() if name.endswith("/LICENSE")]
    require(names == expected, f"{wheel.name} differs from git by {sorted(names ^ expected)}")
    require(len(licences) == 1, f"{wheel.name} has the licence")
    print(f"{wheel.name}: {wheel.stat().st_size / 1000:.0f} kB, {len(names)} files", flush=True)


def try_wheels(place: Path, python: str, wheels: dict[str, Path], version: str) -> None:
    """Try onnxplain without ONNX Runtime, then with it, then the client by itself."""
    full = Environment(place / "full", python)
    full.install(str(wheels["onnxplain"]))
    try_without_runtime(full, version)
    full.install(f"onnxplain[cpu] @ {wheels['onnxplain'].as_uri()}")
    try_with_runtime(full)
    try_two_runtimes(full)
    thin = Environment(place / "thin", python)
    thin.install(str(wheels["onnxplain_client"]))
    require(thin.distributions() == CLIENT, f"the client needs {sorted(thin.distributions())}")
    with service(full) as address:
        answer = thin.run("python", "-c", ASK, address, PICTURE).stdout.splitlines()
    require(answer == ["[[44, 60, 62, 49]] (1, 4, 3, 64, 64)", "UnknownLayer", "no engine"], answer)
    print("  onnxplain-client by itself: explains a picture on a server", flush=True)


def try_without_runtime(full: Environment, version: str) -> None:
    """Try what works without ONNX Runtime, and what is said where it is needed."""
    runtimes = [name for name in full.distributions() if name.startswith("onnxruntime")]
    require(not runtimes, f"no runtime is installed: {runtimes}")
    require(full.run("onnxplain", "--version").stdout == f"onnxplain {version}\n", "--version")
    full.run("onnxplain", "--help")
    full.run("python", "-m", "onnxplain", "--help")
    full.run("onnxplain", "layers", MODEL)
    full.run("onnxplain", "check", MODEL, "--layer", "mixed")
    rewrite = ("onnxplain", "rewrite", MODEL, "--layer", "mixed", "-o", "explained.onnx")
    require(full.run(*rewrite, "--no-verify").stderr == "", "rewrite --no-verify is silent")
    for text in (
        full.run(*rewrite).stderr,
        full.run("onnxplain", "explain", MODEL, PICTURE, code=1).stderr,
        full.run("onnxplain", "serve", "--models", ROOT / "examples", code=1).stderr,
        full.run("python", "-c", NO_RUNTIME).stdout,
    ):
        named = all(f"onnxplain[{extra}]" in text for extra in ("gpu", "cuda", "cpu"))
        require(named and text.count("\n") == 1, f"the extras are named: {text}")
    print("  without ONNX Runtime: rewrites, and names the extras", flush=True)


def try_with_runtime(full: Environment) -> None:
    """Explain a picture, and run the demo."""
    done = full.run("onnxplain", "explain", MODEL, PICTURE, "-o", "star.png")
    require(done.stderr == "", done.stderr)
    require((full.folder / "star.png").read_bytes().startswith(b"\x89PNG"), "star.png is a PNG")
    demo = full.run("python", ROOT / "examples/demo.py").stdout
    require(demo.rstrip().endswith("grid.png"), demo)
    print("  with ONNX Runtime: explains a picture, runs the demo", flush=True)


def try_two_runtimes(full: Environment) -> None:
    """Explain with both wheels of ONNX Runtime, the second as far as pip's records go."""
    (record,) = full.folder.rglob("onnxruntime-*.dist-info")
    second = record.with_name(record.name.replace("onnxruntime", "onnxruntime_gpu", 1))
    shutil.copytree(record, second)
    metadata = (second / "METADATA").read_text()
    (second / "METADATA").write_text(
        metadata.replace("Name: onnxruntime\n", "Name: onnxruntime-gpu\n")
    )
    both = full.run("onnxplain", "explain", MODEL, PICTURE).stderr
    require(both.count("\n") == 1 and "pip uninstall -y onnxruntime onnxruntime-gpu" in both, both)
    cuda = full.run("onnxplain", "explain", MODEL, PICTURE, "--device", "cuda", code=1).stderr
    require(cuda.count("\n") == 1 and "both installed" in cuda, cuda)
    shutil.rmtree(second)
    print("  with both wheels of ONNX Runtime: one warning, an error for CUDA", flush=True)


@contextmanager
def service(full: Environment) -> Iterator[str]:
    """Serve the examples on a free local port; yield its address, and stop it at the end."""
    arguments = ("serve", "--models", ROOT / "examples", "--listen", "127.0.0.1:0")
    command = full.command("onnxplain", *arguments)
    with subprocess.Popen(
        command, env=full.variables(), cwd=full.folder, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            ready = process.stdout.readline() if process.stdout else ""
            require(bool(ready), "the service starts")
            yield ready.split()[-1]
        finally:
            process.terminate()


def require(holds: bool, what: object) -> None:
    """Exit with a message unless something holds."""
    if not holds:
        sys.exit(f"not so: {what}")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Libraries that stand in for CUDA's, so that ONNX Runtime's CUDA provider loads without a GPU.

They have the functions that onnxruntime-gpu's provider needs, and these do nothing but say that all
is well; device memory is the process's own. A session can be created, and shows where each node is
placed; a run fails at its first kernel. Needs gcc, nm and strings.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["with_stand_ins"]

MARK = "ONNXPLAIN_STAND_IN"
NEEDED = r"(\w+)@+(lib(?:cublasLt|cublas|cudart|curand)\.so\.\d+)"
ALLOCATE = "{*p = aligned_alloc(256, (n + 255) / 256 * 256); return 0;}"
MAKE = "{*p = malloc(64); return 0;}"
WORDS = '{return "stand-in";}'
# The functions that must do more than return 0, without their names.
BODIES = {
    r"cudaMalloc|cudaHostAlloc|cudaMallocHost|cudaMallocAsync|cudaMallocFromPoolAsync": (
        f"int NAME(void **p, size_t n) {ALLOCATE}"
    ),
    r"cudaFree\w*": "int NAME(void *p) {free(p); return 0;}",
    r"cudaMemcpy(Async)?": (
        "int NAME(void *to, void *from, size_t n) {memcpy(to, from, n); return 0;}"
    ),
    r"cudaMemset(Async)?": "int NAME(void *p, int v, size_t n) {memset(p, v, n); return 0;}",
    r"cudaGetDeviceCount": "int NAME(int *n) {*n = 1; return 0;}",
    r"cudaGetDevice": "int NAME(int *n) {*n = 0; return 0;}",
    r"cuda(Driver|Runtime)GetVersion": "int NAME(int *n) {*n = 13000; return 0;}",
    r"cudaMemGetInfo": "int NAME(size_t *a, size_t *b) {*a = *b = 1l << 35; return 0;}",
    # Attributes 75 and 76 are the compute capability.
    r"cudaDeviceGetAttribute": (
        "int NAME(int *v, int a) {*v = a == 75 ? 9 : a == 76 ? 0 : 64; return 0;}"
    ),
    # totalGlobalMem, warpSize, maxThreadsPerBlock, major and multiProcessorCount.
    r"cudaGetDeviceProperties": (
        "int NAME(char *p) {memset(p, 0, 800); *(size_t *)(p + 288) = 1l << 35; "
        "*(int *)(p + 308) = 32; *(int *)(p + 320) = 1024; *(int *)(p + 360) = 9; "
        "*(int *)(p + 384) = 132; return 0;}"
    ),
    r"(cuda|cudnn)GetError(String|Name)|cublasGetStatus(String|Name)": f"char *NAME() {WORDS}",
    r"cudnnGetVersion": "size_t NAME() {return 91500;}",
    r"cudnnGetCudartVersion": "size_t NAME() {return 13000;}",
    r"__cudaRegisterFatBinary": "static void *all[4]; void **NAME() {return all;}",
    r"__cudaPushCallConfiguration": "unsigned NAME() {return 1;}",
    r"(cuda(Stream|Event|MemPool)|cublas\w*|cudnn)Create\w*": f"int NAME(void **p) {MAKE}",
}


def with_stand_ins(why: str) -> None:
    """Start this program again with the stand-ins, or stop it where that cannot help.

    why: the reason why CUDA does not work without them.
    """
    if MARK in os.environ:
        return
    missing = [tool for tool in ("gcc", "nm", "strings") if shutil.which(tool) is None]
    package = importlib.util.find_spec("onnxruntime")
    provider = Path(package.origin or "").parent / "capi" / "libonnxruntime_providers_cuda.so"
    if missing or not provider.exists():
        print(f"no placement: {why}; stand-ins need {', '.join(missing) or 'onnxruntime-gpu'}")
        sys.exit(0)
    folder = tempfile.mkdtemp()
    _build(provider, Path(folder))
    environment = os.environ | {"LD_LIBRARY_PATH": folder, MARK: "1"}
    sys.exit(subprocess.run([sys.executable, *sys.argv], env=environment).returncode)


def _build(provider: Path, folder: Path) -> None:
    """Compile a library for each that ONNX Runtime's CUDA provider is linked to or opens."""
    libraries: dict[str, set[str]] = {"libcuda.so.1": {"cuTensorMapEncodeTiled"}}
    command = ["nm", "-D", "--undefined-only", str(provider)]
    for symbol in subprocess.run(
        command, check=True, capture_output=True, text=True
    ).stdout.split():
        if match := re.fullmatch(NEEDED, symbol):
            libraries.setdefault(match[2], set()).add(match[1])
    libraries.setdefault("libcurand.so.10", set()).add("curandCreateGenerator")
    text = subprocess.run(["strings", str(provider)], check=True, capture_output=True, text=True)
    libraries["libcudnn.so.9"] = set(re.findall(r"^cudnn[A-Z]\w+$", text.stdout, re.MULTILINE))
    for library, names in libraries.items():
        source, versions = folder / f"{library}.c", folder / f"{library}.map"
        functions = "\n".join(map(_function, sorted(names)))
        source.write_text(f"#include <stdlib.h>\n#include <string.h>\n{functions}\n")
        versions.write_text(f"{library} {{ global: *; }};\n")
        subprocess.run(
            ["gcc", "-w", "-shared", "-fPIC", f"-Wl,-soname,{library}"]
            + [f"-Wl,--version-script={versions}", "-o", folder / library, source],
            check=True,
        )


def _function(name: str) -> str:
    bodies = (body for pattern, body in BODIES.items() if re.fullmatch(pattern, name))
    return next(bodies, "int NAME() {return 0;}").replace("NAME", name)

"""Building a kernel from its C++ sources with the compiler of this machine, once for each machine and version.

A built library lies in a cache under a name made of its sources, the compiler, the flags and the processor, so that a
changed one of these is another library. It comes into place in one move: processes that start at once may build it
twice, but none ever loads half of one.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import pooch
import torch

VARIABLE = "TORCHMANN_KERNELS"
COMPILERS = ("g++", "clang++", "c++")
# without -ffast-math: the vectors are explicit, NaN stays NaN, and 1 - (1 - w) keeps its rounding
COMPILE = (
    *("-std=c++17", "-O3", "-march=native", "-fPIC", "-pthread", "-fvisibility=hidden"),
    *("-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros", "-fno-strict-aliasing", "-ffp-contract=fast"),
)


class KernelUnavailable(RuntimeError):
    """A kernel cannot be built or loaded on this machine; the message says why in one sentence."""


def cache_directory() -> Path:
    """Where built kernels lie: the folder that TORCHMANN_KERNELS names, else one of this user."""
    given = os.environ.get(VARIABLE)
    return Path(given).expanduser() if given else Path(pooch.os_cache("torchmann")) / "kernels"


def built(name: str, main: Path, shared: Path, defines: Mapping[str, str]) -> ctypes.CDLL:
    """The library `name` made of the C++ file `main`, built if the cache does not have it.

    Args:
        name: with which the name of the library's file begins.
        main: the file to compile; all files of its folder count as sources.
        shared: a folder of headers, which count as sources, too.
        defines: preprocessor definitions.

    Raises:
        KernelUnavailable: no compiler, another platform, or the build failed.
    """
    if platform.system() != "Linux":
        raise KernelUnavailable(f"kernels are built on Linux only, and this is {platform.system()}.")
    compiler = find_compiler()
    flags = [
        *COMPILE,
        *os.environ.get("CXXFLAGS", "").split(),
        *(f"-D{key}={value}" for key, value in defines.items()),
    ]
    library = cache_directory() / f"{name}-{_key((main.parent, shared), compiler, flags)}.so"
    if not library.exists():
        _build(compiler, [*flags, f"-I{shared}"], main, library)
    try:
        return ctypes.CDLL(str(library))
    except OSError as error:
        raise KernelUnavailable(f"the kernel {library} cannot be loaded: {error}.") from error


def find_compiler() -> str:
    """The C++ compiler: ``$CXX``, or the first of `COMPILERS` that there is.

    Raises:
        KernelUnavailable: there is none.
    """
    names = (os.environ["CXX"],) if os.environ.get("CXX") else COMPILERS
    for name in names:
        path = shutil.which(name)
        if path:
            return path
    raise KernelUnavailable(
        f"kernels are built with a C++ compiler, and there is no {' or '.join(names)} on this machine: "
        "install one, or name it in the environment variable CXX."
    )


def _key(folders: Iterable[Path], compiler: str, flags: list[str]) -> str:
    """A name for all that a built library depends on."""
    digest = hashlib.sha256()
    for path in (path for folder in folders for path in sorted(folder.iterdir())):
        digest.update(path.name.encode() + path.read_bytes())
    digest.update("\0".join([_version(compiler), *flags, _processor(), torch.__version__]).encode())
    return digest.hexdigest()[:20]


@cache
def _version(compiler: str) -> str:
    return subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False).stdout


@cache
def _processor() -> str:
    """What ``-march=native`` depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.machine())


def _build(compiler: str, flags: list[str], source: Path, library: Path) -> None:
    try:
        library.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=library.parent) as folder:
            part, whole = Path(folder) / "kernel.o", Path(folder) / "kernel.so"
            _run([compiler, *flags, "-c", str(source), "-o", str(part)])
            sanitizers = [flag for flag in flags if flag.startswith("-fsanitize")]
            _run([compiler, "-shared", *sanitizers, "-pthread", str(part), "-o", str(whole)])
            whole.replace(library)
    except OSError as error:
        raise KernelUnavailable(f"the kernel cannot be written to {library.parent}: {error.strerror}.") from error


def _run(command: list[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        lines = result.stderr.strip().splitlines() or ["no message"]
        first = next((line for line in lines if "error" in line), lines[0])
        raise KernelUnavailable(f"the C++ compiler {command[0]} could not build the kernel: {first}")

"""Kernels in C: compiled by the user's compiler when they are first needed, and kept. Without one, torch serves."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

SWITCH = "SGLC_NATIVE"
"""Environment variable; 0 leaves all kernels in C alone."""

_TIMEOUT_S = 60


class Unavailable(Exception):
    """A kernel can't be had here; the message says why."""


def load(source: Path, flags: tuple[str, ...]) -> ctypes.CDLL:
    """Compile a C file with OpenMP for the runtime that torch has loaded, unless it was before; load it.

    The library is kept in the user's cache folder under a name made of all that it depends on. Raises Unavailable.
    """
    if os.environ.get(SWITCH) == "0":
        raise Unavailable(f"{SWITCH}=0")
    compiler = next(filter(None, map(shutil.which, (os.environ.get("CC") or "cc", "gcc", "clang"))), None)
    if compiler is None:
        raise Unavailable("no C compiler")
    runtime = _openmp_runtime()
    command = [compiler, "-O3", "-std=c11", "-fPIC", "-fopenmp", *flags]
    try:
        name = hashlib.sha256("\0".join([*command, str(runtime)]).encode() + source.read_bytes()).hexdigest()[:16]
        library = _folder() / f"{source.stem}-{name}.so"
        if not library.exists():
            _build(command, source, runtime, library)
        return ctypes.CDLL(str(library))
    except (OSError, RuntimeError) as error:  # no home folder is a RuntimeError
        raise Unavailable(str(error)) from error


def _build(command: list[str], source: Path, runtime: Path, library: Path) -> None:
    """Compile, and put the library in its place at once: others may build the same."""
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        compiled, linked = Path(folder, "kernel.o"), Path(folder, "kernel.so")
        # Linked without -fopenmp: a second runtime would have threads of its own that compete with torch's.
        for step in (
            [*command, "-c", str(source), "-o", str(compiled)],
            [command[0], "-shared", str(compiled), "-Wl,--no-as-needed", str(runtime), "-lm", "-o", str(linked)],
        ):
            try:
                subprocess.run(step, check=True, capture_output=True, text=True, timeout=_TIMEOUT_S)
            except subprocess.CalledProcessError as error:
                said = (error.stderr or "").strip().splitlines()
                raise Unavailable(f"{command[0]} failed: {said[0] if said else error.returncode}") from error
            except subprocess.TimeoutExpired as error:
                raise Unavailable(f"{command[0]} took more than {_TIMEOUT_S} s") from error
        linked.replace(library)


def _openmp_runtime() -> Path:
    """Return the OpenMP library of this process: torch's, once torch is loaded."""
    try:
        lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise Unavailable("no list of loaded libraries in /proc/self/maps") from error
    paths = [Path(line.split(maxsplit=5)[5]) for line in lines if "/" in line]
    runtime = next((path for path in paths if path.name.startswith(("libgomp", "libiomp5"))), None)
    if runtime is None:
        raise Unavailable("no OpenMP runtime that torch has loaded")
    return runtime


def _folder() -> Path:
    """Return the folder of libraries, which only its user may change: what lies there is run."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sglc" / "kernels"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.stat()
    if found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise Unavailable(f"{folder}: others may write there")
    return folder

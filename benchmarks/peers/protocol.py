"""A peer is a process that is spoken to in JSON, a line each way; this is the parent's side of it.

| asked | answered |
|---|---|
| `{"do": "load", …}`, the fields of `Setup` | `{"version"}` |
| `{"do": "generate", "calls": […], "logprobs", "reuse"}`, calls with the fields of `Call` | the fields of `Answers` |

Where something went wrong, the answer is `{"error": sentence}`. The end of stdin is the end of the peer. While nothing
is asked of it, it is stopped, so that it takes no time from whoever else is measured.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Self

_CLOSING_SECONDS = 30.0
_CHUNK = 1 << 20


class PeerError(Exception):
    """A peer that is missing, failed, died or took too long."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a peer loads; it takes of it what it has a use for.

    `threads` are cores, `kv_bytes` is what `kv_tokens` take, `page` is the smallest prefix a cache shares, in tokens.
    """

    checkpoint: str
    dtype: str
    threads: int
    max_model_len: int
    kv_tokens: int
    kv_bytes: int
    page: int = 32
    max_sequences: int = 256
    eager: bool = False
    """Without torch.compile: it loads in a third of the time, and is slower."""


@dataclass(frozen=True, slots=True)
class Call:
    """A generation of exactly `max_new_tokens`, whatever is drawn, or with `score_from` a scoring.

    It is greedy at temperature 0; otherwise it draws from all tokens, each call by itself. A call begins
    when all calls of its group with a lower `level` are done. `score_from` is the first prompt token whose
    log-probability is wanted; a peer that has to generate something then generates one token.
    """

    tokens: Sequence[int]
    max_new_tokens: int
    group: int = 0
    level: int = 0
    temperature: float = 0.0
    score_from: int | None = None


@dataclass(frozen=True, slots=True)
class Answers:
    """What was drawn for each call, and the seconds it took, measured in the peer.

    `cached` are the prompt tokens that came from the peer's cache, `logprobs` those of the tokens drawn (None if they
    were not asked for), `scores` the log-probabilities from each call's `score_from` on.
    """

    seconds: float
    outputs: list[list[int]]
    cached: list[int]
    logprobs: list[list[float]] | None
    scores: list[list[float] | None]


class Peer:
    """A running peer. What it prints goes to `log`, the end of which is part of every error."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._log = log
        with log.open("w", encoding="utf-8") as errors:
            try:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    env={**os.environ, **environment},
                    process_group=0,  # its own processes stop with it, and the system ends them all if this one dies
                )
            except OSError as error:
                raise PeerError(f"could not be started: {error}") from None
        self._received = b""

    def load(self, setup: Setup, timeout: float = 600.0) -> str:
        """Load a checkpoint; return the peer's version. Raises PeerError."""
        version: str = self.ask({"do": "load", **asdict(setup)}, timeout)["version"]
        return version

    def generate(
        self, calls: Sequence[Call], *, logprobs: bool = False, reuse: bool = False, timeout: float = 600.0
    ) -> Answers:
        """Answer calls from an empty cache. With `reuse`, cached KV serves calls that score, too. Raises PeerError."""
        described = [asdict(call) for call in calls]
        asked = {"do": "generate", "calls": described, "logprobs": logprobs, "reuse": reuse}
        answers = Answers(**self.ask(asked, timeout))
        for call, output in zip(calls, answers.outputs, strict=True):
            if call.score_from is None and len(output) != call.max_new_tokens:
                raise PeerError(f"failed: found {len(output)} tokens; wanted {call.max_new_tokens}")
        return answers

    def close(self) -> None:
        """End the peer, if need be by force."""
        self._signal(signal.SIGCONT)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_CLOSING_SECONDS)
        self._signal(signal.SIGKILL)
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def ask(self, asked: dict[str, Any], timeout: float = 600.0) -> dict[str, Any]:
        """Send one object and return the answer. Raises PeerError."""
        self._signal(signal.SIGCONT)
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(asked).encode() + b"\n")
            self._process.stdin.flush()
            answer: dict[str, Any] = json.loads(self._line(timeout))
        except BrokenPipeError:
            raise PeerError(self._died()) from None
        finally:
            self._signal(signal.SIGSTOP)
        if "error" in answer:
            raise PeerError(f"failed: {answer['error']}")
        return answer

    def _line(self, timeout: float) -> bytes:
        """Return the next line of the peer's stdout."""
        assert self._process.stdout is not None
        end = monotonic() + timeout
        pieces = [self._received]
        while b"\n" not in pieces[-1]:
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, end - monotonic()))
            if not ready:
                self._signal(signal.SIGKILL)
                raise PeerError(f"took longer than {timeout:.0f} s{self._last_words()}")
            pieces.append(os.read(self._process.stdout.fileno(), _CHUNK))
            if not pieces[-1]:
                raise PeerError(self._died())
        line, _, self._received = b"".join(pieces).partition(b"\n")
        return line

    def _died(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        return f"died with exit code {self._process.poll()}{self._last_words()}"

    def _last_words(self) -> str:
        lines = [line for line in self._log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        return f"; the last it printed: {lines[-1].strip()}" if lines else ""

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

"""The peers there are, started on a checkpoint."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

from benchmarks.peers.installing import VLLM, Recipe, root
from benchmarks.peers.protocol import Answers, Call, Peer, PeerError, Setup
from benchmarks.progress import say

_WORKER = Path(__file__).with_name("vllm_worker.py")


class Column:
    """A peer's side of a comparison, which stops nothing: where it is missing or fails, answers are None.

    `note` says which version it is, or what was wrong. With `eager` it runs without torch.compile, which takes a
    minute.
    """

    def __init__(self, checkpoint: Path, *, kv_tokens: int, threads: int, install: bool, eager: bool = False) -> None:
        self._peer: Peer | None = None
        setup = _setup(checkpoint, kv_tokens, threads, eager=eager)
        try:
            self._peer = start_vllm(VLLM, install=install)
            say("loading vLLM")
            self.note = f"{self._peer.load(setup)}, {'eager' if setup.eager else 'compiled'}, pages of {setup.page}"
        except PeerError as error:
            self._fail(error)

    def generate(self, calls: Sequence[Call], *, reuse: bool = False) -> Answers | None:
        """Answer calls, from an empty cache; None if there is no peer, or from now on none."""
        if self._peer is None:
            return None
        try:
            return self._peer.generate(calls, reuse=reuse)
        except PeerError as error:
            self._fail(error)
            return None

    def warm_up(self, calls: Sequence[Call]) -> None:
        """Answer a few of the calls, so that what is measured is not the first of all."""
        self.generate([replace(call, max_new_tokens=2) for call in calls[:8]])

    def close(self) -> None:
        """End the peer."""
        if self._peer is not None:
            self._peer.close()
            self._peer = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _fail(self, error: PeerError) -> None:
        self.note = str(error)
        say(f"vLLM: {error}")
        self.close()


def start_vllm(recipe: Recipe, *, install: bool) -> Peer:
    """Start vLLM with nothing loaded. Raises PeerError."""
    recipe.provide(install=install)
    openmp = recipe.folder / "lib" / "libiomp5.so"  # vLLM's own advice
    command = [str(recipe.python), "-P", str(_WORKER)]
    return Peer(command, {"LD_PRELOAD": str(openmp)} if openmp.is_file() else {}, root() / f"{recipe.name}.log")


def score_choices(
    column: Column, sequences: Sequence[Sequence[int]], score_from: Sequence[int], *, reuse: bool = False
) -> tuple[float, list[list[float]]] | None:
    """Return the seconds, and of each sequence the log-probabilities of its tokens from `score_from` on.

    They are read from the log-probabilities of prompts, which vLLM computes anew for every token of every prompt;
    with `reuse` it is told to take what its prefix cache has, and computes those behind it only. None without a peer.
    """
    calls = [
        Call(tokens, 0, group, score_from=first)
        for group, (tokens, first) in enumerate(zip(sequences, score_from, strict=True))
    ]
    answers = column.generate(calls, reuse=reuse)
    if answers is None:
        return None
    return answers.seconds, [score or [] for score in answers.scores]


def _setup(checkpoint: Path, kv_tokens: int, threads: int, *, eager: bool) -> Setup:
    """Return what vLLM is to load: as much KV as sglc has, in the same cores."""
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    head = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    values = 2 * config["num_hidden_layers"] * config["num_key_value_heads"] * head
    return Setup(
        str(checkpoint),
        "bfloat16",
        min(threads, len(os.sched_getaffinity(0))),
        config["max_position_embeddings"],
        kv_bytes=kv_tokens * values * 2,
        eager=eager,
    )

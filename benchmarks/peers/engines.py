"""The peers there are, started on a checkpoint."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

import torch
from transformers import AutoConfig

from benchmarks.peers.installing import RECIPES, Recipe, root
from benchmarks.peers.protocol import Answers, Call, Peer, PeerError, Setup
from benchmarks.progress import say
from benchmarks.registry import Options

WORKERS = Path(__file__).with_name("workers")


class Column:
    """A peer's side of a comparison, which stops nothing: where it is missing or fails, answers are None.

    `name` is one of `RECIPES`. `note` says which version it is, or what was wrong. Where it has to be quick, vLLM runs
    without torch.compile, which takes a minute.
    """

    def __init__(
        self,
        name: str,
        checkpoint: Path,
        options: Options,
        *,
        kv_tokens: int,
        threads: int,
        dtype: str = "bfloat16",
    ) -> None:
        self.name = name
        self._peer: Peer | None = None
        try:
            self._peer = start(RECIPES[name], install=options.install_peers)
            say(f"loading {name}")
            self.note = self._peer.load(_setup(checkpoint, dtype, kv_tokens, threads, eager=options.quick))
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
        say(f"{self.name}: {error}")
        self.close()


def start(recipe: Recipe, *, install: bool) -> Peer:
    """Start a peer with nothing loaded. Raises PeerError."""
    recipe.provide(install=install)
    preload = recipe.preload and recipe.folder / recipe.preload
    environment = {"LD_PRELOAD": str(preload)} if preload and preload.is_file() else {}
    return Peer([str(recipe.python), str(WORKERS / recipe.worker)], environment, root() / f"{recipe.name}.log")


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


def _setup(checkpoint: Path, dtype: str, kv_tokens: int, threads: int, *, eager: bool) -> Setup:
    """Return what a peer is to load: as much KV as sglc has, in the same cores."""
    config = AutoConfig.from_pretrained(checkpoint)
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    kv_heads = getattr(config, "num_key_value_heads", config.num_attention_heads)
    return Setup(
        str(checkpoint),
        dtype,
        min(threads, len(os.sched_getaffinity(0))),
        config.max_position_embeddings,
        kv_tokens,
        kv_bytes=kv_tokens * 2 * config.num_hidden_layers * kv_heads * head * getattr(torch, dtype).itemsize,
        eager=eager,
    )

"""What requests cost at most: added up along a row, the greatest of several ways, and over all rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np

from sglc.backend.encode_memo import CAPACITY, Key, is_kept
from sglc.backend.prediction import Prediction
from sglc.backend.step import Ints


@dataclass(slots=True)
class Cost:
    """What requests may cost, each figure for itself.

    `prompts` are their positions, `outputs` those of outputs that take KV, `ahead` what the scheduler is told to expect
    behind. `missing` are prompt positions that are computed beside those of prompts that are known. `relogit` are those
    that may be computed for their logits alone, `texts` are to be tokenized, and not known. `longest` is how many
    passes wait for each other. `left` rows go on in Python, `called` ones wait for host code; `unbounded` says that
    nothing bounds a prompt.
    """

    requests: int = 0
    prompts: int = 0
    decoded: int = 0
    steps: int = 0
    outputs: int = 0
    ahead: int = 0
    missing: int = 0
    relogit: int = 0
    texts: int = 0
    longest: int = 0
    left: bool = False
    called: bool = False
    unbounded: bool = False

    def add(self, other: Cost) -> None:
        """Add what comes behind these, or beside them in the same row."""
        for field in fields(self):
            name = field.name
            mine, theirs = getattr(self, name), getattr(other, name)
            setattr(self, name, max(mine, theirs) if name == "longest" or isinstance(mine, bool) else mine + theirs)

    @classmethod
    def greatest(cls, costs: Sequence[Cost]) -> Cost:
        """Return what is the most of several ways of which one is gone."""
        return cls(**{field.name: max(getattr(cost, field.name) for cost in costs) for field in fields(cls)})


@dataclass(frozen=True, slots=True)
class Room:
    """What an engine has room for, and how many rows are open at a time."""

    kv_tokens: int
    max_step_tokens: int
    max_running: int
    cache: bool
    open_rows: int


@dataclass(slots=True)
class Known:
    """What is known of a batch's prompts before it runs: those whose tokens are, and texts that are tokenized."""

    prompts: dict[bytes, Ints]
    texts: dict[Key, int]
    shared: set[tuple[object, bytes]]

    def add(self, tokens: Ints) -> None:
        """Take a prompt, or a part that prompts begin with."""
        self.prompts.setdefault(tokens.astype(">u4").tobytes(), tokens)

    def distinct_positions(self) -> int:
        """Return how many positions have to be computed for them if none is computed twice."""
        found, before = 0, np.empty(0, np.int64)
        for _, tokens in sorted(self.prompts.items()):
            shorter = min(len(before), len(tokens))
            differs = np.flatnonzero(before[:shorter] != tokens[:shorter])
            found += len(tokens) - (int(differs[0]) if len(differs) else shorter)
            before = tokens
        return found

    def tokenizer_calls(self, other: int | None) -> int:
        """Return how many of the texts are handed to the tokenizer, which remembers those that there is room for.

        `other` bounds the characters of texts that are not known.
        """
        if other is not None and other + sum(len(text) for text, _ in self.texts) <= CAPACITY:
            return sum(1 if is_kept(text) else count for (text, _), count in self.texts.items())
        return sum(self.texts.values())


def most(costs: Iterable[Cost], known: Known, room: Room) -> Prediction:
    """Return the most that rows of these costs can cost together, with an empty cache to begin with."""
    whole = Cost()
    for cost in costs:
        whole.add(cost)
    fresh = known.distinct_positions() + whole.missing if room.cache else whole.prompts
    running = min(room.max_running, whole.requests)
    taken = fresh + whole.outputs + running
    calls = known.tokenizer_calls(None if whole.unbounded else whole.prompts) + whole.texts
    if whole.unbounded or taken > room.kv_tokens:
        filled = None if whole.unbounded else whole.prompts
        return _prediction(whole, filled=filled, peak_kv=room.kv_tokens, tokenizer_calls=calls)
    computed = fresh + whole.relogit + whole.decoded
    cut = computed // room.max_step_tokens  # prompts that do not fit a step, which is full then
    fresh = min(whole.prompts, fresh + min(cut, whole.requests))  # the last token of one that is cut is its own
    steps = whole.steps + cut
    passes = steps
    if not (whole.left or whole.called) and whole.prompts + whole.outputs + whole.ahead <= room.kv_tokens:
        # Nothing waits for room. So in each step all that can run do, or the step is full, or as many run as may.
        passes = min(steps, whole.longest + steps // max(1, min(room.max_running, room.open_rows)) + cut)
    return _prediction(
        whole,
        filled=fresh,
        relogit=whole.relogit,
        refilled=0,
        forward_passes=passes,
        sequence_steps=steps,
        tokenizer_calls=calls,
        peak_kv=taken,
    )


def _prediction(whole: Cost, **figures: int | None) -> Prediction:
    """Return what is bounded; the rest is not."""
    nothing: dict[str, int | None] = dict.fromkeys(field.name for field in fields(Prediction))
    return Prediction(**(nothing | {"requests": whole.requests, "decoded": whole.decoded} | figures))

"""One forward pass: what the engine hands to a model, and what it takes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

SCRATCH_SLOT = 0
"""KV slot that nothing reads: a position computed again only for its logits writes here."""


@dataclass(frozen=True, slots=True)
class Step:
    """The new tokens of B sequences, laid end to end without padding. T = sum(lengths).

    Row b computes `lengths[b]` new tokens at positions `context_lengths[b] - lengths[b] ..`; after the model has
    written their keys and values to `slots`, they attend causally to the KV at `tables[b]`, the slots of
    positions 0 .. context_lengths[b] - 1, new ones included. Rows may share slots, also slots that another row
    of the same step writes: a model writes all new KV of a layer before it reads any.
    """

    token_ids: Ints  # [T]
    positions: Ints  # [T]
    slots: Ints  # [T]; SCRATCH_SLOT where the KV is in the pool already
    lengths: Ints  # [B], each ≥ 1
    context_lengths: Ints  # [B]
    tables: Sequence[Ints]  # B arrays, tables[b] has context_lengths[b] entries
    logit_rows: Ints  # [R] ascending indices into T: the positions whose logits are wanted
    rows: Ints | None = None  # [B] numbers by which a row is known in several steps; None: no row is


@dataclass(frozen=True, slots=True)
class Edits:
    """Changes to one row of logits before a token is drawn. All are optional."""

    allowed: npt.NDArray[np.bool_] | None = None  # [vocab]; False = forbidden
    forbidden: Sequence[int] = ()  # token ids
    bias: tuple[Ints, Floats] | None = None  # (ids, amounts added)
    seen: Ints | None = None  # distinct ids of prompt and output, for the repetition penalty
    repetition_penalty: float = 1.0
    counted: tuple[Ints, Ints] | None = None  # (ids, counts) in the output, for the two below
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0

    @property
    def only_allowed(self) -> bool:
        """Whether nothing but `allowed` changes the row."""
        repeated = self.seen is not None and self.repetition_penalty != 1
        return self.bias is None and self.counted is None and not repeated and not len(self.forbidden)


@dataclass(frozen=True, slots=True)
class Draws:
    """What to draw from which rows of the logits. S draws; arrays are [S].

    Logits are edited, divided by the temperature, filtered by top-k, then top-p, then min-p, and the token is the
    inverse CDF of the filtered probabilities at `uniforms`, tokens in id order. Temperature 0 takes the greatest
    edited logit, the lowest id among equals.

    A draw of `drafts` is behind a token that is only expected: it counts if the draw before it counts and gives that
    token. What it gives otherwise is not looked at.
    """

    rows: Ints  # row of the logits, may repeat
    temperatures: Floats  # 0 = greedy
    uniforms: Floats  # in [0, 1)
    top_ks: Ints  # vocab size = all
    top_ps: Floats
    min_ps: Floats
    edits: dict[int, Edits] = field(default_factory=dict)  # draw index → edits
    drafts: dict[int, int] = field(default_factory=dict)  # draw index → what the draw before has to give


@dataclass(frozen=True, slots=True)
class TopLogprobs:
    """Log-probabilities of the model's own distribution (unedited logits, temperature 1) at some rows."""

    chosen: Floats  # [N] of the asked tokens
    top_ids: Ints  # [N, k] most likely first, the lower id first among equals
    top_logprobs: Floats  # [N, k]


class Logits(Protocol):
    """The logits of a step's `logit_rows`, wherever they live."""

    def draw(self, draws: Draws) -> Ints:
        """Return the token id of each draw [S]."""

    def logprobs(self, rows: Ints, token_ids: Ints, top: int) -> TopLogprobs:
        """Return the log-probability of `token_ids[i]` at logits row `rows[i]`, and the `top` likeliest there."""

    @property
    def refused(self) -> dict[int, Exception]:
        """Rows of the logits the model can't answer, each with the reason; their sequences fail alone."""


class Model(Protocol):
    """A causal language model over slots of a KV pool."""

    @property
    def vocab_size(self) -> int:
        """Number of logits per position."""

    @property
    def max_length(self) -> int:
        """Most positions one sequence may have."""

    @property
    def eos_ids(self) -> frozenset[int]:
        """Tokens that end a generation, from the model's generation config."""

    @property
    def fingerprint(self) -> str:
        """A short text that is equal for equal weights and settings."""

    def allocate(self, slots: int) -> None:
        """Make room for the KV of `slots` positions, number 0 being `SCRATCH_SLOT`. Forgets what was there."""

    def forward(self, step: Step) -> Logits:
        """Compute one step: write the new KV, return logits for `step.logit_rows`."""

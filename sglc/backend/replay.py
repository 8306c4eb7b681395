"""A model without weights: its logits are a hash of the KV it reads, or what a recording says.

Each KV slot holds the token and the position it was written for. A forward pass reads a sequence's context from
its pages alone and audits them on the way, so a wrong page is an error at once, and a stale one a wrong answer.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sglc.backend.context_hashes import Hashes, token_marks
from sglc.backend.replay_logits import HashLogits, mix
from sglc.backend.step import SCRATCH_SLOT, Ints, Logits, Step
from sglc.errors import EngineError, InputError

if TYPE_CHECKING:
    from sglc.backend.tokenizer import Tokenizer

_EMPTY = -1


class ReplayModel:
    """The part both replay models share: audited KV and the hash of each context that is asked about."""

    max_length = 1 << 20
    kv_bytes_per_token = 24

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.vocab_size = tokenizer.vocab_size
        self.eos_ids = tokenizer.eos_ids
        self._tokens: Ints = np.empty(0, np.int64)
        self._positions: Ints = np.empty(0, np.int64)
        self._marks: Hashes = np.empty(0, np.uint64)

    def allocate(self, slots: int) -> None:
        """Make empty KV for `slots` slots."""
        self._tokens = np.full(slots, _EMPTY, np.int64)
        self._positions = np.full(slots, _EMPTY, np.int64)
        self._marks = np.zeros(slots, np.uint64)

    def contexts(self, step: Step) -> Hashes:
        """Write the step's KV, audit every page it reads, and return the hash of each logit row's context [R]."""
        real = step.slots != SCRATCH_SLOT
        slots, tokens, positions = step.slots[real], step.token_ids[real], step.positions[real]
        if len(np.unique(slots)) != len(slots):
            raise EngineError("KV audit: found a slot written twice in one step")
        self._tokens[slots] = tokens
        self._positions[slots] = positions
        self._marks[slots] = token_marks(tokens, positions)
        pages = np.concatenate(step.tables)
        ends = np.cumsum(step.context_lengths)
        starts = ends - step.context_lengths
        wanted = np.arange(len(pages)) - np.repeat(starts, step.context_lengths)
        wrong = self._positions[pages] != wanted
        if wrong.any():
            page = int(wrong.argmax())
            found = int(self._positions[pages[page]])
            raise EngineError(f"KV audit: found position {found} in slot {pages[page]}; wanted position {wanted[page]}")
        sums = np.cumsum(self._marks[pages])
        row_of = np.repeat(np.arange(len(step.lengths)), step.lengths)
        rows = row_of[step.logit_rows]
        at = starts[rows] + step.positions[step.logit_rows]
        before = np.where(starts[rows] > 0, sums[starts[rows] - 1], np.uint64(0))
        fed = step.token_ids[step.logit_rows]
        if (self._tokens[pages[at]] != fed).any():
            raise EngineError("KV audit: found KV of another token at a position computed for its logits")
        return mix(sums[at] - before)

    def tails(self, step: Step, size: int) -> list[tuple[int, ...]]:
        """Return the last `size` tokens of each logit row's context, as its pages have them."""
        row_of = np.repeat(np.arange(len(step.lengths)), step.lengths)
        tails = []
        for flat in step.logit_rows:
            end = int(step.positions[flat]) + 1
            tails.append(tuple(self._tokens[step.tables[row_of[flat]][max(0, end - size) : end]].tolist()))
        return tails


class HashModel(ReplayModel):
    """Logits that are a hash of (context, token), so that any error in a context changes what is said.

    A few tokens of each context are likely, the rest is nearly impossible, and the end comes after some tens of
    tokens. `plant` are texts that get started now and then and are most likely finished once started.
    """

    def __init__(self, tokenizer: Tokenizer, plant: Sequence[str] = ()) -> None:
        super().__init__(tokenizer)
        encoded = [tuple(tokenizer.encode(text)) for text in plant]
        self._plants = [ids for ids in encoded if ids]
        self._eos = min(tokenizer.eos_ids) if tokenizer.eos_ids else None
        self.fingerprint = f"replay:hash:{tokenizer.fingerprint}:{_digest(plant)}"

    def forward(self, step: Step) -> Logits:
        """Return hashed logits for every wanted row."""
        hashes = self.contexts(step)
        favourites = {}
        if self._plants:
            longest = max(len(ids) for ids in self._plants)
            for row, tail in enumerate(self.tails(step, longest)):
                token = self._planted(tail, int(hashes[row]))
                if token is not None:
                    favourites[row] = token
        return HashLogits(hashes, self.vocab_size, self._eos, favourites)

    def _planted(self, tail: tuple[int, ...], context: int) -> int | None:
        """Return the token that goes on with a planted text, or begins one now and then."""
        for size in range(len(tail), 0, -1):
            going_on = [ids for ids in self._plants if len(ids) > size and ids[:size] == tail[-size:]]
            if going_on:
                return going_on[(context >> 8) % len(going_on)][size]
        if context % 3 == 0:
            return self._plants[(context >> 8) % len(self._plants)][0]
        return None


class TraceModel(ReplayModel):
    """Says what a recording says: JSON lines `{"prompt": [ids], "output": [ids]}`, then the end of text.

    A context that is not in the recording is refused, and only that request fails.
    """

    def __init__(self, tokenizer: Tokenizer, path: str) -> None:
        super().__init__(tokenizer)
        if not tokenizer.eos_ids:
            raise InputError(f"{path}: found a tokenizer without an end-of-text token; wanted one to end outputs with")
        self._eos = min(tokenizer.eos_ids)
        self._next: dict[int, int] = {}
        text = Path(path).read_text(encoding="utf-8")
        for number, line in enumerate(text.splitlines(), 1):
            self._record(f"{path}:{number}", line)
        self.fingerprint = f"replay:trace:{_digest([text])}"

    def forward(self, step: Step) -> Logits:
        """Return logits that all but force the recorded continuation."""
        hashes = self.contexts(step)
        favourites: dict[int, int] = {}
        refused: dict[int, Exception] = {}
        for row, context in enumerate(hashes.tolist()):
            token = self._next.get(context)
            if token is None:
                length = int(step.positions[step.logit_rows[row]]) + 1
                refused[row] = EngineError(f"found a context of {length} tokens that the recording does not have")
            else:
                favourites[row] = token
        return HashLogits(hashes, self.vocab_size, None, favourites, refused)

    def _record(self, place: str, line: str) -> None:
        try:
            entry = json.loads(line)
            prompt, output = np.array(entry["prompt"], np.int64), [*map(int, entry["output"])]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f'{place}: found {error!r}; wanted {{"prompt": [ids], "output": [ids]}}') from None
        ids = np.concatenate([prompt, np.array(output, np.int64)])
        if ids.size and (ids.min() < 0 or ids.max() >= self.vocab_size):
            raise InputError(f"{place}: found a token id outside the vocabulary; wanted 0 .. {self.vocab_size - 1}")
        contexts = mix(np.cumsum(token_marks(ids, np.arange(len(ids)))))[len(prompt) - 1 :].tolist()
        for context, token in zip(contexts, [*output, self._eos], strict=True):
            if self._next.setdefault(context, token) != token:
                raise InputError(f"{place}: found a second continuation of one context; wanted one")


def _digest(texts: Sequence[str]) -> str:
    return blake2b(json.dumps(list(texts)).encode(), digest_size=8).hexdigest()

"""The prompt as an immutable value: tokens that are fixed, then text that is not tokenized yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from sglc.backend.step import Ints

if TYPE_CHECKING:
    from sglc.backend.tokenizer import Tokenizer

Piece = str | int
"""Ordinary text, or the id of a special token that a chat template put there."""

NO_TOKENS: Ints = np.empty(0, np.int64)
NO_TOKENS.setflags(write=False)


@dataclass(frozen=True, slots=True)
class Prompt:
    """`tokens` (a generation's own, or text settled before one) followed by `tail`, its texts never adjacent.

    Text between two generations is one string to the tokenizer, however many pieces it came in; that is why it
    waits in the tail until a generation settles it. `started` is False while only default-prefix text can begin it.
    """

    tokens: Ints = field(default_factory=lambda: NO_TOKENS)
    tail: tuple[Piece, ...] = ()
    started: bool = False

    def append(self, text: str) -> Prompt:
        """Return this prompt with ordinary text behind it."""
        if not text:
            return self
        tail = self.tail
        if tail and isinstance(tail[-1], str):
            return Prompt(self.tokens, (*tail[:-1], tail[-1] + text), self.started)
        return Prompt(self.tokens, (*tail, text), self.started)

    def append_template(self, pieces: Sequence[Piece], prefix: Sequence[int]) -> Prompt:
        """Return this prompt with a piece of chat template behind it.

        A template speaks for the whole prompt: where it comes first there is no default `prefix`, and where text
        came first its own copy of that prefix is left out.
        """
        prompt = self
        if self.started or self.tail:
            if not self.started and tuple(pieces[: len(prefix)]) == tuple(prefix):
                pieces = pieces[len(prefix) :]
        else:
            prompt = Prompt(self.tokens, (), started=True)
        for piece in pieces:
            if isinstance(piece, str):
                prompt = prompt.append(piece)
            else:
                prompt = Prompt(prompt.tokens, (*prompt.tail, piece), prompt.started)
        return prompt

    def texts(self, restarts: bool) -> list[tuple[str, bool]]:
        """Return the texts of the tail to be tokenized, each with whether it counts as the beginning of a text.

        The first text of a prompt does; with `restarts` (`Tokenizer.restarts_after_special`) so does one right
        behind a special token.
        """
        found: list[tuple[str, bool]] = []
        beginning = not self.started
        for piece in self.tail:
            if isinstance(piece, str):
                found.append((piece, beginning))
                beginning = False
            else:
                beginning = restarts
        return found

    def settle(self, encoded: Sequence[Sequence[int]], prefix: Sequence[int]) -> Prompt:
        """Return the same prompt with its tail in tokens, given the encodings of `texts()` in order."""
        if not self.tail and self.started:
            return self
        ids: list[int] = [] if self.started else list(prefix)
        remaining = iter(encoded)
        for piece in self.tail:
            if isinstance(piece, str):
                ids.extend(next(remaining))
            else:
                ids.append(piece)
        return self.extended(ids) if ids else Prompt(self.tokens, (), started=True)

    def settled(self, tokenizer: Tokenizer) -> Prompt:
        """Return the same prompt with its tail in tokens."""
        texts = self.texts(tokenizer.restarts_after_special)
        encoded = tokenizer.encode_batch([t for t, _ in texts], [s for _, s in texts]) if texts else []
        return self.settle(encoded, tokenizer.prefix)

    def extended(self, ids: Sequence[int] | Ints) -> Prompt:
        """Return this prompt, its tail settled already, with fixed tokens behind it."""
        new = np.asarray(ids, np.int64)
        return Prompt(np.concatenate([self.tokens, new]) if len(self.tokens) else new, (), started=True)

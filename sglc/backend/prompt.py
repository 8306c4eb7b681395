"""The prompt as an immutable value: tokens that are fixed, then text that is not tokenized yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from sglc.backend.step import Ints

if TYPE_CHECKING:
    from sglc.backend.tokenizer import Tokenizer

Piece = str | int | tuple[int, ...]
"""Ordinary text, the id of a special token that a chat template put there, or the ids of text that are known before."""

NO_TOKENS: Ints = np.empty(0, np.int64)
NO_TOKENS.setflags(write=False)


@dataclass(frozen=True, slots=True)
class Prompt:
    """`tokens` (a generation's own, or text settled before one) followed by `tail`, its texts never adjacent.

    Text between two generations is one string to the tokenizer, however many pieces it came in; that is why it
    waits in the tail until a generation settles it. Only where a token ends for certain, a compiler may have put known
    ids between its texts. `started` is False while only default-prefix text can begin it.
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

    def append_tokens(self, ids: tuple[int, ...]) -> Prompt:
        """Return this prompt with text behind it whose ids are known, whatever is before it or will follow."""
        return Prompt(self.tokens, (*self.tail, ids), self.started)

    @property
    def is_empty(self) -> bool:
        """Whether what comes next is the first of it."""
        return not (self.started or self.tail or len(self.tokens))

    def append_template(self, pieces: Sequence[Piece], prefix: Sequence[int]) -> Prompt:
        """Return this prompt with a piece of chat template behind it.

        A template speaks for the whole prompt: where it comes first there is no default `prefix`, and where text
        came first its own copy of that prefix is left out.
        """
        prompt = self
        if not self.is_empty:
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
        beginning = not (self.started or len(self.tokens))
        for piece in self.tail:
            if isinstance(piece, str):
                found.append((piece, beginning))
            beginning = restarts and isinstance(piece, int)
        return found

    def settle(self, encoded: Sequence[Sequence[int]], prefix: Sequence[int]) -> Prompt:
        """Return the same prompt with its tail in tokens, given the encodings of `texts()` in order."""
        if not self.tail and self.started:
            return self
        ids: list[int] = [] if self.started or len(self.tokens) else list(prefix)
        remaining = iter(encoded)
        for piece in self.tail:
            if isinstance(piece, int):
                ids.append(piece)
            else:
                ids.extend(next(remaining) if isinstance(piece, str) else piece)
        return self.extended(ids) if ids else Prompt(self.tokens, (), started=True)

    def settled(self, tokenizer: Tokenizer) -> Prompt:
        """Return the same prompt with its tail in tokens."""
        texts = self.texts(tokenizer.restarts_after_special)
        encoded = tokenizer.encode_batch([t for t, _ in texts], [s for _, s in texts]) if texts else []
        return self.settle(encoded, tokenizer.prefix)

    def anchored(self, encoded: Sequence[Sequence[int]], prefix: Sequence[int]) -> Prompt:
        """Return what `settle` does, but for `started`: a chat template behind it leaves out its copy of the prefix."""
        return self if self.is_empty else Prompt(self.settle(encoded, prefix).tokens, (), self.started)

    def anchored_inside(self, tokenizer: Tokenizer) -> Prompt:
        """Return the same prompt with its tail in tokens but for the text at its end, which what follows may change."""
        cut = len(self.tail)
        cut -= bool(self.tail) and isinstance(self.tail[-1], str)
        if tokenizer.restarts_after_special and cut and isinstance(self.tail[cut - 1], int):
            cut -= 1  # the text behind it has to see it
        inside = Prompt(self.tokens, self.tail[:cut], self.started)
        return Prompt(inside.settled(tokenizer).tokens, self.tail[cut:], self.started) if cut else self

    def extended(self, ids: Sequence[int] | Ints) -> Prompt:
        """Return this prompt, its tail settled already, with fixed tokens behind it."""
        new = np.asarray(ids, np.int64)
        return Prompt(np.concatenate([self.tokens, new]) if len(self.tokens) else new, (), started=True)

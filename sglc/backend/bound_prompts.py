"""Prompts with something in them that only the run knows: how many tokens they can have."""

from __future__ import annotations

import codecs
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from sglc.backend.bound_values import utf8_size

if TYPE_CHECKING:
    from sglc.backend.prompt import Prompt
    from sglc.backend.roles import Roles
    from sglc.backend.tokenizer import Tokenizer
    from sglc.backend.transcript import Transcript

_new_decoder = codecs.getincrementaldecoder("utf-8")


class TokenLimits:
    """How much text tokens can be, and how many tokens text."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.growth = tokenizer.most_tokens_of_a_byte

    @cached_property
    def text_of_token(self) -> int:
        """Bytes of text of a token, whatever is before it and behind."""
        return max(map(_text_size, self.tokenizer.token_bytes), default=1)

    @cached_property
    def text_of_unfinished_token(self) -> int:
        """The same for tokens that end within a character."""
        return max((_text_size(data) for data in self.tokenizer.token_bytes if _is_unfinished(data)), default=0)

    def tokens_of(self, size: int | None) -> int | None:
        """Return how many tokens text of so many bytes can become; one more may come of its beginning."""
        return None if size is None else size * self.growth + 1

    def cut_off(self, new: int) -> int:
        """Return how many bytes of text can be left of at most `new` tokens where a stop cuts the last of them.

        These are not only the last one's: those before it count, too, back to one that ends with a character.
        """
        return max(0, new - 1) * self.text_of_unfinished_token + self.text_of_token if new else 0


@dataclass(frozen=True, slots=True)
class Grown:
    """A prompt of at most `tokens` fixed tokens and of text behind them that becomes at most `tail` tokens.

    The KV of all but `missing` of the fixed ones was computed by requests before it. `texts` are to be tokenized;
    `size` bounds the bytes of its whole text. None: nothing does.
    """

    limits: TokenLimits
    roles: Roles
    tokens: int
    missing: int
    tail: int | None
    texts: int
    size: int | None

    @classmethod
    def of(cls, transcript: Transcript, limits: TokenLimits) -> Grown:
        """Return a prompt that is known, all of its fixed tokens being computed."""
        prompt = transcript.asked_prompt(limits.tokenizer)
        texts = [piece for piece in prompt.tail if isinstance(piece, str)]
        tail = sum(utf8_size(text) * limits.growth + 1 for text in texts) + _ids_in_tail(prompt)
        if prompt.is_empty or not (prompt.started or len(prompt.tokens)):
            tail += len(limits.tokenizer.prefix)
        return cls(limits, transcript.roles, len(prompt.tokens), 0, tail, len(texts), utf8_size(transcript.text))

    def append(self, size: int | None) -> Grown:
        """Return it with a text of so many bytes behind it."""
        written = self._write(before_text=True)
        return written._longer(self.limits.tokens_of(size), size, 1)

    def append_tokens(self, text: str, count: int) -> Grown:
        """Return it with a text behind it that is so many tokens."""
        return self._write(before_text=True)._longer(count, utf8_size(text), 0)

    def begin(self, role: str) -> Grown:
        """Return it with a message open."""
        return replace(self, roles=self.roles.begin(role))

    def end(self, role: str) -> Grown:
        """Return it with its open message finished."""
        rested = self.rest()
        return replace(rested, roles=rested.roles.end(role))

    def rest(self) -> Grown:
        """Return it with the template text written that is due."""
        return self._write(before_text=False)

    def settled(self) -> Grown:
        """Return it with its text in tokens, which no request has computed yet."""
        if self.tail is None:
            return self
        return replace(self, tokens=self.tokens + self.tail, missing=self.missing + self.tail, tail=0, texts=0)

    def behind(self, length: int) -> Grown:
        """Return it behind a request of so many tokens, whose KV is all there."""
        return replace(self, tokens=length, missing=0, tail=0, texts=0)

    def answered(self, new: int, may_be_cut: bool, size: int | None) -> Grown:
        """Return it, behind a request, with at most `new` tokens behind it, of a text of at most `size` bytes.

        The KV of the last one is missing. Where a stop may cut a token, what is left of that is text.
        """
        tail = self.limits.tokens_of(self.limits.cut_off(new)) if may_be_cut else 0
        longer = None if size is None or self.size is None else self.size + size
        return replace(self, tokens=self.tokens + new, missing=1, tail=tail, texts=int(may_be_cut), size=longer)

    def _longer(self, tokens: int | None, size: int | None, texts: int) -> Grown:
        return replace(
            self,
            tail=None if self.tail is None or tokens is None else self.tail + tokens,
            size=None if self.size is None or size is None else self.size + size,
            texts=self.texts + texts,
        )

    def _write(self, before_text: bool) -> Grown:
        due = self.roles.due
        if due is None:
            return self
        text = due.before_text if before_text else due.text
        pieces = self.limits.tokenizer.template_pieces(text, at_start=False)
        written = replace(self, roles=self.roles.written)
        return written._longer(self.limits.tokens_of(utf8_size(text)), utf8_size(text), 1 + len(pieces))


def _ids_in_tail(prompt: Prompt) -> int:
    return sum(1 if isinstance(piece, int) else len(piece) for piece in prompt.tail if not isinstance(piece, str))


def _text_size(data: bytes) -> int:
    """Return how many bytes of text a token can be: bytes that are no character become U+FFFD, of three."""
    return len(data.decode("utf-8", "replace").encode())


def _is_unfinished(data: bytes) -> bool:
    decoder = _new_decoder("replace")
    decoder.decode(data)
    return bool(decoder.getstate()[0])

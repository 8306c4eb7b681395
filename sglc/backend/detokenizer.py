"""Text of a token stream as it grows, never half a character."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Sequence

_new_decoder = codecs.getincrementaldecoder("utf-8")


class Detokenizer:
    """Turns the tokens of one sequence into text, UTF-8 safe.

    What `push` and `flush` return adds up to the tokens' bytes decoded as UTF-8 with U+FFFD for what is not: a
    character is returned by the push that completes it.
    """

    __slots__ = ("_decoder", "_holds", "_token_bytes", "_whole")

    def __init__(self, token_bytes: Sequence[bytes], whole: dict[int, str]) -> None:
        """`whole` is a memo shared by the detokenizers of one vocabulary: the text of ids that are valid UTF-8."""
        self._token_bytes = token_bytes
        self._whole = whole
        self._decoder: codecs.IncrementalDecoder | None = None  # most sequences end without half a character
        self._holds = False

    def push(self, token_id: int) -> str:
        """Return the characters that this token completes. An id outside the vocabulary stands for no bytes."""
        if not self._holds:
            text = self._whole.get(token_id)
            if text is not None:
                return text
        return self._push_bytes(token_id)

    def push_many(self, token_ids: Iterable[int]) -> str:
        """Return the characters that these tokens complete."""
        return "".join([self.push(token_id) for token_id in token_ids])

    @property
    def pending(self) -> bool:
        """Whether bytes of an unfinished character are held back."""
        return self._holds

    def flush(self) -> str:
        """Return U+FFFD for an unfinished character, else "", and start anew."""
        if not self._holds or self._decoder is None:
            return ""
        self._holds = False
        text = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return text

    def _push_bytes(self, token_id: int) -> str:
        data = self._token_bytes[token_id] if 0 <= token_id < len(self._token_bytes) else b""
        fresh = not self._holds
        if fresh and (text := _whole_text(data)) is not None:
            self._whole[token_id] = text
            return text
        if self._decoder is None:
            self._decoder = _new_decoder("replace")
        text = self._decoder.decode(data)
        self._holds = bool(self._decoder.getstate()[0])
        if fresh and not self._holds:
            self._whole[token_id] = text  # also of bytes that no neighbour can complete: their U+FFFD is final
        return text


def _whole_text(data: bytes) -> str | None:
    """Return the text of bytes that are UTF-8 by themselves; None for those that are not."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None

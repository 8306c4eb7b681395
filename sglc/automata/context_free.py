"""A language that needs a stack, followed by llguidance behind the interface of our own automata and tables."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from sglc.errors import Unsupported

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer

    from sglc.automata.vocabulary import Vocabulary

_BYTES = tuple(bytes([byte]) for byte in range(256))
_NOT_IN_UTF8 = 0xFF  # llguidance marks special tokens with it


class ContextFree:
    """The language of a grammar in llguidance's dialect of lark. Immutable; `name` is what errors call it."""

    __slots__ = ("_grammar", "_start", "name")

    is_table = False
    dfa = None

    def __init__(self, grammar: str, name: str) -> None:
        """Compile a grammar. Raises Unsupported for one that llguidance refuses."""
        self._grammar = grammar
        self.name = name
        self._start = self.matcher(_byte_tokenizer())

    def __repr__(self) -> str:
        return f"<ContextFree {self.name}>"

    def accepts(self, text: str | bytes) -> bool:
        """Whether a text (bytes: its UTF-8) is a member."""
        data = _encoded(text)
        matcher = self._start.deep_copy()
        return int(matcher.try_consume_tokens(list(data))) == len(data) and matcher.is_accepting()

    def viable(self, text: str | bytes) -> int:
        """Return how much of a text some member begins with: characters of a `str`, bytes of `bytes`."""
        data = _encoded(text)
        length = int(self._start.deep_copy().try_consume_tokens(list(data)))
        if isinstance(text, bytes):
            return length
        begun = length < len(data) and data[length] & 0xC0 == 0x80  # the last character is viable in part only
        return sum(byte & 0xC0 != 0x80 for byte in data[:length]) - begun

    def states(self, vocabulary: Vocabulary) -> MatcherStates:
        """Return the language's states over a vocabulary."""
        return MatcherStates(self, vocabulary)

    def matcher(self, tokenizer: LLTokenizer) -> LLMatcher:
        """Return a fresh matcher of the language."""
        from llguidance import LLMatcher, LLParserLimits

        limits = LLParserLimits(
            max_grammar_size=2_000_000, max_items_in_row=20_000, step_max_items=500_000, step_lexer_fuel=2_000_000
        )
        matcher = LLMatcher(tokenizer, LLMatcher.grammar_from_lark(self._grammar), log_level=0, limits=limits)
        if matcher.is_error():
            raise Unsupported(
                f"{self.name}: found a grammar that llguidance refuses ({_first_line(matcher)}); wanted another"
            )
        return matcher


class MatcherState:
    """A place in texts of a language: a handle around a matcher that nobody moves. Equal to itself only."""

    __slots__ = ("_matcher", "_row")

    def __init__(self, matcher: LLMatcher) -> None:
        self._matcher = matcher
        self._row: npt.NDArray[np.uint8] | None = None


class MatcherStates:
    """What a token table is for our own automata: states are immutable, hashable handles."""

    def __init__(self, language: ContextFree, vocabulary: Vocabulary) -> None:
        self._name = language.name
        self._words = _words(vocabulary)
        self._width = vocabulary.width
        self.start = MatcherState(language.matcher(self._words.tokenizer))

    def allowed(self, state: MatcherState) -> npt.NDArray[np.uint8]:
        """Return the tokens that keep the text viable, a bit each, [ceil(width / 8)] in little bit order, read-only."""
        if state._row is None:
            state._row = self._words.row(state._matcher, self._width)
            self._check(state._matcher)
        return state._row

    def is_final(self, state: MatcherState) -> bool:
        """Whether the text may end here."""
        return bool(state._matcher.is_accepting())

    def next(self, state: MatcherState, token: int) -> MatcherState | None:
        """Return the state after a token, None where it is not allowed."""
        word = self._words.of_token(token)
        if word is None or state._matcher.validate_tokens([word]) != 1:
            return None
        matcher = state._matcher.deep_copy()
        if not matcher.consume_token(word):
            self._check(matcher)
            return None
        return MatcherState(matcher)

    def forced(self, state: MatcherState) -> bytes:
        """Return the bytes that every member goes on with; none where one ends or there is a choice."""
        if self.is_final(state):
            return b""
        return bytes(state._matcher.deep_copy().compute_ff_bytes())

    def _check(self, matcher: LLMatcher) -> None:
        if matcher.is_error():
            raise Unsupported(f"{self._name}: found too much work for one token ({_first_line(matcher)}); wanted less")


class _Words:
    """The distinct texts of a vocabulary's tokens, as llguidance gets them, and which token has which."""

    def __init__(self, texts: Sequence[bytes]) -> None:
        number: dict[bytes, int] = {}
        usable = (text if text and _NOT_IN_UTF8 not in text else b"" for text in texts)
        words = [number.setdefault(text, len(number)) if text else None for text in usable]
        self.words = list(number)
        self.tokenizer = _tokenizer(self.words)
        self._of_token = words
        absent = len(number)  # its bit is always 0: it is the end
        self._index = np.array([absent if word is None else word for word in words], dtype=np.int32)

    def of_token(self, token: int) -> int | None:
        return self._of_token[token] if 0 <= token < len(self._of_token) else None

    def row(self, matcher: LLMatcher, width: int) -> npt.NDArray[np.uint8]:
        packed = np.frombuffer(matcher.compute_bitmask(), dtype=np.uint8)
        bits = np.unpackbits(packed, bitorder="little")
        bits[len(self.words) :] = 0
        full = np.zeros(width, dtype=np.uint8)
        full[: len(self._index)] = bits[self._index]
        row = np.packbits(full, bitorder="little")
        row.flags.writeable = False
        return row


@lru_cache(maxsize=8)
def _words(vocabulary: Vocabulary) -> _Words:
    return _Words(vocabulary.tokens)


@lru_cache(maxsize=1)
def _byte_tokenizer() -> LLTokenizer:
    # 0xFF is in no text, but every byte keeps its own number
    return _tokenizer([text if text != b"\xff" else b"" for text in _BYTES])


def _tokenizer(words: Sequence[bytes]) -> LLTokenizer:
    """Return llguidance's view of some tokens and, after them, one that ends a text."""
    from llguidance import LLTokenizer, TokenizerWrapper

    return LLTokenizer(TokenizerWrapper(_Tokens(words)), n_vocab=len(words) + 1, eos_token=len(words), slices=[])


class _Tokens:
    """The attributes that llguidance reads of a tokenizer."""

    bos_token_id = None

    def __init__(self, words: Sequence[bytes]) -> None:
        self.eos_token_id = len(words)
        self.tokens = [*words, b"<|end|>"]
        self.special_token_ids = [len(words)]

    def __call__(self, text: str | bytes) -> list[int]:
        """Split a text into bytes: asked for once, to see whether bytes are taken; never in a mask."""
        return []


def _first_line(matcher: LLMatcher) -> str:
    return str(matcher.get_error()).strip().partition("\n")[0][:200]


def _encoded(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")

"""Text to token ids and back, byte for byte, over a Hugging Face fast tokenizer."""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from types import MappingProxyType
from typing import Any

import tokenizers

from sglc.backend.chat_template import ChatTemplate
from sglc.backend.detokenizer import Detokenizer
from sglc.backend.dummy_prefix import without_dummy_prefix
from sglc.backend.encode_memo import EncodeMemo
from sglc.backend.roles import Roles
from sglc.backend.spelling import TokenizerSpelling
from sglc.backend.text_growth import most_tokens_of_a_byte
from sglc.backend.token_bytes import decoder_of, token_bytes
from sglc.backend.tokenizer_files import (
    DATA,
    read_backend,
    read_config,
    read_template,
    template_source,
    template_variables,
    token_text,
)
from sglc.errors import InputError, Unsupported

PACKAGED = DATA / "tokenizer"
"""The folder of the small tokenizer that ships with sglc."""


class Tokenizer:
    """A vocabulary, what its ids stand for, and its chat template.

    Encoding adds no special tokens, and text that spells one is ordinary text; special tokens come only from `prefix`
    and from `template_pieces`. With `at_start` a text is encoded as the first of a prompt, with the dummy prefix of
    SentencePiece-style tokenizers; without, as the continuation of one. Encodings are remembered; one that is does
    not count as a call.
    """

    vocab_size: int
    """Ids are below it: the greatest id + 1."""
    eos_id: int | None
    eos_ids: frozenset[int]
    prefix: tuple[int, ...]
    """Special tokens that belong before the first text of a prompt (BOS); () if none."""
    special_ids: Mapping[str, int]
    """Special token text → id."""
    restarts_after_special: bool
    """Whether a text right after a special token is encoded with `at_start`, as Hugging Face does for some."""
    chat: ChatTemplate | None
    calls: int
    """Texts handed to the backend so far."""

    def __init__(
        self,
        backend: tokenizers.Tokenizer,
        *,
        config: Mapping[str, Any] = MappingProxyType({}),
        chat_template: str | None = None,
        name: str = "",
    ) -> None:
        """Take over `backend`. `config` is a `tokenizer_config.json`; `chat_template` is Jinja and overrides its own.

        Raises Unsupported for a tokenizer that would make a special token out of ordinary text.
        """
        backend.no_truncation()
        backend.no_padding()
        self.name = name
        self.calls = 0
        self._backend = backend
        self._continuing, self.restarts_after_special = without_dummy_prefix(backend)
        self._added = backend.get_added_tokens_decoder()
        self.special_ids = MappingProxyType({t.content: i for i, t in sorted(self._added.items()) if t.special})
        for each in (backend, self._continuing):
            each.encode_special_tokens = True
        self._vocab = backend.get_vocab(with_added_tokens=True)
        self.vocab_size = max(self._vocab.values(), default=-1) + 1
        self.eos_id = self._config_id(config, "eos_token")
        self.eos_ids = frozenset(() if self.eos_id is None else {self.eos_id})
        self.prefix = self._default_prefix(config)
        source = chat_template if chat_template is not None else template_source(config)
        variables = template_variables(config)
        self.chat = ChatTemplate(source, variables=variables, special_ids=self.special_ids) if source else None
        self.memo = EncodeMemo()
        self._whole_texts: dict[int, str] = {}
        self._refuse_special_tokens_from_text()

    @classmethod
    def load(cls, path: str | Path, chat_template: str | None = None) -> Tokenizer:
        """Read a model folder or a `tokenizer.json`. `chat_template` is "chatml" or a Jinja file; None, the model's.

        Raises InputError where something is missing or malformed.
        """
        path = Path(path)
        source = read_template(chat_template) if chat_template is not None else None
        return cls(read_backend(path), config=read_config(path), chat_template=source, name=str(path))

    @classmethod
    def packaged(cls) -> Tokenizer:
        """Return the small tokenizer that ships with sglc: byte-level, with BOS and ChatML."""
        return cls.load(PACKAGED)

    @cached_property
    def token_bytes(self) -> Sequence[bytes]:
        """The bytes each id stands for [vocab_size]; b"" for special tokens and for ids without a token.

        Raises Unsupported for a tokenizer whose tokens have no bytes of their own.
        """
        as_written = {i for i, token in self._added.items() if not token.special}
        table = token_bytes(self._vocab, decoder_of(self._backend), as_written)
        for special_id in self.special_ids.values():
            table[special_id] = b""
        return table

    @cached_property
    def no_roles(self) -> Roles:
        """The roles of a prompt without messages."""
        return Roles(self.chat)

    @cached_property
    def spelling(self) -> TokenizerSpelling:
        """How it takes text apart, for passes that ask where tokens end for certain."""
        return TokenizerSpelling(self._backend, self._vocab)

    @cached_property
    def most_tokens_of_a_byte(self) -> int:
        """How many tokens a byte of text can become, one at the beginning left out."""
        return most_tokens_of_a_byte(self._backend, self._vocab)

    @property
    def has_dummy_prefix(self) -> bool:
        """Whether the first text of a prompt is encoded in a way of its own."""
        return self._continuing is not self._backend

    @cached_property
    def fingerprint(self) -> str:
        """A short text that is equal for equal tokenizers with equal chat templates."""
        parts = (self._backend.to_str(), self.chat.source if self.chat else "", str(self.eos_id), str(self.prefix))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]

    @cached_property
    def for_passes(self) -> Tokenizer:
        """The same tokenizer with a memo of its own: runs do not find there what passes have encoded."""
        return self.with_memo(EncodeMemo())

    def with_memo(self, memo: EncodeMemo) -> Tokenizer:
        """Return the same tokenizer with a memo of its own."""
        other = copy(self)
        other.memo = memo
        return other

    def encode(self, text: str, *, at_start: bool = False) -> list[int]:
        """Return the token ids of a text."""
        return self.encode_batch((text,), (at_start,))[0]

    def encode_batch(self, texts: Sequence[str], at_start: Sequence[bool]) -> list[list[int]]:
        """Return the token ids of each text; on several cores when there are many."""
        prefixes = self._continuing is not self._backend
        keys = [(text, prefixes and bool(first)) for text, first in zip(texts, at_start, strict=True)]
        found = self.memo.get_many(keys)
        missing = [key for key in keys if key not in found]
        if missing:
            found |= self._encode_new(dict.fromkeys(missing))
        return [found[key].copy() for key in keys]

    def encode_with_ends(self, text: str, *, at_start: bool = False) -> tuple[list[int], list[int]]:
        """Return the ids, and for each token where its span ends (exclusive), in characters of `text`.

        A token that holds a part of a character ends after that character.
        """
        ids = self.encode(text, at_start=at_start)
        return ids, self.token_ends(text, ids, at_start=at_start)

    def token_ends(self, text: str, ids: Sequence[int], *, at_start: bool = False) -> list[int]:
        """Return where the span of each token ends, as `encode_with_ends` does, given the ids of the text."""
        pieces = [self.token_bytes[i] for i in ids]
        data, written = text.encode(), b"".join(pieces)
        if not written.endswith(data):  # a normalizer changed the text
            backend = self._backend if at_start else self._continuing
            offsets = backend.encode(text, add_special_tokens=False).offsets
            return list(accumulate((end for _, end in offsets), max))
        dummy = len(written) - len(data)
        byte_ends = [max(0, end - dummy) for end in accumulate(map(len, pieces))]
        if len(data) == len(text):
            return byte_ends
        starts = list(accumulate((len(char.encode()) for char in text), initial=0))
        return [bisect_left(starts, end) for end in byte_ends]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of the tokens' bytes, U+FFFD for what is not UTF-8."""
        table, size = self.token_bytes, self.vocab_size
        return b"".join([table[i] for i in ids if 0 <= i < size]).decode("utf-8", "replace")

    def detokenizer(self) -> Detokenizer:
        """Return a fresh detokenizer for one sequence."""
        return Detokenizer(self.token_bytes, self._whole_texts)

    def template_pieces(self, text: str, *, at_start: bool) -> list[int | str]:
        """Split template text into special tokens (ids) and ordinary texts, blanks that a token swallows left out.

        With `at_start` a text in front carries the dummy prefix, as a space.
        """
        pieces: list[int | str] = []
        position = 0
        while match := self._special_pattern.search(text, position):
            token_id = self.special_ids[match[0]]
            before, after = text[position : match.start()], text[match.end() :]
            if self._added[token_id].lstrip:
                before = before.rstrip()
            if self._added[token_id].rstrip:
                after = after.lstrip()
            pieces += [before, token_id] if before else [token_id]
            position = len(text) - len(after)
        if position < len(text):
            pieces.append(text[position:])
        if at_start and pieces and isinstance(first := pieces[0], str):
            pieces[0] = self._with_dummy_prefix(first)
        return pieces

    def _encode_new(self, keys: Iterable[tuple[str, bool]]) -> dict[tuple[str, bool], list[int]]:
        """Encode texts that the memo lacks, and remember them."""
        result: dict[tuple[str, bool], list[int]] = {}
        for backend, wanted in ((self._backend, True), (self._continuing, False)):
            texts = [text for text, at_start in keys if at_start is wanted]
            for text, ids in zip(texts, _encode_with(backend, texts), strict=True):
                result[text, wanted] = ids
        self.calls += len(result)
        self.memo.put_many(result)
        return result

    def _with_dummy_prefix(self, text: str) -> str:
        """Return a text whose continuation encoding equals the at-start encoding of `text`."""
        if self._continuing is self._backend:
            return text
        return " " + text if self.encode(" " + text) == self.encode(text, at_start=True) else text

    def _config_id(self, config: Mapping[str, Any], name: str) -> int | None:
        text = token_text(config.get(name))
        return self._vocab.get(text) if text is not None else None

    def _default_prefix(self, config: Mapping[str, Any]) -> tuple[int, ...]:
        """Return what the post-processor puts before a text; `add_bos_token` in the configuration overrules it."""
        encoding = self._backend.encode("a", add_special_tokens=True)
        prefix = []
        for token_id, special in zip(encoding.ids, encoding.special_tokens_mask, strict=True):
            if not special:
                break
            prefix.append(token_id)
        bos = self._config_id(config, "bos_token")
        if bos is not None and isinstance(config.get("add_bos_token"), bool):
            prefix = [bos] * config["add_bos_token"] + [i for i in prefix if i != bos]
        return tuple(prefix)

    def _refuse_special_tokens_from_text(self) -> None:
        unknown = getattr(self._backend.model, "unk_token", None)  # stands for any text, its own spelling included
        specials = [text for text in self.special_ids if text != unknown]
        for text, ids in zip(specials, _encode_with(self._backend, specials), strict=True):
            if self.special_ids[text] in ids:
                raise Unsupported(f"found a tokenizer that reads {text!r} in a text as special; wanted ordinary tokens")

    @cached_property
    def _special_pattern(self) -> re.Pattern[str]:
        longest_first = sorted(self.special_ids, key=len, reverse=True)
        return re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")


def _encode_with(backend: tokenizers.Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Return the token ids of each text, without special tokens. Raises InputError for what UTF-8 can't write."""
    if not texts:
        return []
    try:
        return [encoding.ids for encoding in backend.encode_batch_fast(texts, add_special_tokens=False)]
    except TypeError as error:  # all that the library says of such a text
        lone = re.search("[\ud800-\udfff]", "\n".join(texts))
        found = f"half of a surrogate pair, U+{ord(lone[0]):04X}, in a text" if lone else "something that is no text"
        raise InputError(f"found {found}; wanted text that UTF-8 can write") from error

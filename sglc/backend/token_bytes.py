"""The bytes each token stands for, read off a tokenizer's vocabulary and decoder."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import tokenizers

from sglc.errors import Unsupported


def _byte_to_char() -> tuple[str, ...]:
    """Return GPT-2's printable character of each byte: itself where Latin-1 prints it, else the next from U+0100."""
    shows = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    hidden = iter(range(0x100, 0x200))
    return tuple(chr(byte if byte in shows else next(hidden)) for byte in range(256))


BYTE_TO_CHAR = _byte_to_char()
"""How byte-level vocabularies write byte b: `BYTE_TO_CHAR[b]`."""

# Characters below U+0100 that write no byte are sent out of Latin-1, so that encoding a token with one fails.
_CHAR_TO_LATIN1 = dict.fromkeys(range(256), "\uffff") | {ord(char): byte for byte, char in enumerate(BYTE_TO_CHAR)}
_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")

Piece = str | bytes
_Reader = Callable[[Piece], Piece]


def token_bytes(vocab: Mapping[str, int], decoder: Mapping[str, Any], as_written: set[int]) -> list[bytes]:
    """Return the bytes of ids 0 .. max id; b"" for an id without a token.

    `vocab` maps token texts to ids, `decoder` is the serialised decoder, `as_written` are ids of added tokens, which
    no decoder touches. Raises Unsupported for a decoder whose tokens have no bytes of their own.
    """
    readers = list(_readers(decoder))
    result = [b""] * (max(vocab.values(), default=-1) + 1)
    for text, token_id in vocab.items():
        piece: Piece = text
        if token_id not in as_written:
            for read in readers:
                piece = read(piece)
        result[token_id] = piece if isinstance(piece, bytes) else piece.encode("utf-8")
    return result


def decoder_of(backend: tokenizers.Tokenizer) -> Mapping[str, Any]:
    """Return the serialised decoder of a tokenizer, of type "none" where it has none."""
    return json.loads(backend.decoder.__getstate__()) if backend.decoder is not None else {"type": "none"}


def _readers(decoder: Mapping[str, Any]) -> Iterator[_Reader]:
    """Yield what the decoder does to a single token, step by step; steps that act on whole texts only are left out."""
    match decoder:
        case {"type": "Sequence", "decoders": steps}:
            for step in steps:
                yield from _readers(step)
        case {"type": "ByteLevel"}:
            yield _read_byte_level
        case {"type": "ByteFallback"}:
            yield _read_byte_token
        case {"type": "Metaspace", "replacement": mark}:
            yield _replacer(mark, " ")
        case {"type": "Replace", "pattern": {"String": mark}, "content": content}:
            yield _replacer(mark, content)
        case {"type": "Fuse"} | {"type": "Strip", "content": " "}:  # Strip takes the dummy prefix off a whole text
            return
        case {"type": kind}:
            raise Unsupported(f"found a tokenizer with decoder {kind}; wanted a byte-level or SentencePiece-style one")


def _replacer(old: str, new: str) -> _Reader:
    return lambda piece: piece.replace(old, new) if isinstance(piece, str) else piece


def _read_byte_level(piece: Piece) -> Piece:
    if isinstance(piece, bytes):
        return piece
    try:
        return piece.translate(_CHAR_TO_LATIN1).encode("latin-1")
    except UnicodeEncodeError:  # not in the byte alphabet: Hugging Face leaves such a token as it is
        return piece


def _read_byte_token(piece: Piece) -> Piece:
    match = _BYTE_TOKEN.fullmatch(piece) if isinstance(piece, str) else None
    return bytes([int(match[1], 16)]) if match else piece

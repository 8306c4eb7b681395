"""Bytes as people read them on an edge of a drawing: `[0-9]`, `"name": "`, `\\xe3`."""

from __future__ import annotations

from collections.abc import Sequence

from sglc.automata.regular import Range

_SPACE = "␣"
"""A space that could be overlooked."""

_ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\\": "\\\\"}
_BYTE_ALONE = 0xDC00  # where `surrogateescape` puts bytes that are no character


def edge_label(first: Sequence[Range], run: bytes = b"") -> str:
    """Return how an edge reads: any byte of `first`, then those of a run. One byte alone reads as part of the run."""
    if len(first) == 1 and first[0][0] == first[0][1]:
        return run_label(bytes([first[0][0]]) + run)
    return class_label(first) + (run_label(run) if run else "")


def run_label(text: bytes) -> str:
    """Return bytes as characters; those that are none, or can't be seen, as escapes."""
    shown = "".join(_shown(character, "[") for character in text.decode("utf-8", "surrogateescape"))
    inner = shown.strip(" ")
    before = len(shown) - len(shown.lstrip(" "))
    return _SPACE * before + inner + _SPACE * (len(shown) - len(inner) - before if inner else 0)


def class_label(ranges: Sequence[Range]) -> str:
    """Return ranges of bytes as a class in brackets; bytes from 0x80 on, which are no characters, as escapes."""
    return f"[{''.join(map(_range, ranges))}]"


def shortened(label: str, limit: int) -> str:
    """Return a label of at most `limit` characters, its middle left out."""
    if len(label) <= limit:
        return label
    return f"{label[: limit // 2]}…{label[-(limit - limit // 2 - 1) :]}"


def _range(given: Range) -> str:
    low, high = (_in_class(byte) for byte in given)
    if given[0] == given[1]:
        return low
    return f"{low}{high}" if given[0] + 1 == given[1] else f"{low}-{high}"


def _in_class(byte: int) -> str:
    return _SPACE if byte == 0x20 else _shown(chr(byte) if byte < 0x80 else chr(_BYTE_ALONE + byte), "[]^-")


def _shown(character: str, special: str) -> str:
    code = ord(character)
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character in special:
        return f"\\{character}"
    if character.isprintable():
        return character
    if _BYTE_ALONE <= code <= _BYTE_ALONE + 0xFF:
        return f"\\x{code - _BYTE_ALONE:02x}"
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

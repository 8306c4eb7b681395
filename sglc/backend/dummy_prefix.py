"""The space that SentencePiece-style tokenizers put before a text, and how to do without it in a continuation."""

from __future__ import annotations

import json
from typing import Any

import tokenizers

Part = dict[str, Any]


def without_dummy_prefix(backend: tokenizers.Tokenizer) -> tuple[tokenizers.Tokenizer, bool]:
    """Return a tokenizer that puts nothing before a text, `backend` itself where it never does.

    Also returned: whether `backend` puts the dummy prefix after every special token too, not only before the first
    text of a prompt.
    """
    normalizer, pre_tokenizer = _serialized(backend.normalizer), _serialized(backend.pre_tokenizer)
    bare_normalizer, bare_pre_tokenizer = _bare(normalizer), _bare(pre_tokenizer)
    if (bare_normalizer, bare_pre_tokenizer) == (normalizer, pre_tokenizer):
        return backend, False
    spec = json.loads(backend.to_str())
    spec |= {"normalizer": bare_normalizer or None, "pre_tokenizer": bare_pre_tokenizer or None}
    bare = tokenizers.Tokenizer.from_str(json.dumps(spec))
    return bare, _restarts(normalizer) or _restarts(pre_tokenizer)


def _serialized(part: Any) -> Part:
    """Return a normalizer or pre-tokenizer as JSON; {} for none."""
    return json.loads(part.__getstate__()) if part is not None else {}


def _steps(part: Part) -> tuple[str, list[Part]]:
    """Return the parts of a sequence, and the field that holds them."""
    name = "normalizers" if "normalizers" in part else "pretokenizers"
    return name, part[name]


def _bare(part: Part) -> Part:
    """Return a normalizer or pre-tokenizer without what adds the prefix; {} when nothing is left."""
    match part.get("type"):
        case "Prepend":
            return {}
        case "Metaspace":
            return part | {"prepend_scheme": "never"}
        case "ByteLevel":
            return part | {"add_prefix_space": False}
        case "Sequence":
            name, steps = _steps(part)
            left = [bare for bare in map(_bare, steps) if bare]
            return part | {name: left} if left else {}
    return part


def _restarts(part: Part) -> bool:
    """Whether a normalizer or pre-tokenizer prefixes each stretch between special tokens, not only the first."""
    match part.get("type"):
        case "Prepend":
            return True
        case "Metaspace":
            return bool(part["prepend_scheme"] == "always")
        case "ByteLevel":
            return bool(part["add_prefix_space"])
        case "Sequence":
            return any(map(_restarts, _steps(part)[1]))
    return False

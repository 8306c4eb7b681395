"""External data where SGLC_TEST_DATA names it, and something of the same shape where it does not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sglc.backend.tokenizer import Tokenizer


def folder() -> Path | None:
    """Return the folder of external data, with its workloads and vocabularies, or None."""
    named = os.environ.get("SGLC_TEST_DATA")
    if not named or not all((Path(named) / part).is_dir() for part in ("workloads", "tokenizers")):
        return None
    return Path(named)


def source() -> str:
    """Return the label of the data that is used: "external" or "synthetic"."""
    return "synthetic" if folder() is None else "external"


def gpt2() -> Tokenizer:
    """Return a fresh gpt2 tokenizer, with nothing remembered; the packaged one where the vocabulary is missing."""
    if folder() is not None:
        from tests.tokenizers import load

        return load("gpt2")
    from sglc.backend.tokenizer import Tokenizer

    return Tokenizer.packaged()

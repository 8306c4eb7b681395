"""outlines-core's token masks behind JSON lines."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np
from mask_loop import serve_masks  # type: ignore[import-not-found]
from outlines_core import Guide, Index, Vocabulary
from outlines_core.json_schema import build_regex_from_schema


class Engine:
    """A vocabulary of bytes; the end of a text is a token of its own."""

    def __init__(self, asked: dict[str, Any]) -> None:
        ids: dict[bytes, list[int]] = {}
        for number, token in enumerate(asked["tokens"]):
            if token and number != asked["eos_id"]:
                ids.setdefault(bytes.fromhex(token), []).append(number)
        self._vocabulary = Vocabulary(asked["eos_id"], ids)
        self.row = np.zeros(-(-len(asked["tokens"]) // 32), dtype=np.int32)

    def compile(self, kind: str, text: str) -> Any:
        pattern = text if kind == "regex" else build_regex_from_schema(text, whitespace_pattern="")
        return Index(pattern, self._vocabulary)

    def start(self, language: Any) -> Matcher:
        return Matcher(language, self.row)


class Matcher:
    """A guide and the row it fills."""

    def __init__(self, language: Any, row: Any) -> None:
        self._guide = Guide(language)
        self._into = (row.ctypes.data, row.size, row.itemsize)

    def advance(self, token: int) -> bool:
        self._guide.advance(token, return_tokens=False)  # raises for one that is refused
        return True

    def fill(self) -> None:
        self._guide.write_mask_into(*self._into)


if __name__ == "__main__":
    serve_masks(Engine, version("outlines_core"))

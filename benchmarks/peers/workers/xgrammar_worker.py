"""xgrammar's token masks behind JSON lines."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import xgrammar
from mask_loop import serve_masks  # type: ignore[import-not-found]


class Engine:
    """A compiler without cache, on one thread."""

    def __init__(self, asked: dict[str, Any]) -> None:
        tokens = [bytes.fromhex(token) for token in asked["tokens"]]
        info = xgrammar.TokenizerInfo(
            tokens,
            xgrammar.VocabType.RAW,
            vocab_size=len(tokens),
            stop_token_ids=[asked["eos_id"]],
        )
        self._compiler = xgrammar.GrammarCompiler(info, max_threads=1, cache_enabled=False)
        self.row = xgrammar.allocate_token_bitmask(1, len(tokens))

    def compile(self, kind: str, text: str) -> Any:
        if kind == "regex":
            return self._compiler.compile_regex(text)
        return self._compiler.compile_json_schema(text, any_whitespace=False, separators=(",", ":"), strict_mode=True)

    def start(self, language: Any) -> Matcher:
        return Matcher(language, self.row)


class Matcher:
    """xgrammar's matcher and the row it fills."""

    def __init__(self, language: Any, row: Any) -> None:
        self._matcher = xgrammar.GrammarMatcher(language)
        self._row = row
        self.advance = self._matcher.accept_token

    def fill(self) -> None:
        self._matcher.fill_next_token_bitmask(self._row)


if __name__ == "__main__":
    serve_masks(Engine, version("xgrammar"))

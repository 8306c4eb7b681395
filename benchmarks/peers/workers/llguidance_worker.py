"""llguidance's token masks behind JSON lines."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import llguidance
import llguidance.numpy
from mask_loop import serve_masks  # type: ignore[import-not-found]


class Engine:
    """A tokenizer read from its file; its tokens are those of `tokens`, so that rows are as wide."""

    def __init__(self, asked: dict[str, Any]) -> None:
        text = Path(asked["tokenizer_json"]).read_text(encoding="utf-8")
        self._tokenizer = llguidance.LLTokenizer(text, n_vocab=len(asked["tokens"]), eos_token=asked["eos_id"])
        self.row = llguidance.numpy.allocate_token_bitmask(1, self._tokenizer.vocab_size)

    def compile(self, kind: str, text: str) -> Any:
        if kind == "regex":
            grammar = llguidance.LLMatcher.grammar_from_regex(text)
        else:
            schema = json.loads(text)
            compact = {"whitespace_flexible": False, "item_separator": ",", "key_separator": ":"}
            grammar = llguidance.LLMatcher.grammar_from_json_schema(schema, defaults=compact)
        matcher = llguidance.LLMatcher(self._tokenizer, grammar)
        if matcher.is_error():
            raise ValueError(matcher.get_error())
        return matcher

    def start(self, language: Any) -> Matcher:
        return Matcher(language.deep_copy(), self.row)


class Matcher:
    """llguidance's matcher and the row it fills."""

    def __init__(self, matcher: Any, row: Any) -> None:
        self._matcher = matcher
        self._row = row
        self.advance = matcher.consume_token

    def fill(self) -> None:
        llguidance.numpy.fill_next_token_bitmask(self._matcher, self._row, 0)


if __name__ == "__main__":
    serve_masks(Engine, version("llguidance"))

"""How a generation draws its tokens: the one place where sampling parameters are spelled out."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

MAX_STOPS = 32
"""Stop strings, and stop patterns, that one generation may have."""


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """Sampling parameters of one generation, in the units of SGLang's frontend.

    Fields hold a value for every parameter; a `gen` that leaves one out inherits it (`override`).
    `temperature` below 1e-6 means greedy. `top_k` is a count of tokens, None (or -1) for all. `seed` None is
    seed 0: runs repeat themselves unless asked otherwise. Stops may be given as one string or several, `logit_bias`
    (amounts added to logits) as a dict of token ids. Raises ValueError for a value out of range.
    """

    max_new_tokens: int = 128
    min_new_tokens: int = 0
    n: int = 1
    stop: tuple[str, ...] = ()
    stop_token_ids: tuple[int, ...] = ()
    stop_regex: tuple[str, ...] = ()
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int | None = None
    min_p: float = 0.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    repetition_penalty: float = 1.0
    logit_bias: tuple[tuple[int, float], ...] = ()
    ignore_eos: bool = False
    seed: int | None = None
    return_logprob: bool = False
    logprob_start_len: int | None = None
    top_logprobs_num: int = 0
    return_text_in_logprobs: bool = False

    def __post_init__(self) -> None:
        set_field = object.__setattr__
        for name in ("stop", "stop_token_ids", "stop_regex"):
            set_field(self, name, _as_tuple(name, getattr(self, name)))
        for pattern in self.stop_regex:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"stop_regex: found {pattern!r} ({error}); wanted a regular expression") from None
        if self.top_k == -1:
            set_field(self, "top_k", None)
        if self.logprob_start_len == -1:
            set_field(self, "logprob_start_len", None)
        set_field(self, "logit_bias", _as_pairs(self.logit_bias))
        for name, (kind, low, high, wanted) in _RANGES.items():
            value = getattr(self, name)
            if value is None and name in _OPTIONAL:
                continue
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or (kind is int and not isinstance(value, int)) or not low <= value <= high:
                raise ValueError(f"{name}: found {value!r}; wanted {wanted}")
        if self.min_new_tokens > self.max_new_tokens:
            raise ValueError(
                f"min_new_tokens: found {self.min_new_tokens}; wanted at most max_new_tokens = {self.max_new_tokens}"
            )

    @property
    def greedy(self) -> bool:
        """Whether the most likely token is taken, without a draw."""
        return self.temperature < 1e-6

    def override(self, changes: Mapping[str, Any]) -> SamplingParams:
        """Return these parameters with `changes` (name → value, None = keep) applied."""
        changes = {name: value for name, value in changes.items() if value is not None}
        return replace(self, **changes) if changes else self


PARAMETER_NAMES = frozenset(f.name for f in fields(SamplingParams))
"""The names that `run` and `run_batch` accept as sampling defaults."""

_OPTIONAL = {"top_k", "seed", "logprob_start_len"}
_TINY = math.ulp(0.0)
_RANGES: dict[str, tuple[type, float, float, str]] = {
    "max_new_tokens": (int, 0, math.inf, "a whole number ≥ 0"),
    "min_new_tokens": (int, 0, math.inf, "a whole number ≥ 0"),
    "n": (int, 1, math.inf, "a whole number ≥ 1"),
    "temperature": (float, 0, 1e9, "a finite number ≥ 0"),
    "top_p": (float, _TINY, 1, "a number in (0, 1]"),
    "top_k": (int, 1, math.inf, "a whole number ≥ 1, or -1 for all tokens"),
    "min_p": (float, 0, 1, "a number in [0, 1]"),
    "frequency_penalty": (float, -2, 2, "a number in [-2, 2]"),
    "presence_penalty": (float, -2, 2, "a number in [-2, 2]"),
    "repetition_penalty": (float, _TINY, 1e9, "a number > 0"),
    "seed": (int, -(2**63), 2**64 - 1, "a whole number of 64 bits"),
    "logprob_start_len": (int, 0, math.inf, "a whole number ≥ 0, or -1 for the end of the prompt"),
    "top_logprobs_num": (int, 0, math.inf, "a whole number ≥ 0"),
}


def _as_pairs(bias: Any) -> tuple[tuple[int, float], ...]:
    """Return a bias as sorted (token id, amount) pairs."""
    try:
        pairs = tuple(sorted((int(k), float(v)) for k, v in dict(bias).items()))
    except (TypeError, ValueError):
        pairs = ((0, math.nan),)
    if any(math.isnan(amount) for _, amount in pairs):
        raise ValueError(f"logit_bias: found {bias!r}; wanted a dict of token id to number")
    return pairs


def _as_tuple(name: str, value: Any) -> tuple[Any, ...]:
    """Return a copy of one item or several as a tuple; the caller's list is never kept or changed."""
    kind: type = int if name == "stop_token_ids" else str
    items = (value,) if isinstance(value, kind) else tuple(value)
    for item in items:
        if not isinstance(item, kind) or (kind is str and not item):
            raise ValueError(f"{name}: found {item!r}; wanted {'token ids' if kind is int else 'non-empty strings'}")
    if kind is str and len(items) > MAX_STOPS:
        raise ValueError(f"{name}: found {len(items)} entries; wanted at most {MAX_STOPS}")
    return items

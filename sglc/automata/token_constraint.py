"""Regexes and JSON schemas met with a vocabulary: the constraints that generations ask for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from functools import lru_cache
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from sglc.automata.byte_automaton import DEAD, ByteAutomaton, State
from sglc.automata.constraint import Constraint
from sglc.automata.languages import json_schema_positions, json_schema_text, regex_positions
from sglc.automata.positions import Positions
from sglc.automata.token_trie import TokenTrie, trie_of

MAX_KEPT_MASKS = 256
MAX_KEPT_STATES = 20_000  # a row of each is 1 KiB

Mask = npt.NDArray[np.bool_]


def compile_regex(pattern: str, token_bytes: Sequence[bytes]) -> Constraint:
    """Return the texts that match `pattern` as a whole, over the vocabulary `token_bytes` (must not change).

    `token_bytes[i]` is what token i adds to the text, empty for special tokens. Equal arguments give one constraint.
    Raises ProgramError for an invalid pattern or an empty language, Unsupported for what is not regular or too large.
    """
    return _compiled_regex(pattern, trie_of(token_bytes))


def compile_json_schema(schema: str | Mapping[str, Any], token_bytes: Sequence[bytes]) -> Constraint:
    """Return JSON texts, laid out as in `json_text`, that are valid under `schema`; otherwise as `compile_regex`."""
    return _compiled_json_schema(json_schema_text(schema), trie_of(token_bytes))


@lru_cache(maxsize=128)
def _compiled_regex(pattern: str, trie: TokenTrie) -> TokenConstraint:
    return TokenConstraint(regex_positions(pattern), trie)


@lru_cache(maxsize=128)
def _compiled_json_schema(schema: str, trie: TokenTrie) -> TokenConstraint:
    return TokenConstraint(json_schema_positions(schema), trie)


class TokenConstraint:
    """A `Constraint` whose masks are worked out when first asked for. Threads may share it."""

    def __init__(self, positions: Positions, trie: TokenTrie) -> None:
        self._automaton = ByteAutomaton(positions)
        self._trie = trie
        self._masks: OrderedDict[State, Mask] = OrderedDict()  # least recently used first
        self._lock = Lock()

    @property
    def start(self) -> Hashable:
        return self._automaton.start

    def allowed(self, state: Hashable) -> Mask:
        members = _checked(state)
        with self._lock:
            mask = self._masks.get(members)
            if mask is None:
                mask = self._masks[members] = self._mask(members)
                if len(self._masks) > MAX_KEPT_MASKS:
                    self._masks.popitem(last=False)
            else:
                self._masks.move_to_end(members)
            return mask

    def advance(self, state: Hashable, token_id: int) -> Hashable:
        members = _checked(state)
        text = self._trie.token_bytes[token_id] if 0 <= token_id < len(self._trie.token_bytes) else b""
        with self._lock:
            after = self._automaton.walk(members, text) if text else frozenset()
        if not after:
            raise ValueError(f"token {token_id}: found bytes {text!r}; wanted a token that the constraint allows here")
        return after

    def draft(self, state: Hashable) -> Sequence[int]:
        return ()

    def may_end(self, state: Hashable) -> bool:
        return self._automaton.accepts(_checked(state))

    def must_end(self, state: Hashable) -> bool:
        return self._automaton.is_last(_checked(state))

    def _mask(self, state: State) -> Mask:
        """Walk all tokens at once, one byte a round; a token stays allowed while its prefix is alive."""
        automaton, trie = self._automaton, self._trie
        if len(automaton) > MAX_KEPT_STATES:
            automaton.forget()
        mask = np.zeros(len(trie.token_bytes), dtype=np.bool_)
        reached = np.array([automaton.index(state)], dtype=np.int32)
        for level in trie.levels:
            reached = automaton.step_all(reached[level.parents], level.last_bytes)
            if not reached.any():
                break
            mask[level.token_ids] = reached[level.token_prefixes] != DEAD
        mask.flags.writeable = False
        return mask


def _checked(state: Hashable) -> State:
    if not isinstance(state, frozenset):
        raise TypeError(f"state: found {state!r}; wanted one that `start` or `advance` returned")
    return state

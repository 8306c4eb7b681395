"""Regexes, JSON schemas and grammars met with a vocabulary: the constraints that generations ask for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from threading import Lock

import numpy as np
import numpy.typing as npt

from sglc.automata.languages import grammar_language, json_schema_language, regex_language
from sglc.automata.token_states import PackedRow
from sglc.automata.token_table import TokenTable
from sglc.automata.vocabulary import Vocabulary

MAX_KEPT_MASKS = 256
MAX_PREPARED_STATES = 5_000
"""States up to which the drafts of all of them are worked out ahead: about 20 µs each where something is forced."""

Mask = npt.NDArray[np.bool_]


def compile_regex(pattern: str, vocabulary: Vocabulary) -> TokenConstraint:
    """Return the texts that match `pattern` as a whole, over a vocabulary. Equal arguments give one constraint.

    Raises ProgramError for an invalid pattern or an empty language, Unsupported for what is not regular or too large.
    """
    return _compiled_regex(pattern, vocabulary)


def compile_json_schema(schema: str, vocabulary: Vocabulary) -> TokenConstraint:
    """Return JSON texts that are valid under `schema`, JSON text itself; otherwise as `compile_regex`."""
    return _compiled_json_schema(schema, vocabulary)


def compile_grammar(grammar: str, vocabulary: Vocabulary) -> TokenConstraint:
    """Return the texts that a grammar in lark's syntax derives; otherwise as `compile_regex`."""
    return _compiled_grammar(grammar, vocabulary)


@lru_cache(maxsize=128)
def _compiled_regex(pattern: str, vocabulary: Vocabulary) -> TokenConstraint:
    return TokenConstraint(TokenTable(regex_language(pattern), vocabulary))


@lru_cache(maxsize=128)
def _compiled_json_schema(schema: str, vocabulary: Vocabulary) -> TokenConstraint:
    return TokenConstraint(TokenTable(json_schema_language(schema), vocabulary))


@lru_cache(maxsize=128)
def _compiled_grammar(grammar: str, vocabulary: Vocabulary) -> TokenConstraint:
    return TokenConstraint(TokenTable(grammar_language(grammar), vocabulary))


class TokenConstraint:
    """A `Constraint` over a token table. Threads may share it."""

    def __init__(self, table: TokenTable) -> None:
        self.table = table
        self._masks: OrderedDict[Hashable, Mask] = OrderedDict()  # least recently used first
        self._lock = Lock()
        if table.whole is not None and len(table.whole.final) <= MAX_PREPARED_STATES:
            table.prepare()

    @property
    def start(self) -> Hashable:
        return self.table.start

    def allowed(self, state: Hashable) -> Mask:
        return self._mask(state, lambda: self.table.allowed(state))

    def _mask(self, state: Hashable, row: Callable[[], PackedRow]) -> Mask:
        """Return the mask of a state, of whose row it is made when it is not at hand."""
        with self._lock:
            mask = self._masks.get(state)
            if mask is None:
                mask = self._masks[state] = self._unpacked(row())
                if len(self._masks) > MAX_KEPT_MASKS:
                    self._masks.popitem(last=False)
            else:
                self._masks.move_to_end(state)
            return mask

    def advance(self, state: Hashable, token_id: int) -> Hashable:
        after = self.table.next(state, token_id) if token_id >= 0 else None
        if after is None:
            tokens = self.table.vocabulary.tokens
            text = tokens[token_id] if 0 <= token_id < len(tokens) else b""
            raise ValueError(f"token {token_id}: found bytes {text!r}; wanted a token that the constraint allows here")
        return after

    def draft(self, state: Hashable) -> Sequence[int]:
        return self.table.draft(state)

    def may_end(self, state: Hashable) -> bool:
        return self.table.is_final(state)

    def must_end(self, state: Hashable) -> bool:
        return self.table.is_final(state) and not self.table.allowed(state).any()

    def _unpacked(self, row: PackedRow) -> Mask:
        mask = np.unpackbits(row, count=self.table.vocabulary.width, bitorder="little").view(np.bool_)
        mask.flags.writeable = False
        return mask

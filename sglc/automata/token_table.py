"""An automaton met with a vocabulary: which tokens may come next, and where each of them leads."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Protocol

from sglc.automata.automaton import Automaton
from sglc.automata.byte_dfa import ByteDfa
from sglc.automata.byte_steps import DfaSteps, PositionSteps
from sglc.automata.forced_tokens import spelled, whole_characters
from sglc.automata.on_demand_rows import OnDemandRows
from sglc.automata.token_classes import TooLarge
from sglc.automata.token_states import PackedRow, TokenStates
from sglc.automata.vocabulary import Vocabulary
from sglc.automata.vocabulary_trie import ROOT
from sglc.automata.whole_table import WholeTable
from sglc.errors import Unsupported


class MatchedAutomaton(Protocol):
    """A language that another library follows; `is_table` is False."""

    is_table: bool

    @property
    def name(self) -> str:
        """What errors call it."""

    def states(self, vocabulary: Vocabulary) -> TokenStates:
        """Return its states over a vocabulary."""


class TokenTable:
    """States are immutable and hashable. Threads may share it.

    All of a regular language is worked out ahead, where it is not too large; otherwise rows are worked out when a state
    is first met. What is not regular is asked of its own matcher.
    """

    start: Hashable
    """The state before the first token."""

    whole: WholeTable | None
    """The arrays, for what is worked out ahead."""

    dfa: ByteDfa | None
    """The automaton over bytes, for what is worked out as a whole."""

    def __init__(self, automaton: Automaton | MatchedAutomaton, vocabulary: Vocabulary) -> None:
        self.name = automaton.name
        self.vocabulary = vocabulary
        self.whole = None
        self.dfa = automaton.dfa if isinstance(automaton, Automaton) else None
        self._states: TokenStates
        if not isinstance(automaton, Automaton):
            self._states = automaton.states(vocabulary)
        elif automaton.dfa is None:
            self._states = OnDemandRows(PositionSteps(automaton.positions), vocabulary)
        else:
            try:
                self._states = self.whole = WholeTable(automaton.dfa, vocabulary)
            except TooLarge:
                self._states = OnDemandRows(DfaSteps(automaton.dfa), vocabulary)
        self.start = self._states.start

    @property
    def nbytes(self) -> int:
        """The bytes of the tables that are worked out ahead."""
        return self.whole.nbytes if self.whole is not None else 0

    def allowed(self, state: Any) -> PackedRow:
        """Return the tokens that keep the text viable: a read-only bit each, in little bit order [ceil(width / 8)].

        The end of a text is no token: `is_final` says whether it may end.
        """
        return self._states.allowed(state)

    def is_final(self, state: Any) -> bool:
        """Whether the text so far is a member."""
        return self._states.is_final(state)

    def next(self, state: Any, token: int) -> Hashable | None:
        """Return the state after a token; None for one that is not allowed."""
        return self._states.next(state, token)

    def forced(self, state: Any) -> bytes:
        """Return the bytes that every member goes on with; none where one ends or there is a choice."""
        return self._states.forced(state)

    def draft(self, state: Any) -> tuple[int, ...]:
        """Return the tokens that a model which writes like its tokenizer would say for the bytes that are forced.

        All of them are allowed one after another. Those that could merge with what follows are left out. The tokenizer
        is asked when a state is first met: `prepare` does that ahead.
        """
        if isinstance(self._states, WholeTable | OnDemandRows):
            return self._states.draft(state)
        run = whole_characters(self._states.forced(state))
        return spelled(run, self.vocabulary, self._begins_a_longer_token)

    def prepare(self) -> None:
        """Work out the drafts of all states, where states are known ahead."""
        if self.whole is not None:
            for state in range(1, len(self.whole.final)):
                self.whole.draft(state)

    def distance(self, state: Any) -> int | None:
        """Return the fewest tokens that lead to a member; None where no tokens do.

        Raises Unsupported for a language that is not worked out ahead.
        """
        return self._worked_out().distance(state)

    def allowed_within(self, state: Any, tokens: int) -> PackedRow:
        """Return the row of tokens after which at most `tokens` tokens, this one included, make a member.

        Raises Unsupported for a language that is not worked out ahead.
        """
        return self._worked_out().allowed_within(state, tokens)

    def _worked_out(self) -> WholeTable:
        if self.whole is None:
            raise Unsupported(f"{self.name}: found no token table; wanted one, to tell how far the end is")
        return self.whole

    def _begins_a_longer_token(self, text: bytes) -> bool:
        node = self.vocabulary.trie.walk(ROOT, text)
        return node is not None and bool(self.vocabulary.trie.children[node])

"""How `select` turns the log-probabilities of its choices into a decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Logprobs = Sequence[Sequence[float]]


@dataclass(frozen=True, slots=True)
class ChoicesDecision:
    """The index of the chosen text, and what led to it."""

    index: int
    meta_info: dict[str, Any] = field(default_factory=dict)


class ChoicesSamplingMethod:
    """A way to choose; `needs_unconditional` asks for the choices' log-probabilities without the prompt."""

    needs_unconditional = False

    def decide(self, logprobs: Logprobs, unconditional: Logprobs | None) -> ChoicesDecision:
        """Choose among texts with these token log-probabilities, each a non-empty list."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return type(self).__name__


class TokenLengthNormalized(ChoicesSamplingMethod):
    """The greatest mean log-probability of a token. Favours long choices that predict themselves."""

    def decide(self, logprobs: Logprobs, unconditional: Logprobs | None) -> ChoicesDecision:
        """Return the argmax of the means."""
        means = [_mean(row) for row in logprobs]
        return ChoicesDecision(_argmax(means), {"normalized_prompt_logprobs": means})


class GreedyTokenSelection(ChoicesSamplingMethod):
    """What greedy decoding restricted to the choices says: the best token at each position decides.

    A choice that has ended goes on with its own mean.
    """

    def decide(self, logprobs: Logprobs, unconditional: Logprobs | None) -> ChoicesDecision:
        """Return the choice that survives longest, the lowest index among equals."""
        width = max(len(row) for row in logprobs)
        matrix = [[*row, *[_mean(row)] * (width - len(row))] for row in logprobs]
        alive = list(range(len(matrix)))
        for position in range(width):
            best = max(matrix[i][position] for i in alive)
            alive = [i for i in alive if matrix[i][position] == best]
            if len(alive) == 1:
                break
        return ChoicesDecision(alive[0], {"greedy_logprob_matrix": matrix})


class UnconditionalLikelihoodNormalized(ChoicesSamplingMethod):
    """The greatest mean of (log-probability − log-probability without the prompt), the first of these being 0."""

    needs_unconditional = True

    def decide(self, logprobs: Logprobs, unconditional: Logprobs | None) -> ChoicesDecision:
        """Return the argmax of the normalized means."""
        if unconditional is None:
            raise ValueError("found no unconditional log-probabilities; wanted one list per choice")
        pairs = zip(logprobs, unconditional, strict=True)
        means = [_mean([a - b for a, b in zip(row, (0.0, *base[1:]), strict=True)]) for row, base in pairs]
        return ChoicesDecision(_argmax(means), {"normalized_unconditional_prompt_logprobs": means})


token_length_normalized = TokenLengthNormalized()
greedy_token_selection = GreedyTokenSelection()
unconditional_likelihood_normalized = UnconditionalLikelihoodNormalized()

METHODS: Mapping[str, ChoicesSamplingMethod] = {
    "token_length_normalized": token_length_normalized,
    "greedy_token_selection": greedy_token_selection,
    "unconditional_likelihood_normalized": unconditional_likelihood_normalized,
}
"""Name in graphs → method; those that users define have none."""


def _mean(row: Sequence[float]) -> float:
    return sum(row) / len(row)


def _argmax(values: Sequence[float]) -> int:
    return max(range(len(values)), key=values.__getitem__)

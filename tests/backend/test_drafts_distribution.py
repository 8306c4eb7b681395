"""With drafts, every output is as probable as without: all outputs of a small language are counted up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from contextlib import closing
from random import Random
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
import tokenizers
import torch

from sglc.automata.constraint import Constraint
from sglc.automata.token_constraint import compile_regex
from sglc.backend import step_builder
from sglc.backend.context_hashes import token_marks
from sglc.backend.engine import Engine
from sglc.backend.replay import ReplayModel
from sglc.backend.replay_logits import mix
from sglc.backend.request import Completion
from sglc.backend.sampler import DenseLogits
from sglc.backend.step import Floats, Logits, Step
from sglc.backend.tokenizer import Tokenizer
from tests.asking import Mailbox, request
from tests.drafting import Drafting

TOKENS = ("a", "b", "ab")
END = 3
PROMPT = [0, 1]
EDGE = 1e-9


def toy_tokenizer() -> Tokenizer:
    """Return a tokenizer of three tokens, two of which make up the third, and an end."""
    model = tokenizers.models.BPE({token: i for i, token in enumerate(TOKENS)}, [("a", "b")])
    backend = tokenizers.Tokenizer(model)
    backend.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = tokenizers.decoders.ByteLevel()
    backend.add_special_tokens(["</s>"])
    return Tokenizer(backend, config={"eos_token": "</s>"}, name="toy")


def probabilities(hashed: np.uint64) -> Floats:
    """Return what the model gives each token behind a context."""
    weights = 0.05 + (mix(hashed + np.arange(1, 5, dtype=np.uint64)) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    found: Floats = weights / weights.sum()
    return found


class ToyModel(ReplayModel):
    """A replay model of four tokens."""

    fingerprint = "toy"

    def forward(self, step: Step) -> Logits:
        """Return its logits."""
        return DenseLogits(torch.from_numpy(np.log([probabilities(each) for each in self.contexts(step)])))


class Leaf(NamedTuple):
    """An output, how probable it is, and the numbers between which its draws lie."""

    output: tuple[int, ...]
    probability: float
    cells: tuple[tuple[float, float], ...]


def leaves(constraint: Constraint, most: int) -> Iterator[Leaf]:
    """Yield everything that masked decoding may say, worked out without an engine."""
    ways: list[tuple[Leaf, Hashable]] = [(Leaf((), 1.0, ()), constraint.start)]
    while ways:
        leaf, state = ways.pop()
        context = np.array([*PROMPT, *leaf.output], np.int64)
        marks = token_marks(context, np.arange(len(context)))
        allowed = constraint.allowed(state).copy()
        allowed[END] = constraint.may_end(state)
        masked = probabilities(mix(np.cumsum(marks))[-1]) * allowed
        masked /= masked.sum()
        below = np.concatenate([[0.0], np.cumsum(masked)])
        for token in np.flatnonzero(allowed).tolist():
            after = Leaf(
                (*leaf.output, token),
                leaf.probability * float(masked[token]),
                (*leaf.cells, (float(below[token]), float(below[token + 1]))),
            )
            further = constraint.advance(state, token) if token != END else None
            if token == END or len(after.output) == most or constraint.must_end(further):
                yield after
            else:
                ways.append((after, further))


@pytest.mark.parametrize("pattern", ["(a|b)ab(b|ab)?", "a?(ab)*b{0,2}", "(ab){3}a?", "[ab]*"])
def test_every_output_is_as_probable_as_without_drafts(pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In each cell of draws that gives one output, its corners and its middle are drawn, all of them at once."""
    most, random = 5, Random(7)
    tokenizer = toy_tokenizer()
    chosen: dict[int, Sequence[float]] = {}

    def drawn(keys: npt.NDArray[np.uint64], positions: npt.NDArray[np.uint64]) -> Floats:
        return np.array([chosen[key][place] for key, place in zip(keys.tolist(), positions.tolist(), strict=True)])

    monkeypatch.setattr(step_builder, "uniforms", drawn)
    with closing(Engine(ToyModel(tokenizer), tokenizer=tokenizer, kv_tokens=4096, check=True)) as engine:
        constraint = compile_regex(pattern, engine.vocabulary)
        drafts: dict[Hashable, list[int]] = defaultdict(
            lambda: [random.randrange(3) for _ in range(random.randrange(5))]
        )
        drafting = Drafting(constraint, drafts.__getitem__)
        wanted = [*leaves(constraint, most)]
        assert sum(leaf.probability for leaf in wanted) == pytest.approx(1.0, abs=1e-12)
        found: dict[tuple[int, ...], float] = defaultdict(float)
        points = (EDGE, 0.5, 1 - EDGE)
        mailbox = Mailbox()
        asked = []
        for i, leaf in enumerate(wanted):
            for j, point in enumerate(points):
                key = len(points) * i + j
                chosen[key] = [low + (high - low) * point for low, high in leaf.cells] + [0.3] * most
                asked.append(
                    request(
                        mailbox, PROMPT, key, temperature=1.0, max_new_tokens=most, constraint=drafting, stream_key=key
                    )
                )
        engine.submit(asked)
        for key, end in enumerate(mailbox.wait(asked)):
            assert isinstance(end, Completion), end
            output = (*end.tokens.tolist(), *([END] if end.finish.matched == END else []))
            found[output] += wanted[key // len(points)].probability / len(points)
        assert engine.counters.drafted > engine.counters.accepted > 0
    distance = sum(abs(found.pop(leaf.output, 0.0) - leaf.probability) for leaf in wanted) + sum(found.values())
    assert distance / 2 <= 1e-12

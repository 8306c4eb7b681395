"""What is begun fits to its end, as far as can be foreseen, and nothing waits for room that is there."""

from __future__ import annotations

import random
from contextlib import closing
from typing import Any

import pytest

from sglc.backend.admission import Admission
from sglc.backend.claim import Claim
from sglc.backend.engine import Engine
from sglc.backend.kept import Kept
from sglc.backend.kv_pool import KvPool
from sglc.backend.radix import RadixTree
from sglc.backend.request import Request
from sglc.backend.sequence import Sequence
from tests.asking import Mailbox, ask, request, watch


@pytest.fixture(scope="module")
def engine() -> Engine:
    """One whose tokenizer sequences are made with."""
    return Engine("replay:hash")


def waiting(engine: Engine, length: int, row: int, **given: Any) -> Sequence:
    """Return a sequence of a planned row."""
    asked = request(Mailbox(), [*range(1000 * row, 1000 * row + length)], priority=(row, 1), planned=True, **given)
    return Sequence(asked, engine.tokenizer, asked.priority, frozenset())


class Room:
    """A pool, and sequences that run in it."""

    def __init__(self, capacity: int) -> None:
        pool = KvPool(capacity)
        tree = RadixTree(pool)
        self.admission = Admission(pool, tree, Kept(tree))
        self._pool = pool
        self._running: list[Sequence] = []

    def run(self, *sequences: Sequence) -> None:
        """Let sequences run whose prompts are computed."""
        for sequence in sequences:
            sequence.assign_slots(self._pool.allocate(sequence.length))
            self._running.append(sequence)

    def fits(self, sequence: Sequence, *, going_on: bool = False) -> bool:
        self.admission.begin(self._running)
        return self.admission.fits(sequence, going_on=going_on)


def test_what_is_ahead_of_a_row_has_to_fit_too(engine: Engine) -> None:
    room = Room(100)
    room.run(waiting(engine, 40, row=1, ahead=100))
    assert room.fits(waiting(engine, 20, row=2))
    ambitious = waiting(engine, 20, row=2, ahead=150)
    assert not room.fits(ambitious)
    assert room.fits(ambitious, going_on=True)


def test_rows_that_end_make_room_for_those_that_grow(engine: Engine) -> None:
    """A row that grows to 80 tokens has room in 100 beside one of 60 that is over by then, not beside a longer one."""
    growing = waiting(engine, 10, row=2, max_new_tokens=100)
    growing.behind = [waiting(engine, 70, row=2, max_new_tokens=20)]
    growing.behind[0].expected = True
    for most, fits in ((10, True), (400, False)):
        room = Room(100)
        room.run(waiting(engine, 60, row=1, max_new_tokens=most))
        assert room.fits(growing) == fits


def test_what_the_sequences_of_a_row_share_is_given_back_with_the_last() -> None:
    """Ten forks of a prompt of 80 tokens: another such row fits into 200 beside one that has begun, not two."""
    with closing(Engine("replay:hash", kv_tokens=200, max_step_tokens=1000, check=True)) as made:
        rows: list[set[int]] = []
        watch(made, lambda step: rows.append({each.order[0] for each in made._scheduler._running}))
        mailbox = Mailbox()
        asked = [
            request(mailbox, [*range(1000 * row, 1000 * row + 80), fork], priority=(row, fork), planned=True,
                    max_new_tokens=2, ignore_eos=True)
            for row in range(1, 6)
            for fork in range(10)
        ]  # fmt: skip
        made.submit(asked)
        mailbox.wait(asked)
    assert max(map(len, rows)) == 2 and made.counters.filled == 5 * 90


def test_lengths_of_outputs_are_learned(engine: Engine) -> None:
    room = Room(2_000)
    room.run(*(waiting(engine, 10, row, max_new_tokens=1000) for row in range(6)))
    another = waiting(engine, 10, 7, max_new_tokens=1000)
    assert not room.fits(another)
    for _ in range(50):
        over = waiting(engine, 10, 8, max_new_tokens=1000)
        over.output = [1] * 50
        room.admission.finished(over)
    assert room.fits(another)


@pytest.mark.parametrize("seed", range(4))
def test_with_room_for_all_nothing_waits(seed: int) -> None:
    rng = random.Random(seed)
    prompts = [[0, *(rng.randint(3, 9) for _ in range(rng.randint(1, 40)))] for _ in range(60)]
    passes, most = [], rng.choice([64, 2048])
    for planned in (False, True):
        with closing(Engine("replay:hash", max_step_tokens=most)) as made:
            ask(made, prompts, planned=planned, max_new_tokens=12, ahead=1000 if planned else 0)
            passes.append(made.counters.forward_passes)
    assert passes[1] == passes[0]


def test_a_branch_waits_until_the_one_before_it_has_ended() -> None:
    """Two branches with much ahead of them: the second begins when nothing is ahead of the first any more."""
    with closing(Engine("replay:hash", kv_tokens=120, check=True)) as made:
        running: list[int] = []
        watch(made, lambda step: running.append(len(step.lengths)))
        mailbox = Mailbox()
        claims = [Claim(100), Claim(100)]
        asked: list[Request] = [
            request(mailbox, [0, *range(10 * turn, 10 * turn + 9)], priority=(1, turn), planned=True, claim=claim,
                    ahead=250, max_new_tokens=10, ignore_eos=True)
            for turn, claim in enumerate(claims, 1)
        ]  # fmt: skip
        made.submit(asked)
        mailbox.wait(asked)
        made.drop_claims(claims)
    assert max(running) == 1

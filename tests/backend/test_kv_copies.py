"""What rows have beside the pool says, in any step, what their tokens say: whoever came, went, paused or forked."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, get_args

import numpy as np
import pytest
import torch

from sglc.backend import attention
from sglc.backend.attention import StepAttention
from sglc.backend.attention_plan import Copies, Limits, Piece, Plan, plan_attention
from sglc.backend.kv_copies import Changes
from sglc.backend.kv_store import KvStore
from sglc.backend.partial_softmax import Scores, Scoring
from sglc.backend.step import Step
from sglc.backend.work_list import as_index
from tests.dense_attention import TOLERANCE, RowWork, dense_attention, make_step

CPU = torch.device("cpu")
SLOTS = 3000
TOKENS = 1000  # kinds of them
SCORING = Scoring(0.7)
SEEDS = range(300 if os.environ.get("SGLC_TEST_FULL") == "1" else 12)
STEPS = 40


@dataclass(frozen=True)
class Layer:
    """A layer whose keys and values are a function of the token."""

    window: int | None
    keys: torch.Tensor  # [TOKENS, H, D]
    values: torch.Tensor


@dataclass(eq=False)
class Row:
    number: int
    tokens: list[int]
    table: list[int]  # of the first tokens; the others are to be computed
    pause: int = 0  # steps that it is not in

    @property
    def left(self) -> int:
        return len(self.tokens) - len(self.table)


class World:
    """Rows over a pool that is NaN wherever no row has a slot, as an engine with many requests would have them."""

    def __init__(self, seed: int, *, calm: bool = False) -> None:
        """Make a world with windows, room and limits of its own. Where it is calm, steps fill all and never fail."""
        self.calm = calm
        self.rng = np.random.default_rng(seed)
        windows = [(None, None), (None, 90), (60, 150)][seed % 3]
        generator = torch.Generator().manual_seed(seed)
        self.layers = [
            Layer(window, *torch.randn(2, TOKENS, 2, 4, generator=generator, dtype=torch.float64)) for window in windows
        ]
        self.store = KvStore(CPU)
        self.store.allocate(SLOTS)
        self.forget_slots(list(range(SLOTS)))
        room = [200, 1000, 20_000][seed // 3 % 3]
        self.copies = {window: Copies(CPU, room) for window in windows}
        self.limits = Limits(positions=[4096, 60][seed % 2], saved=64, join=[64, 0][seed // 2 % 2])
        self.scores = Scores(CPU)
        self.rows: list[Row] = []
        self.numbers = iter(range(10_000))
        self.owners: Counter[int] = Counter()
        self.free: list[int] = self.rng.permutation(np.arange(1, SLOTS)).tolist()

    def chance(self, probability: float) -> bool:
        return not self.calm and bool(self.rng.random() < probability)

    def below(self, stop: int) -> int:
        return int(self.rng.integers(stop))

    def add(self, new: int, parent: Row | None = None, shared: int = 0) -> Row:
        """Add a row of new tokens behind those that it shares with another one."""
        known, table = (parent.tokens[:shared], parent.table[:shared]) if parent else ([], [])
        row = Row(next(self.numbers), known + self.rng.integers(TOKENS, size=new).tolist(), self.own(table))
        self.rows.append(row)
        return row

    # What happens to rows between steps.

    def begin(self) -> None:
        self.add(1 + self.below(150))

    def fork(self) -> None:
        """Begin a row with what another one has, mostly with all of it."""
        parent = self.any_row()
        shared = len(parent.table) if self.chance(0.7) else self.below(len(parent.table) + 1)
        self.add(1 + self.below(3), parent, shared)

    def end(self) -> None:
        row = self.any_row()
        self.rows.remove(row)
        self.disown(row.table)

    def preempt(self) -> None:
        """Take a row's slots. It is computed again, under its number, but for what another row has of it."""
        row = self.any_row()
        before, row.table = row.table, []
        known = [(self.common(row, other), other) for other in self.rows]
        length, other = max(known, key=lambda pair: pair[0])
        row.table = self.own(other.table[: min(length, len(row.tokens) - 1)])
        self.disown(before)

    def settle(self) -> None:
        """Let a row use another's slots for what they have in common, as where both computed the same."""
        self.adopt(self.any_row(), self.any_row())

    def pause(self) -> None:
        self.any_row().pause = 1 + self.below(3)

    def repeat(self) -> None:
        """Begin a row of another's tokens that shares nothing with it yet."""
        self.rows.append(Row(next(self.numbers), self.any_row().tokens.copy(), []))

    def adopt(self, row: Row, other: Row) -> None:
        common = self.common(row, other)
        before = row.table[:common]
        row.table[:common] = self.own(other.table[:common])
        self.disown(before)

    def any_row(self) -> Row:
        return self.rows[self.below(len(self.rows))]

    @staticmethod
    def common(row: Row, other: Row) -> int:
        """Return how many tokens of a row the other has slots for."""
        most = min(len(row.tokens), len(other.table))
        return next((i for i in range(most) if row.tokens[i] != other.tokens[i]), most)

    def own(self, slots: list[int]) -> list[int]:
        self.owners.update(slots)
        return list(slots)

    def disown(self, slots: list[int]) -> None:
        self.owners.subtract(slots)
        gone = [slot for slot in slots if not self.owners[slot]]
        self.free += gone
        self.forget_slots(gone)

    def forget_slots(self, slots: list[int]) -> None:
        for layer in self.layers:
            nothing = torch.full((len(slots), 2, 4), torch.nan, dtype=torch.float64)
            self.store.write(layer, torch.tensor(slots, dtype=torch.int64), nothing, nothing)

    # What happens then.

    def turn(self) -> None:
        """Let something happen, then compute a step."""
        events: list[tuple[Callable[[], None], float]] = [
            (self.begin, 0.15), (self.fork, 0.25), (self.end, 0.15), (self.preempt, 0.1), (self.settle, 0.1),
            (self.pause, 0.2), (self.repeat, 0.05),
        ]  # fmt: skip
        for event, probability in events:
            if self.chance(probability) and self.rows:
                event()
        while len(self.rows) > 14:
            self.end()
        while len(self.rows) < 3:
            self.begin()
        self.step()

    def step(self) -> None:
        """Compute a step of all rows that don't pause, sometimes at the second attempt only."""
        works = list(self.works())
        if not works:
            return
        step = make_step([work for _, work in works])
        if self.chance(0.2):
            self.compute(step, works, failing=True)
            for copies in self.copies.values():
                copies.clear()
        self.compute(step, works)

    def works(self) -> Iterator[tuple[Row, RowWork]]:
        """Yield what rows compute: much or little of what they have to, one more token, or the last ones again."""
        rows = list(self.rows)
        if self.chance(0.2):
            self.rng.shuffle(rows)
        for row in rows:
            if row.pause:
                row.pause -= 1
                continue
            again = 1 + self.below(min(5, len(row.table))) if row.table and self.chance(0.05) else 0
            if not row.left and not again:
                row.tokens.append(self.below(TOKENS))
            new = row.left if self.calm else min(row.left, 1 + self.below(120))
            row.table += self.own([self.free.pop() for _ in range(new)])
            yield row, RowWork(np.array(row.table), new + again, row.number, again)

    def compute(self, step: Step, works: list[tuple[Row, RowWork]], failing: bool = False) -> None:
        """Compute all layers and compare them with the definition, or only the first."""
        attends = StepAttention(step, self.limits, self.copies, self.scores, CPU)
        for layer in self.layers[:1] if failing else self.layers:
            q = torch.from_numpy(self.rng.standard_normal((len(step.slots), 4, 4)))
            known = [torch.tensor(row.tokens[: len(row.table)]) for row, _ in works]
            new = torch.cat([tokens[len(tokens) - work.new :] for tokens, (_, work) in zip(known, works, strict=True)])
            k, v = layer.keys[new], layer.values[new]
            memory = self.store.write(layer, as_index(step.slots, CPU), k, v)
            found = attends.attend(q, k, v, memory, SCORING, layer.window)
            wanted = [
                dense_attention(queries, layer.keys[tokens], layer.values[tokens], SCORING, layer.window)
                for queries, tokens in zip(q.split(step.lengths.tolist()), known, strict=True)
            ]
            torch.testing.assert_close(found, torch.cat(wanted), rtol=0, atol=TOLERANCE[torch.float64])
        for copies in self.copies.values():
            copies.seats.check()


@pytest.mark.parametrize("seed", SEEDS)
def test_rows_that_come_and_go(seed: int) -> None:
    world = World(seed)
    for _ in range(STEPS):
        world.turn()


@pytest.mark.parametrize("seed", [6, 24])  # much room and no windows; seats of near widths are joined in one of them
@pytest.mark.parametrize("lengths", [(20, 52, 84, 148), (20, 20, 20, 20, 50, 90), (90, 50, 20, 20, 20)])
def test_rows_that_outgrow_their_seats_together(seed: int, lengths: Sequence[int]) -> None:
    world = World(seed, calm=True)
    for length in lengths:
        world.add(length)
    for _ in range(40):
        world.step()


def test_rows_that_read_a_copy_together_and_then_use_other_slots() -> None:
    world = World(6, calm=True)
    first = world.add(100)
    world.repeat()
    world.step()
    second = world.rows[1]
    rows = [world.add(1, first, 100) for _ in range(4)]
    world.step()
    world.step()
    for row in rows[:2]:
        world.adopt(row, second)
    world.step()
    world.step()


def test_the_rows_above_need_all_that_copies_can_do(monkeypatch: pytest.MonkeyPatch) -> None:
    done: Counter[str] = Counter()

    def watched(*arguments: Any) -> Plan:
        plan = plan_attention(*arguments)
        done.update(field.name for field in fields(Changes) if getattr(plan.changes, field.name))
        done.update(type(piece).__name__ for piece in (*plan.alone, *plan.first, *plan.more))
        return plan

    monkeypatch.setattr(attention, "plan_attention", watched)
    for seed in (0, 4, 6):
        test_rows_that_come_and_go(seed)
    assert done.keys() == {field.name for field in fields(Changes)} | {kind.__name__ for kind in get_args(Piece)}

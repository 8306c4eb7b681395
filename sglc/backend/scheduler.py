"""Who computes what in the next step: admission, chunked prefill, preemption, and who owns which KV slot."""

from __future__ import annotations

from collections.abc import Sequence as Seq
from dataclasses import dataclass

from sglc.backend.admission import Admission
from sglc.backend.counters import Counters
from sglc.backend.eviction import Order
from sglc.backend.kept import Kept
from sglc.backend.kv_pool import KvPool
from sglc.backend.outlook import Outlook
from sglc.backend.radix import RadixTree
from sglc.backend.sequence import Sequence
from sglc.backend.waiting import WaitingLine
from sglc.errors import EngineError

_MOST_STEPS = 8
"""After so many steps it is looked anew whether there is room, even if nothing has ended."""

_EARLY = 4
"""Where room is short, one in so many of those that run may have begun before what it may go on with was said."""


@dataclass(slots=True, eq=False)
class Work:
    """Positions start .. end - 1 of one sequence in one step; those before `cached` have their KV already.

    Behind them are those of the sequence's draft, of which `accepted` turn out to be as drafted.
    """

    sequence: Sequence
    start: int
    end: int
    cached: int
    accepted: int = 0


class Scheduler:
    """Waiting and running sequences over one KV pool.

    Older programs go first everywhere: their steps find their own prefix still cached, and the oldest sequence
    that can run is never preempted, so one that fits the pool alone always finishes. KV of a prompt belongs to
    the radix tree from the step that computes it; whoever shares it may join that very step. With `tree` None
    nothing is shared: the reference that the cache is checked against.

    Of planned sequences more is known: what waits tells what KV is used next, claims what is gone on from; and a row is
    begun when it fits to its end.
    """

    def __init__(
        self, pool: KvPool, tree: RadixTree | None, counters: Counters, max_step_tokens: int, max_running: int
    ) -> None:
        self._pool = pool
        self._tree = tree
        self._counters = counters
        self._max_step_tokens = max_step_tokens
        self._max_running = max_running
        outlook = Outlook()
        if tree is not None:
            tree.expect(outlook)
        self.kept = Kept(tree)
        self._waiting = WaitingLine(outlook, tree)
        self._steps = 0
        self._running: list[Sequence] = []  # oldest first
        self._admission = Admission(pool, tree, self.kept)
        self._blocked: tuple[Sequence, int, int] | None = None  # who had no room, the sequences over by then, the step
        self._over = 0
        self._short = False  # planned ones have waited for room since nobody did
        self._drafting: list[Work] = []  # whose drafts are computed in this step
        self.failed: list[tuple[Sequence, Exception]] = []

    @property
    def busy(self) -> bool:
        """Whether anything waits or runs."""
        return bool(self._waiting or self._running)

    def add(self, sequence: Sequence) -> None:
        """Let a sequence wait for its turn."""
        self._waiting.add(sequence)

    def plan(self) -> list[Work]:
        """Choose the next step's work and give it slots; [] if nothing can run."""
        self._steps += 1
        self._drop_cancelled()
        planned: dict[int, Work] = {}
        budget = self._plan_running(planned)
        self._admit(planned, budget)
        works = list(planned.values())
        self._plan_drafts(works)
        self.kept.extend_pins()
        self._admission.step()
        return works

    def settle(self) -> None:
        """Keep the KV of drafted tokens that were drawn, as if computed one by one; give the other slots back."""
        for work in self._drafting:
            sequence = work.sequence
            work.accepted = max(0, sequence.length - 1 - sequence.kv)  # the last token drawn was not fed
            self._counters.accepted += work.accepted
            self._pool.release(sequence.settle_draft(work.accepted))
        self._drafting = []

    def finish(self, sequence: Sequence, *, complete: bool = False) -> None:
        """Take a sequence out; its KV stays in the tree for those who come after, claimed if it is complete."""
        self._running.remove(sequence)
        self._release(sequence, claimed=complete)
        self._waiting.over(sequence, complete=complete)
        self._admission.finished(sequence)
        self._over += 1

    def fail_all(self) -> list[Sequence]:
        """Take everything out without trusting any KV, and return the sequences."""
        gone = self._running + self._waiting.clear()
        self.kept.forget()
        self._drafting = []
        for sequence in self._running:
            if sequence.node is not None and self._tree is not None:
                self._tree.unlock(sequence.node)
            self._pool.release(sequence.settle_draft(0))
            self._pool.release(sequence.slots[sequence.shared : sequence.kv])
        self._running = []
        if self._tree is not None:
            self._tree.reset()
        return gone

    def check(self) -> None:
        """Raise EngineError unless every slot has exactly one owner."""
        held = sum(sequence.kv - sequence.shared for sequence in self._running)
        if self._tree is not None:
            self._tree.check(held=held)
        elif held != self._pool.used:
            raise EngineError(f"found {self._pool.used} KV slots in use; wanted {held}")
        self._pool.check()

    # Running sequences

    def _plan_running(self, planned: dict[int, Work]) -> int:
        """Plan the running sequences, decodes before chunks of prompts; return the tokens left in the step."""
        budget = self._max_step_tokens
        decoding = [s for s in self._running if s.length - s.ready == 1 and s.output]
        whole = len(decoding) == len(self._running)
        needed = sum(1 for s in decoding if s.kv < s.length)
        if whole and len(decoding) <= budget and self._make_room_beside(needed):
            slots = self._pool.allocate(needed)
            given = 0
            for sequence in decoding:  # nearly every step of every run: no call per row that can be saved
                ready, kv = sequence.ready, sequence.kv
                if kv == ready:
                    sequence.assign_slots(slots[given : given + 1])
                    given += 1
                planned[id(sequence)] = Work(sequence, ready, ready + 1, kv)
            return budget - len(decoding)
        prefilling = [s for s in self._running if s.length - s.ready > 1 or not s.output]
        for sequence in decoding + prefilling:
            if budget == 0:
                break
            if not sequence.running:
                continue  # preempted for the sake of an older one in this loop
            if sequence.length - sequence.ready > 1 or not sequence.output:
                self._attach(sequence)  # somebody may have computed more of it meanwhile
            end = min(sequence.ready + budget, sequence.target)
            if not self._secure(sequence, end - sequence.kv, planned):
                continue
            planned[id(sequence)] = self._assign(sequence, end)
            budget -= end - sequence.ready
        for work in planned.values():  # only now that none of them can be preempted any more
            self._publish(work)
        return budget

    def _assign(self, sequence: Sequence, end: int) -> Work:
        """Give positions up to `end` their slots, which must be free, and return the work."""
        cached = sequence.kv
        if end > cached:
            sequence.assign_slots(self._pool.allocate(end - cached))
        return Work(sequence, sequence.ready, end, cached)

    def _make_room(self, count: int, spared: Order | None = None) -> bool:
        """Evict until `count` slots are free, but nothing that was claimed before `spared`; return whether they are."""
        missing = count - self._pool.free
        if missing > 0 and self._tree is not None:
            self._counters.evicted += self._tree.evict(missing, spared)
        return self._pool.free >= count

    def _make_room_beside(self, count: int) -> bool:
        """Make room as far as that is better than to preempt the youngest running sequence."""
        return self._pool.free >= count or self._make_room(count, self._running[-1].order)

    def _make_room_alone(self, count: int) -> bool:
        """Make room for the only running sequence: nothing else is worth more."""
        while not self._make_room(count):
            if not self.kept.give_way():
                return False
        return True

    def _secure(self, sequence: Sequence, count: int, planned: dict[int, Work]) -> bool:
        """Make `count` slots free for a running sequence, preempting younger ones; False if it had to go itself."""
        while not self._make_room_beside(count):
            victim = self._running[-1]
            if victim is sequence and len(self._running) == 1:
                if self._make_room_alone(count):
                    break
                self._fail(sequence, sequence.kv + count)
                return False
            planned.pop(id(victim), None)
            self._preempt(victim)
            if victim is sequence:
                return False
        return True

    def _fail(self, sequence: Sequence, needed: int) -> None:
        """Give up a sequence that the pool can't hold even alone."""
        found = f"found {needed} positions in a KV pool of {self._pool.capacity}"
        self.failed.append((sequence, EngineError(f"{found}; wanted a larger pool (kv_tokens)")))
        self.finish(sequence)

    def _preempt(self, sequence: Sequence) -> None:
        self._counters.preemptions += 1
        self._admission.preempted()
        self._running.remove(sequence)
        self._release(sequence)
        self.add(sequence)

    # Drafts

    def _plan_drafts(self, works: Seq[Work]) -> None:
        """Add what sequences are expected to draw, as far as the step and the pool have room that nobody else wants."""
        constrained = [work for work in works if work.sequence.drafting]
        if not constrained:
            return
        budget = self._max_step_tokens - sum(work.end - work.start for work in works)
        for work in constrained:
            sequence = work.sequence
            if not work.start < work.end == sequence.length:
                continue  # nothing is drawn in this step
            draft = sequence.next_draft(budget)
            count = self._room_for_draft(len(draft)) if draft else 0
            if count:
                sequence.begin_draft(draft[:count], self._pool.allocate(count))
                self._drafting.append(work)
                self._counters.drafted += count
                budget -= count

    def _room_for_draft(self, count: int) -> int:
        """Return how many of `count` slots a draft may have: each running sequence keeps one for its next token."""
        kept = len(self._running)
        self._make_room_beside(count + kept)
        return max(0, min(count, self._pool.free - kept))

    # Admission

    def _admit(self, planned: dict[int, Work], budget: int) -> None:
        """Start waiting sequences, oldest first, while their prompts and everybody's expected outputs fit."""
        waiting, admission = self._waiting, self._admission
        if not waiting:
            self._short = False
        if not waiting or budget <= 0:
            return
        admission.begin(self._running)
        while budget > 0 and len(self._running) < self._max_running:
            sequence = waiting.first()
            if sequence is None or not self._has_room(sequence, budget):
                if self._short and not waiting.going_on and waiting.hurry(len(self._running) // _EARLY):
                    continue
                return
            waiting.take_first()
            self._start(sequence)
            admission.start(sequence)
            end = min(sequence.ready + budget, sequence.target)
            if end <= sequence.ready:  # all of it is cached and no logits are wanted
                planned[id(sequence)] = Work(sequence, end, end, sequence.kv)
                continue
            wanted = end - sequence.kv
            if self._pool.free < wanted and not self._make_room_alone(wanted):  # there is room unless it is alone
                self._fail(sequence, end)
                continue
            work = planned[id(sequence)] = self._assign(sequence, end)
            self._publish(work)
            admission.assign(end - work.cached)
            budget -= end - sequence.ready

    def _has_room(self, sequence: Sequence, budget: int) -> bool:
        """Whether there is room for a sequence, or it is alone; it has all KV that is there for it then."""
        planned = sequence.request.planned
        if planned and self._blocked is not None and self._running:
            blocked, over, step = self._blocked
            if blocked is sequence and over == self._over and self._steps < step + _MOST_STEPS:
                return False
        self._attach(sequence)
        first = min(sequence.ready + budget, sequence.target) - sequence.kv
        if not self._running:
            return True
        if self._admission.fits(sequence, going_on=self._waiting.going_on) and self._make_room_beside(first):
            return True
        self._detach(sequence)
        self._blocked = (sequence, self._over, self._steps) if planned else None
        self._short = planned
        self.kept.lapse(self._steps)
        return False

    def _start(self, sequence: Sequence) -> None:
        """Move a sequence among the running, at the place of its age."""
        sequence.begin()
        at = len(self._running)
        while at and self._running[at - 1].order > sequence.order:
            at -= 1
        self._running.insert(at, sequence)
        if sequence.cached is None:
            sequence.cached = min(sequence.ready, sequence.prompt_length)
            self._counters.cached += sequence.cached

    # Slots and their owners

    def _attach(self, sequence: Sequence) -> None:
        """Take over all the KV the tree has for a sequence's tokens, beyond what it holds; lock it."""
        tree = self._tree
        if tree is not None and sequence.shared == sequence.kv:
            node = tree.match(sequence.token_run(0, sequence.length))
            if sequence.node is None or node.depth > sequence.kv:
                tree.lock(node)
                if sequence.node is not None:
                    tree.unlock(sequence.node)
                sequence.node = node
                sequence.kv = sequence.shared
                sequence.assign_slots(tree.slots_of(node)[sequence.shared :])
                sequence.shared = sequence.kv
        sequence.ready = max(sequence.ready, min(sequence.kv, sequence.first_wanted()))

    def _publish(self, work: Work) -> None:
        """Hand the KV of a chunk of prompt to the tree, so that others can share it from this step on."""
        sequence = work.sequence
        if self._tree is None or sequence.node is None or (work.end - work.start == 1 and sequence.output):
            return
        if sequence.kv > sequence.shared:
            work.cached += self._insert(sequence, sequence.kv)

    def _insert(self, sequence: Sequence, end: int) -> int:
        """Move ownership of a sequence's slots up to position `end` to the tree, and its lock with them.

        Returns how many of these positions the tree had already; the sequence uses the tree's slots for them.
        """
        tree, old = self._tree, sequence.node
        assert tree is not None and old is not None
        start = sequence.shared
        slots = sequence.slots[start:end]
        node, present = tree.extend(old, sequence.token_run(start, end), slots)
        if present:  # somebody computed the same tokens meanwhile: theirs stay
            self._pool.release(slots[:present])
            slots[:present] = tree.slots_of(node)[start : start + present]
        tree.lock(node)
        tree.unlock(old)
        sequence.node = node
        sequence.shared = end
        return present

    def _detach(self, sequence: Sequence) -> None:
        """Undo `_attach` for a sequence that can't start yet: what waits holds no KV that can't be evicted."""
        if self._tree is not None and sequence.node is not None:
            self._tree.unlock(sequence.node)
        sequence.node = None
        sequence.kv = sequence.shared = sequence.ready = 0

    def _release(self, sequence: Sequence, *, claimed: bool = False) -> None:
        """Give up all KV: what was computed stays in the tree until evicted, after the rest if its claim is good."""
        sequence.high_water = max(sequence.high_water, sequence.ready)
        sequence.running = False
        if self._tree is not None and sequence.node is not None:
            if sequence.ready > sequence.shared:
                self._insert(sequence, sequence.ready)
            if claimed and sequence.request.claim is not None:
                self.kept.claim(sequence.request.claim, sequence.node, sequence.order, self._steps)
        if sequence.kv > sequence.shared:
            self._pool.release(sequence.slots[sequence.shared : sequence.kv])
        self._detach(sequence)

    def _drop_cancelled(self) -> None:
        for sequence in [s for s in self._running if s.request.cancelled]:
            self.finish(sequence)

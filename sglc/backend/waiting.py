"""Who waits for a turn, and whose it is."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence as Seq
from heapq import heappop, heappush
from itertools import chain
from typing import TYPE_CHECKING

from sglc.backend.sequence import Sequence

if TYPE_CHECKING:
    from sglc.backend.eviction import Order
    from sglc.backend.outlook import Outlook
    from sglc.backend.radix import RadixTree


_MOST_OF_ROW = 256
"""Of a row with more requests than this none waits for another: to look through them would take too long."""


_Several = dict[Sequence, Sequence | None]
"""Planned sequences of one row that are not over, each with the last of them when nothing spoke against its turn."""


class WaitingLine:
    """Sequences that wait: those that go on from one that has ended come before the others, the oldest first.

    Planned ones are uses of KV to come, for `outlook`. One whose prompt goes on from that of an earlier generation of
    its row has no turn before that is over, while there are other rows to fill the steps: what is said there may be
    what it goes on with. Where rows wait for room that can't be had, some begin early all the same (`hurry`).
    """

    def __init__(self, outlook: Outlook, tree: RadixTree | None) -> None:
        self._outlook = outlook
        self._tree = tree
        self._waiting: dict[Order, Sequence] = {}  # those in one of the two lines, each a heap
        self._line: list[Order] = []
        self._going_on: list[Order] = []
        self._deferred: dict[Sequence, list[Sequence]] = {}  # behind which other
        self._rows: dict[int, Sequence] = {}  # those with planned sequences that are not over, and the first of each
        self._several: dict[int, _Several] = {}  # all of those rows that have more than one
        self._early: set[Sequence] = set()  # those that have begun in spite of that

    def __bool__(self) -> bool:
        return bool(self._waiting or self._deferred)

    def __iter__(self) -> Iterator[Sequence]:
        yield from map(self._waiting.__getitem__, self._going_on)
        yield from map(self._waiting.__getitem__, self._line)
        yield from chain.from_iterable(self._deferred.values())

    def add(self, sequence: Sequence) -> None:
        """Let a sequence wait, for the first time or again."""
        request = sequence.request
        if request.planned:
            self._outlook.add(sequence.order, sequence.token_run(0, sequence.length))
            sequence.expected = True
            row = sequence.order[0]
            first = self._rows.setdefault(row, sequence)
            if first is not sequence:
                self._several.setdefault(row, {first: None}).setdefault(sequence, None)
        if request.behind is not None:
            request.behind.awaited = True
        self._push(sequence)

    def first(self) -> Sequence | None:
        """Return the one whose turn it is; None where nobody's is."""
        for line in (self._going_on, self._line):
            while line:
                sequence = self._waiting[line[0]]
                if not sequence.request.cancelled:
                    if line is self._line or _goes_on(sequence):
                        before = self._wanted_before(sequence)
                        if before is None:
                            return sequence
                        self._deferred.setdefault(before, []).append(self._pop(line))
                        sequence.follows = False
                    else:
                        heappush(self._line, heappop(line))  # another went on from there, or it is gone
                    continue
                self._pop(line)
                self._expect_no_more(sequence)
                self.over(sequence)
                if self._tree is not None:
                    self._tree.reconsider(sequence.request.tokens)
        return None

    @property
    def going_on(self) -> bool:
        """Whether the one that `first` returned goes on from one that has ended, and has its room."""
        return bool(self._going_on)

    def hurry(self, most: int) -> bool:
        """Let the oldest one begin that waits for another of its row, if fewer than `most` have; return whether it may.

        The two share most of their KV, so they make better use of the room than one behind the other. What is said in
        the first may be computed twice.
        """
        if not self._deferred or len(self._early) >= most:
            return False
        before, waiting = min(self._deferred.items(), key=lambda item: min(each.order for each in item[1]))
        sequence = min(waiting, key=lambda each: each.order)
        waiting.remove(sequence)
        if not waiting:
            del self._deferred[before]
        sequence.follows = True
        self._early.add(sequence)
        self._push(sequence)
        return True

    def take_first(self) -> None:
        """Let the one that `first` returned begin."""
        sequence = self._pop(self._going_on or self._line)
        self._expect_no_more(sequence)
        sequence.behind = self._behind(sequence)
        sequence.follows = False
        if sequence.request.behind is not None:
            sequence.request.behind.taken = True

    def over(self, sequence: Sequence, *, complete: bool = False) -> None:
        """Learn that a sequence will not wait again; where it is complete, one that waited for it has its room."""
        request = sequence.request
        if request.cancelled and request.behind is not None:
            request.behind.awaited = False  # whoever made the claim may be gone: it may lapse
        row = sequence.order[0]
        several = self._several.get(row)
        if several is None:
            if self._rows.get(row) is not sequence:
                return
            del self._rows[row]
        elif sequence not in several:
            return
        else:
            del several[sequence]
            if not several:
                del self._rows[row], self._several[row]
        self._early.discard(sequence)
        if not self._deferred:
            return
        free = self._deferred.pop(sequence, [])
        if free and complete:
            min(free, key=lambda each: each.order).follows = True
        if len(self._rows) == 1:
            free += chain.from_iterable(self._deferred.values())
            self._deferred.clear()
        for each in free:
            self._push(each)

    def clear(self) -> list[Sequence]:
        """Take all out, and return them."""
        gone = [*self]
        for sequence in gone:
            self._expect_no_more(sequence)
        self._waiting.clear()
        self._line.clear()
        self._going_on.clear()
        self._deferred.clear()
        self._rows.clear()
        self._several.clear()
        self._early.clear()
        return gone

    def _push(self, sequence: Sequence) -> None:
        self._waiting[sequence.order] = sequence
        heappush(self._going_on if _goes_on(sequence) else self._line, sequence.order)

    def _pop(self, line: list[Order]) -> Sequence:
        return self._waiting.pop(heappop(line))

    def _expect_no_more(self, sequence: Sequence) -> None:
        if sequence.expected:
            self._outlook.remove(sequence.order)
            sequence.expected = False

    def _wanted_before(self, sequence: Sequence) -> Sequence | None:
        """Return the last generation that has to be over before this one's turn."""
        several = self._several.get(sequence.order[0])
        if several is None or not self._may_defer(several) or sequence in self._early:
            return None
        last = next(reversed(several))
        if several.get(sequence, last) is last:
            return None
        before = [
            other
            for other in several
            if other.order < sequence.order and other.request.params.max_new_tokens > 1 and _extends(sequence, other)
        ]
        if not before:
            several[sequence] = last
            return None
        return max(before, key=lambda other: (other.prompt_length, other.order))

    def _may_defer(self, several: _Several) -> bool:
        """Whether sequences of a row may wait for each other."""
        return 1 < len(several) <= _MOST_OF_ROW and len(self._rows) > 1

    def _behind(self, sequence: Sequence) -> Seq[Sequence]:
        """Return those that have no turn before this one is over."""
        several = self._several.get(sequence.order[0])
        if several is None or not self._may_defer(several):
            return ()
        behind = [other for other in several if sequence.order < other.order and _extends(other, sequence)]
        return sorted(behind, key=lambda other: other.prompt_length)


def _goes_on(sequence: Sequence) -> bool:
    """Whether a sequence goes on from another that has ended, as the first to do so."""
    claim = sequence.request.behind
    return sequence.follows or (claim is not None and claim.node is not None and not claim.taken)


def _extends(sequence: Sequence, other: Sequence) -> bool:
    """Whether a prompt is another's with more behind it."""
    tokens, start = sequence.request.tokens, other.request.tokens
    size = len(start)
    return size < len(tokens) and tokens.item(size - 1) == start.item(size - 1) and bool((tokens[:size] == start).all())

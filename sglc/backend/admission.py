"""Whether there is room for another sequence beside those that run, and for what goes on from them."""

from __future__ import annotations

from collections.abc import Sequence as Seq
from typing import TYPE_CHECKING

from sglc.backend.peak import Course, peak

if TYPE_CHECKING:
    from sglc.backend.kept import Kept
    from sglc.backend.kv_pool import KvPool
    from sglc.backend.radix import Node, RadixTree
    from sglc.backend.sequence import Sequence

_LEAST_RATIO, _FIRST_RATIO = 0.1, 0.3
_FIRST_WEIGHT, _MOST_WEIGHT = 1_000, 100_000


class Admission:
    """Foresees how much KV sequences are going to take.

    How long outputs get is learned as a share of `max_new_tokens`: of planned sequences from those that are over, of
    others from how often there was too little room.
    """

    def __init__(self, pool: KvPool, tree: RadixTree | None, kept: Kept) -> None:
        self._pool = pool
        self._tree = tree
        self._kept = kept
        self._ratio = _FIRST_RATIO
        self._drawn, self._most = _FIRST_RATIO * _FIRST_WEIGHT, float(_FIRST_WEIGHT)  # of planned sequences
        self._running: Seq[Sequence] = ()
        self._reserved = 0
        self._courses: list[Course] | None = None

    # What is learned

    def step(self) -> None:
        """Learn that there was a step."""
        self._ratio = max(_LEAST_RATIO, self._ratio * 0.995)

    def preempted(self) -> None:
        """Learn that there was too little room."""
        self._ratio = min(1.0, self._ratio * 1.5 + 0.1)

    def finished(self, sequence: Sequence) -> None:
        """Learn how long an output has become."""
        if sequence.request.planned:
            if self._most > _MOST_WEIGHT:
                self._drawn, self._most = self._drawn / 2, self._most / 2
            self._drawn += len(sequence.output)
            self._most += sequence.request.params.max_new_tokens

    # Admitting

    def begin(self, running: Seq[Sequence]) -> None:
        """Look at who runs before others are admitted."""
        self._running = running
        self._reserved = sum(map(self._needed, running)) + self._of_planned(self._kept.ahead)
        self._courses = None

    def fits(self, sequence: Sequence, *, going_on: bool) -> bool:
        """Whether there is room for a sequence, and for what goes on from it, beside what others are going to need.

        One that is `going_on` had its room reserved: it only waits for it to be there.
        """
        tree = self._tree
        room = self._pool.free + (tree.evictable - tree.claimed if tree is not None else 0)
        if going_on:
            return self._expected(sequence) <= room
        if self._reserved + self._needed(sequence) <= room:
            return True
        if not sequence.request.planned:
            return False
        if self._courses is None:
            self._courses = self._running_courses()
        return peak([*self._courses, self._course(sequence, _own(sequence))]) <= room

    def start(self, sequence: Sequence) -> None:
        """Reserve for a sequence that begins."""
        claim = sequence.request.behind
        if claim is not None and claim.taken:
            self._reserved -= self._of_planned(claim.ahead)
        self._reserved += self._needed(sequence)
        self._courses = None

    def assign(self, count: int) -> None:
        """Note that as much of what was reserved is in use."""
        self._reserved -= count

    # What sequences need

    def _expected(self, sequence: Sequence) -> int:
        """Return how many slots a sequence is expected to need beyond those it has."""
        return _unfilled(sequence) + int(self._output(sequence))

    def _output(self, sequence: Sequence) -> float:
        """Return how many tokens a sequence is still expected to draw."""
        left = sequence.request.params.max_new_tokens - len(sequence.output)
        return left * (self._drawn / self._most if sequence.request.planned else self._ratio)

    def _needed(self, sequence: Sequence) -> int:
        """Return how many slots a sequence is expected to need, with those of its row that go on from it."""
        return _unfilled(sequence) + int(self._growth(sequence))

    def _growth(self, sequence: Sequence) -> float:
        """Return how many tokens are expected behind those that a sequence has or has to compute."""
        growth = self._output(sequence)
        if sequence.request.ahead:
            growth += self._of_planned(sequence.request.ahead)
        if sequence.behind and (behind := _behind(sequence)):
            longest = max(each.target + self._output(each) for each in behind)
            growth = max(growth, longest - max(sequence.kv, sequence.target))
        return growth

    def _of_planned(self, most: int) -> int:
        """Return how many tokens are expected where a planned row takes so many at most."""
        return int(most * self._drawn / self._most)

    # What rows do

    def _running_courses(self) -> list[Course]:
        """Return what all that runs and all that is claimed is going to do.

        What the sequences of a row share is given back with the last of them.
        """
        rows: dict[int, list[Sequence]] = {}
        for sequence in self._running:
            rows.setdefault(sequence.order[0], []).append(sequence)
        courses = []
        for sequences in rows.values():
            if len(sequences) == 1:
                courses.append(self._course(sequences[0], _own(sequences[0])))
                continue
            own, shared = _own_of_row(sequences)
            of_row = [self._course(each, each_own) for each, each_own in zip(sequences, own, strict=True)]
            last = max(of_row, key=lambda course: course.steps)
            courses += [each if each is not last else Course(last.own + shared, last.parts) for each in of_row]
        for claim in self._kept.claims:
            if not claim.taken and claim.node is not None:
                courses.append(Course(_alone(claim.node, locks=0, claims=1), [(0, self._of_planned(claim.ahead))]))
        return courses

    def _course(self, sequence: Sequence, own: int) -> Course:
        """Return what a sequence and those of its row behind it do from now on, and so that `own` is given back."""
        parts: list[tuple[float, float]] = []
        reached: float = sequence.kv
        for each in (sequence, *_behind(sequence)):
            length = max(each.kv, each.target)
            output = self._output(each)
            parts.append((length - reached, output))
            reached = length + output
        if sequence.request.ahead:
            parts.append((0, self._of_planned(sequence.request.ahead)))
        return Course(own, parts)


def _behind(sequence: Sequence) -> list[Sequence]:
    """Return those that still wait for the end of a sequence, the shortest first."""
    return [each for each in sequence.behind if each.expected]


def _unfilled(sequence: Sequence) -> int:
    """Return how many positions of a prompt have no slots yet."""
    return max(0, sequence.target - sequence.kv)


def _own(sequence: Sequence) -> int:
    """Return how many tokens a sequence has that nobody else uses."""
    own = sequence.kv - sequence.shared
    if sequence.node is not None:
        own += _alone(sequence.node, locks=1, claims=int(sequence.request.behind is not None))
    return own


def _alone(node: Node, locks: int, claims: int) -> int:
    """Return how many tokens of the path to a node nobody uses beside who has so many locks and claims."""
    tokens = 0
    while node.parent is not None and node.locks <= locks and node.claims <= claims:
        tokens += len(node.tokens)
        node = node.parent
    return tokens


def _own_of_row(sequences: Seq[Sequence]) -> tuple[list[int], int]:
    """Return how many tokens each sequence of a row has for itself, and how many several of them share alone."""
    uses: dict[Node, int] = {}
    for sequence in sequences:
        node = sequence.node
        while node is not None and node.parent is not None:
            uses[node] = uses.get(node, 0) + 1
            node = node.parent
    claims = max(int(sequence.request.behind is not None) for sequence in sequences)
    shared = sum(
        len(node.tokens) for node, used in uses.items() if used > 1 and node.locks == used and node.claims <= claims
    )
    return [_own(sequence) for sequence in sequences], shared

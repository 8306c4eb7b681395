"""Greedy generations that are the same in several rows: asked once, answered to all."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sglc.backend.decoding import Decode, Decoding


class SharedAnswers:
    """Who asked what first, and who waits for the same answer.

    What was answered is kept as long as this is: rows that come later are answered at once.
    """

    __slots__ = ("_draws", "_followers", "_keys", "_leaders", "_numbers")

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}  # what is drawn, numbered: it is slow to compare
        self._draws: dict[Decode, int] = {}
        self._leaders: dict[tuple[int, bytes], Decoding] = {}
        self._keys: dict[Decoding, tuple[int, bytes]] = {}  # of leaders that are not answered
        self._followers: dict[Decoding, list[Decoding]] = {}

    def leads(self, asking: Decoding) -> bool:
        """Return whether nobody has asked the same before; otherwise it is answered now, or with the one that has."""
        decode = asking.decode
        if not decode.shared:
            return True
        draw = self._draws.get(decode)
        if draw is None:
            draw = self._draws[decode] = self._numbers.setdefault(decode.draw, len(self._numbers))
        key = draw, asking.asked_tokens.tobytes()
        leader = self._leaders.setdefault(key, asking)
        if leader is asking:
            self._keys[asking] = key
            return True
        if leader.answers is not None:
            asking.take(leader.answers)
        else:
            self._followers.setdefault(leader, []).append(asking)
        return False

    def settle(self, leader: Decoding) -> list[Decoding]:
        """Answer those that wait for a leader which has heard; return them if it has failed, to be asked anew."""
        key = self._keys.pop(leader, None)
        if key is None:
            return []
        followers = self._followers.pop(leader, [])
        if leader.answers is None:
            del self._leaders[key]
            return [follower for follower in followers if not follower.answered]
        for follower in followers:
            if not follower.answered:
                follower.take(leader.answers)
        return []

    def withdraw(self) -> list[Decoding]:
        """Return those that wait, and forget everything."""
        waiting = [follower for followers in self._followers.values() for follower in followers]
        self._followers.clear()
        self._leaders.clear()
        self._keys.clear()
        return waiting

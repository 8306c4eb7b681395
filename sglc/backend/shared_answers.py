"""Greedy generations that are the same in several rows: asked once, answered to all."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sglc.backend.decoding import Decoding


class SharedAnswers:
    """Who asked what first, and who waits for the same answer.

    What was answered is kept as long as this is: rows that come later are answered at once.
    """

    __slots__ = ("_followers", "_leaders")

    def __init__(self) -> None:
        self._leaders: dict[Hashable, Decoding] = {}
        self._followers: dict[Decoding, list[Decoding]] = {}

    def leads(self, asking: Decoding) -> bool:
        """Return whether nobody has asked the same before; otherwise it is answered now, or with the one that has."""
        key = asking.key
        if key is None:
            return True
        leader = self._leaders.setdefault(key, asking)
        if leader is asking:
            return True
        if leader.answers is not None:
            asking.take(leader.answers)
        else:
            self._followers.setdefault(leader, []).append(asking)
        return False

    def settle(self, leader: Decoding) -> list[Decoding]:
        """Answer those that wait for a leader which has heard; return them if it has failed, to be asked anew."""
        followers = self._followers.pop(leader, [])
        if leader.answers is None:
            if leader.key is not None and self._leaders.get(leader.key) is leader:
                del self._leaders[leader.key]
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
        return waiting

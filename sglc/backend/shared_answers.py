"""Greedy generations that are the same in several rows: asked once, answered to all."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sglc.backend.decoding import Decode, Decoding
    from sglc.backend.request import Completion

_Asked = dict[bytes, "Decoding | list[Completion]"]
"""By the tokens of a prompt: who has asked what is drawn behind them, and once it is known, what that is."""


class SharedAnswers:
    """Who asked what first, and who waits for the same answer.

    What was answered is kept as long as this is, without those who asked: rows that come later are answered at once.
    """

    __slots__ = ("_asked", "_followers", "_of_draw")

    def __init__(self) -> None:
        self._of_draw: dict[Hashable, _Asked] = {}
        self._asked: dict[Decode, _Asked] = {}  # the same by who draws: what is drawn is slow to compare
        self._followers: dict[Decoding, list[Decoding]] = {}

    def leads(self, asking: Decoding) -> bool:
        """Return whether nobody has asked the same before; otherwise it is answered now, or with the one that has."""
        decode = asking.decode
        if not decode.shared:
            return True
        asked = self._asked.get(decode)
        if asked is None:
            asked = self._asked[decode] = self._of_draw.setdefault(decode.draw, {})
        first = asked.setdefault(asking.asked_tokens.tobytes(), asking)
        if first is asking:
            return True
        if isinstance(first, list):
            asking.take(first)
        else:
            self._followers.setdefault(first, []).append(asking)
        return False

    def settle(self, leader: Decoding) -> list[Decoding]:
        """Answer those that wait for a leader which has heard; return them if it has failed, to be asked anew."""
        asked = self._asked.get(leader.decode)
        if asked is None:
            return []
        tokens = leader.asked_tokens.tobytes()
        if asked.get(tokens) is not leader:
            return []
        followers = self._followers.pop(leader, ())
        if leader.answers is None:
            del asked[tokens]
            return [follower for follower in followers if not follower.answered]
        asked[tokens] = leader.answers
        for follower in followers:
            if not follower.answered:
                follower.take(leader.answers)
        return []

    def withdraw(self) -> list[Decoding]:
        """Return those that wait, and forget everything."""
        waiting = [follower for followers in self._followers.values() for follower in followers]
        self._followers.clear()
        self._asked.clear()
        self._of_draw.clear()
        return waiting

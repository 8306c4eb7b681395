"""The roles of a prompt's messages as an immutable value, and the chat template's text that is due between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sglc.errors import ProgramError

if TYPE_CHECKING:
    from sglc.backend.chat_template import ChatTemplate


class Due(NamedTuple):
    """Template text that waits to see what follows it: as it reads alone, and before given text."""

    text: str
    before_text: str
    opens: bool


class Roles:
    """The roles of closed messages in order, the open one, and template text that is not written yet.

    Template text waits for what comes behind it: with the template text of a next message it is one string to
    the tokenizer, and some templates put a space before an assistant's given text but not before a generated one.
    What follows a value is remembered with it: programs go the same ways again.
    """

    __slots__ = ("_chat", "_next", "due", "role", "turns")

    def __init__(
        self,
        chat: ChatTemplate | None,
        turns: tuple[str, ...] = (),
        role: str | None = None,
        due: Due | None = None,
    ) -> None:
        self._chat = chat
        self.turns = turns
        self.role = role
        self.due = due
        self._next: dict[str, Roles] = {}

    @property
    def written(self) -> Roles:
        """The same with nothing due."""
        return self if self.due is None else self._then("written", self.turns, self.role, None)

    def begin(self, role: str) -> Roles:
        """Open a message. Raises ProgramError inside another one, and without a template that can do it."""
        known = self._next.get(f"begin {role}")
        if known is not None:
            return known
        if self.role is not None:
            raise ProgramError(f"found {role} inside {self.role}; wanted no nested roles")
        if self._chat is None:
            raise ProgramError(
                f"found the role {role} and a tokenizer without a chat template; "
                "wanted one: give --chat-template FILE|chatml (chat_template= of sglc.Engine)"
            )
        opening = self._chat.opening(self.turns, role)
        written = self._chat.opening(self.turns, role, written=True)
        seam = self.due.text if self.due is not None else ""
        return self._then(f"begin {role}", self.turns, role, Due(seam + opening, seam + written, opens=True))

    def end(self, role: str) -> Roles:
        """Close the open message, whose template text is written. Raises ProgramError if it is not of this role."""
        known = self._next.get(f"end {role}")
        if known is not None:
            return known
        if self.role != role or self._chat is None:
            found = f"the end of {role} " + (f"inside {self.role}" if self.role else "outside any message")
            raise ProgramError(f"found {found}; wanted it to close its own beginning")
        closing = self._chat.closing(self.turns, role)
        return self._then(f"end {role}", (*self.turns, role), None, Due(closing, closing, opens=False))

    def _then(self, what: str, turns: tuple[str, ...], role: str | None, due: Due | None) -> Roles:
        following = self._next[what] = Roles(self._chat, turns, role, due)
        return following

"""The messages of a prompt: roles, and the chat template's text around their contents."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from sglc.errors import ProgramError
from sglc.language.primitives import RoleBegin, RoleEnd
from sglc.language.statements import Action, TemplateText

if TYPE_CHECKING:
    from sglc.backend.chat_template import ChatTemplate
    from sglc.language.line import PromptLine


class _Due(NamedTuple):
    """Template text that waits to see what follows it: as it reads alone, and before given text."""

    text: str
    before_text: str
    opens: bool


@dataclass(slots=True)
class Dialogue:
    """The roles of one state in the order they were written, and its finished messages.

    Template text waits for the statement behind it: with the template text of a next message it is one string to
    the tokenizer, and some templates put a space before an assistant's given text but not before a generated one.
    """

    state: PromptLine
    turns: tuple[str, ...] = ()
    role: str | None = None
    messages: list[dict[str, str]] = field(default_factory=list)
    content_start: int = 0  # in pieces of the state's text
    due: _Due | None = None

    def begin(self, part: RoleBegin) -> None:
        """Open a message. Raises ProgramError inside another one, and without a template that can do it."""
        if self.role is not None:
            raise ProgramError(f"found {part.role} inside {self.role}; wanted no nested roles", part.location)
        chat = self.state.row.engine.tokenizer.chat
        if chat is None:
            raise ProgramError(
                f"found the role {part.role} and a tokenizer without a chat template; "
                "wanted one: give --chat-template FILE|chatml (chat_template= of sglc.Engine)",
                part.location,
            )
        try:
            opening = chat.opening(self.turns, part.role)
            written = chat.opening(self.turns, part.role, written=True)
        except ProgramError as error:
            raise ProgramError(error.message, part.location) from None
        self.role = part.role
        seam = self.due.text if self.due is not None else ""
        self.due = _Due(seam + opening, seam + written, opens=True)

    def end(self, part: RoleEnd) -> None:
        """Close the open message. Raises ProgramError if it is not of this role."""
        if self.role != part.role:
            found = f"the end of {part.role} " + (f"inside {self.role}" if self.role else "outside any message")
            raise ProgramError(f"found {found}; wanted it to close its own beginning", part.location)
        try:
            closing = self._chat.closing(self.turns, part.role)
        except ProgramError as error:
            raise ProgramError(error.message, part.location) from None
        self.state.do(Action(lambda: self._note(part.role)))
        self.role = None
        self.turns = (*self.turns, part.role)
        self.due = _Due(closing, closing, opens=False)

    def write_due(self, before_text: bool = False) -> None:
        """Append the template text that waited."""
        due, self.due = self.due, None
        if due is not None:
            self.state.do(TemplateText(due.before_text if before_text else due.text))
            if due.opens:
                self.state.do(Action(self._note_start))

    def adopt_roles(self, other: Dialogue) -> None:
        """Take over what is known in program order of the state this one was forked from."""
        self.turns, self.role = other.turns, other.role

    def adopt_messages(self, other: Dialogue) -> None:
        """Take over the finished messages of the state this one was forked from, in the fork's turn."""
        self.messages = other.messages.copy()
        self.content_start = other.content_start

    @property
    def _chat(self) -> ChatTemplate:
        chat = self.state.row.engine.tokenizer.chat
        assert chat is not None  # `begin` has seen it
        return chat

    def _note_start(self) -> None:
        self.content_start = len(self.state.pieces)

    def _note(self, role: str) -> None:
        content = "".join(self.state.pieces[self.content_start :]).lstrip()
        self.messages.append({"role": role, "content": content})

"""The messages of a state: roles, and the chat template's text around their contents."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sglc.backend.roles import Due, Roles
from sglc.errors import ProgramError
from sglc.language.primitives import RoleBegin, RoleEnd
from sglc.language.statements import Action, TemplateText

if TYPE_CHECKING:
    from sglc.language.line import PromptLine


@dataclass(slots=True)
class Dialogue:
    """The roles of one state in the order they were written, and its finished messages."""

    state: PromptLine
    roles: Roles
    messages: list[dict[str, str]] = field(default_factory=list)
    content_start: int = 0  # in pieces of the state's text

    @property
    def role(self) -> str | None:
        """The role of the open message."""
        return self.roles.role

    @property
    def due(self) -> Due | None:
        """Template text that waits for the statement behind it."""
        return self.roles.due

    def begin(self, part: RoleBegin) -> None:
        """Open a message. Raises ProgramError inside another one, and without a template that can do it."""
        try:
            self.roles = self.roles.begin(part.role)
        except ProgramError as error:
            raise ProgramError(error.message, part.location) from None

    def end(self, part: RoleEnd) -> None:
        """Close the open message. Raises ProgramError if it is not of this role."""
        try:
            closed = self.roles.end(part.role)
        except ProgramError as error:
            raise ProgramError(error.message, part.location) from None
        self.state.do(Action(lambda: self._note(part.role)))
        self.roles = closed

    def write_due(self, before_text: bool = False) -> None:
        """Append the template text that waited."""
        due = self.roles.due
        if due is None:
            return
        self.roles = self.roles.written
        self.state.do(TemplateText(due.before_text if before_text else due.text))
        if due.opens:
            self.state.do(Action(self._note_start))

    def adopt_roles(self, other: Dialogue) -> None:
        """Take over what is known in program order of the state this one was forked from."""
        self.roles = other.roles.written

    def adopt_messages(self, other: Dialogue) -> None:
        """Take over the finished messages of the state this one was forked from, in the fork's turn."""
        self.messages = other.messages.copy()
        self.content_start = other.content_start

    def _note_start(self) -> None:
        self.content_start = len(self.state.pieces)

    def _note(self, role: str) -> None:
        content = "".join(self.state.pieces[self.content_start :]).lstrip()
        self.messages.append({"role": role, "content": content})

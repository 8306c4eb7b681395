"""A prompt that grows statement by statement, some of which have to wait for the engine."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from sglc.backend.prompt import Prompt
from sglc.language.dialogue import Dialogue

if TYPE_CHECKING:
    from sglc.language.row import Row
    from sglc.language.statements import Statement


class PromptLine:
    """A prompt and its text, and the statements that wait for their turn behind one the engine has not answered.

    `pieces` joined is the text; scopes and forks hold indices into it. `live` is the text of a running
    generation, where it is streamed.
    """

    def __init__(self, row: Row) -> None:
        self.row = row
        self.prompt = Prompt()
        self.pieces: list[str] = []
        self.live = ""
        self.dialogue = Dialogue(self, row.engine.tokenizer.no_roles)
        self._queue: deque[Statement | str] = deque()
        self._waiting = False
        self._error: BaseException | None = None

    def hold(self) -> None:
        """Let statements wait until `advance` is called."""
        self._waiting = True

    def do(self, statement: Statement | str) -> None:
        """Run a statement now if nothing is before it, else let it wait for its turn."""
        if self._error is not None:
            raise self._seen(self._error)
        if self.dialogue.roles.due is not None:
            self.dialogue.write_due(before_text=isinstance(statement, str))
        if self._waiting or self._queue:
            self._queue.append(statement)
        elif isinstance(statement, str):
            self.append(statement)
        else:
            self._waiting = not statement.start(self)

    def append(self, text: str) -> None:
        """Append ordinary text, now."""
        if text:
            self.prompt = self.prompt.append(text)
            self.pieces.append(text)

    def advance(self) -> None:
        """Go on after a statement that had to wait."""
        self._waiting = False
        queue = self._queue
        while queue and not self._waiting:
            statement = queue.popleft()
            if isinstance(statement, str):
                self.append(statement)
            else:
                self._waiting = not statement.start(self)
        if not self._waiting:
            self.row.settle()

    def poison(self, error: BaseException) -> None:
        """Give up: nothing after a failed statement can be done."""
        self._error = error
        self._waiting = False
        while self._queue:
            statement = self._queue.popleft()
            if not isinstance(statement, str):
                statement.fail(error)
        self.row.failed(error)
        self.row.settle()

    def _seen(self, error: BaseException) -> BaseException:
        self.row.seen(error)
        return error

    def close_text(self) -> None:
        """Write what the program's end leaves due, unless the state has failed."""
        if self._error is None:
            self.dialogue.write_due()

    @property
    def idle(self) -> bool:
        """Whether every statement written so far is done or given up."""
        return not self._waiting and not self._queue

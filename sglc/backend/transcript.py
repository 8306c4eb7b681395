"""A prompt of a captured program as an immutable value: its text, its messages, and the tokens that are fixed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol

from sglc.backend.prompt import Prompt
from sglc.backend.roles import Roles
from sglc.backend.step import Ints

if TYPE_CHECKING:
    from sglc.backend.tokenizer import Tokenizer


class Answer(Protocol):
    """What came of a generation or choice."""

    @property
    def text(self) -> str:
        """The text it adds to a prompt."""

    @property
    def reasoning(self) -> str | None:
        """The kind of thinking model whose thoughts were taken out: the text is text like any other then."""

    def behind(self, settled: Prompt) -> Prompt:
        """Return the prompt it was asked with, in tokens, and its own tokens behind that."""


class _Piece:
    """A text behind earlier ones, ordinary or of the chat template; forks share what is before.

    `ids` are those of text whose tokens are known, whatever is before it or will follow.
    """

    __slots__ = ("before", "ids", "template", "text")

    def __init__(
        self, before: _Piece | None, text: str, template: bool = False, ids: tuple[int, ...] | None = None
    ) -> None:
        self.before = before
        self.text = text
        self.template = template
        self.ids = ids


class _Message:
    """A finished message: what stands between two pieces, behind earlier messages."""

    __slots__ = ("before", "last", "role", "start")

    def __init__(self, before: _Message | None, role: str, start: _Piece | None, last: _Piece | None) -> None:
        self.before = before
        self.role = role
        self.start = start
        self.last = last


class _Anchor(NamedTuple):
    """A prompt up to and with a piece, as far in tokens as it was made so."""

    last: _Piece | None
    prompt: Prompt


class Transcript(NamedTuple):
    """What `ProgramState` builds statement by statement, as a value that grows by making new ones.

    `roles` know which template text is due; it is written by what follows it, in the way this calls for. Growing
    costs the same however long the text is: it is put together when it is asked for.
    """

    roles: Roles
    last: _Piece | None = None
    start: _Piece | None = None  # the piece that the open message's content follows
    message: _Message | None = None  # the last finished one
    answer: Answer | None = None  # of the last generation or choice that fixed the tokens of all before it
    settled: Ints | None = None  # those tokens
    fixed: _Piece | None = None  # its text
    anchor: _Anchor | None = None  # behind that, what has been tokenized once for all that go on from it

    def append(self, *texts: str) -> Transcript:
        """Return this prompt with ordinary texts behind it. Raises TypeError for what is no text."""
        written = self if self.roles.due is None else self._write(before_text=True)
        text = texts[0] if len(texts) == 1 else "".join(texts)
        if not isinstance(text, str):
            raise TypeError(f"found {text!r} of type {type(text).__name__}; wanted text")
        if not text:
            return written
        roles, last, start, message, answer, settled, fixed, anchor = written
        return Transcript(roles, _Piece(last, text), start, message, answer, settled, fixed, anchor)

    def append_tokens(self, text: str, ids: tuple[int, ...]) -> Transcript:
        """Return this prompt with ordinary text behind it, whose tokens are known."""
        written = self if self.roles.due is None else self._write(before_text=True)
        return written._replace(last=_Piece(written.last, text, ids=ids))

    def begin(self, role: str) -> Transcript:
        """Return this prompt with a message open. Raises ProgramError inside another one or for want of a template."""
        return self._replace(roles=self.roles.begin(role))

    def end(self, role: str) -> Transcript:
        """Return this prompt with its open message finished. Raises ProgramError unless that is of this role."""
        rested = self.rest()
        message = _Message(rested.message, role, rested.start, rested.last)
        return rested._replace(roles=self.roles.end(role), message=message)

    def rest(self) -> Transcript:
        """Return this prompt with the template text written that was due, as it reads with no text behind it."""
        return self if self.roles.due is None else self._write(before_text=False)

    def answered(self, answer: Answer, asked: Prompt) -> Transcript:
        """Return this prompt, nothing being due, with what was generated or chosen behind it.

        `asked` is the prompt it was asked with, in tokens.
        """
        roles, last, start, message, before, settled, fixed, anchor = self
        grown = _Piece(last, answer.text)
        if answer.reasoning is not None:
            return Transcript(roles, grown, start, message, before, settled, fixed, anchor)
        return Transcript(roles, grown, start, message, answer, asked.tokens, grown)

    @property
    def text(self) -> str:
        """The whole text."""
        return _between(None, self.last)

    def since(self, earlier: Transcript) -> str:
        """Return the text behind that of `earlier`, which this one goes on from."""
        return _between(earlier.last, self.last)

    @property
    def messages(self) -> list[dict[str, str]]:
        """The finished messages, without the blanks before their contents."""
        found: list[dict[str, str]] = []
        message = self.message
        while message is not None:
            content = _between(message.start, message.last).lstrip()
            found.append({"role": message.role, "content": content})
            message = message.before
        return found[::-1]

    def prompt(self, tokenizer: Tokenizer) -> Prompt:
        """Return the tokens that are fixed, and the text behind them, whatever is known of its tokens."""
        return self._behind(self.fixed, self._answered_prompt(), tokenizer, known=False)

    def asked_prompt(self, tokenizer: Tokenizer) -> Prompt:
        """Return the same prompt with what is known of its tokens: nothing is tokenized twice for requests."""
        if self.anchor is not None:
            return self._behind(self.anchor.last, self.anchor.prompt, tokenizer, known=True)
        return self._behind(self.fixed, self._answered_prompt(), tokenizer, known=True)

    def anchored(self, prompt: Prompt) -> Transcript:
        """Return the same with what has been made of its `asked_prompt`, for all that go on from it."""
        return self._replace(anchor=_Anchor(self.last, prompt))

    def _answered_prompt(self) -> Prompt:
        """Return the prompt up to and with the last answer that fixed the tokens of all before it."""
        if self.answer is None or self.settled is None:
            return _EMPTY
        return self.answer.behind(Prompt(self.settled, (), started=True))

    def _behind(self, start: _Piece | None, prompt: Prompt, tokenizer: Tokenizer, known: bool) -> Prompt:
        """Return a prompt that ends with the piece `start`, with all behind that."""
        last = self.last
        if last is start:
            return prompt
        if last is not None and last.before is start and not last.template and last.ids is None:
            return prompt.append(last.text)
        ordinary: list[str] = []
        for piece in reversed([*_back(last, start)]):
            if piece.template:
                prompt = prompt.append("".join(ordinary))
                ordinary.clear()
                pieces = tokenizer.template_pieces(piece.text, at_start=prompt.is_empty)
                prompt = prompt.append_template(pieces, tokenizer.prefix)
            elif known and piece.ids is not None:
                prompt = prompt.append("".join(ordinary)).append_tokens(piece.ids)
                ordinary.clear()
            else:
                ordinary.append(piece.text)
        return prompt.append("".join(ordinary))

    def _write(self, before_text: bool) -> Transcript:
        roles, last, start, message, answer, settled, fixed, anchor = self
        due = roles.due
        assert due is not None  # the callers have looked
        last = _Piece(last, due.before_text if before_text else due.text, template=True)
        return Transcript(roles.written, last, last if due.opens else start, message, answer, settled, fixed, anchor)


_EMPTY = Prompt()


def _back(last: _Piece | None, end: _Piece | None) -> Iterator[_Piece]:
    """Yield pieces from `last` back to the one behind `end`."""
    while last is not end:
        assert last is not None  # `end` is one of those before
        yield last
        last = last.before


def _between(start: _Piece | None, last: _Piece | None) -> str:
    return "".join([piece.text for piece in reversed([*_back(last, start)])])

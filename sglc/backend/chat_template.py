"""A chat template taken apart: the text it puts before and after each message, so that a prompt can only grow.

A template renders whole conversations, while a program writes one message after another. Conversations whose
contents are marks are rendered, and the text between the marks is what the template writes:

    <|im_start|>user\\n   MARK 0   <|im_end|>\\n<|im_start|>assistant\\n   MARK 1   <|im_end|>\\n
    └── opening([], "user")        └─ closing ─┘└─ opening(["user"], "assistant")
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from sglc.errors import InputError, ProgramError

if TYPE_CHECKING:
    from jinja2 import Template

_MARK = re.compile("\ue000([0-9]+)\ue001")  # private-use characters: no template writes or trims them

Segments = tuple[str, ...]
"""What a template writes around the contents of n messages: n + 1 texts."""


class _RenderError(Exception):
    """A conversation that does not render usefully: `did` completes "a chat template that … a user message"."""

    def __init__(self, did: str, why: str = "") -> None:
        super().__init__(did)
        self.did = did
        self.why = why


class ChatTemplate:
    """The openings and closings of messages, as a tokenizer's Jinja template writes them.

    Every opening is checked: the text so far must begin the rendering of the longer conversation. Where it does not
    (a template that moves the system text, drops earlier messages, demands another order), ProgramError says so.
    """

    def __init__(self, source: str, *, variables: Mapping[str, Any], special_ids: Mapping[str, int]) -> None:
        """`variables` are the names a template may use besides the conversation; compiled at first use."""
        self.source = source
        self._variables = dict(variables)
        self._special_ids = special_ids
        self._rendered: dict[tuple[tuple[str, ...], bool], Segments | _RenderError] = {}
        self._openings: dict[tuple[tuple[str, ...], str], str] = {}
        self._closings: dict[tuple[tuple[str, ...], str], str] = {}
        self._gaps_of: dict[tuple[str, ...], Segments] = {(): ()}

    def opening(self, turns: Sequence[str], role: str, *, written: bool = False) -> str:
        """Return what goes between closed messages with the roles `turns` and the content of a next one.

        For an assistant this is the generation prompt. Where its content is given (`written`) instead of generated,
        some templates add a space that a model would write itself. A system prompt that the template supplies is
        part of the opening of a first message of another role.
        """
        key = (tuple(turns), role)
        if key not in self._openings:
            self._openings[key] = self._find_opening(*key)
        opening = self._openings[key]
        if written and role == "assistant":
            gap = self._closed(key[0]) + opening
            with_content = self._try_segments((*turns, role))
            if with_content and _adds_space(gap, with_content[len(turns)]):
                return opening + with_content[len(turns)][len(gap) :]
        return opening

    def closing(self, turns: Sequence[str], role: str) -> str:
        """Return what goes after the content of a message of `role` that follows `turns`, whatever comes next."""
        key = (tuple(turns), role)
        if key not in self._closings:
            self._closings[key] = self._find_closing(*key)
        return self._closings[key]

    @property
    def end_ids(self) -> frozenset[int]:
        """The special token that ends an assistant's message; empty where the template has none there."""
        end = self._end_of_turn
        return frozenset({self._special_ids[end]} if end in self._special_ids else ())

    @property
    def end_strings(self) -> tuple[str, ...]:
        """The ordinary text that ends an assistant's message, where it is no special token; blanks do not count."""
        end = self._end_of_turn
        return (end,) if end and end not in self._special_ids else ()

    @cached_property
    def _end_of_turn(self) -> str:
        segments = self._try_segments(("user", "assistant"))
        pieces = self._split(segments[-1].strip()) if segments else []
        return next((piece.strip() for piece in pieces if piece), "")

    def _find_opening(self, turns: tuple[str, ...], role: str) -> str:
        before = self._closed(turns)
        try:
            segments = self._segments_up_to(turns, role)
        except _RenderError as failure:
            raise _error(turns, role, failure.did, failure.why) from failure
        for turn, mine, theirs in zip(turns, self._gaps(turns), segments, strict=False):
            if mine != theirs and not (turn == "assistant" and _adds_space(mine, theirs)):
                raise _error(turns, role, "changes what comes before", f"{mine!r} became {theirs!r}")
        gap = segments[len(turns)]
        if not gap.startswith(before):
            raise _error(turns, role, "changes what comes before", f"{before!r} became {gap!r}")
        return gap[len(before) :]

    def _segments_up_to(self, turns: tuple[str, ...], role: str) -> Segments:
        """Return the segments before the content of the new message, at least."""
        if role == "assistant":
            prompted = self._try_segments(turns, generate=True)
            if prompted:
                return prompted
        if (turns, role) == ((), "system") and self._folds_system:
            return self._segments(("system", "user"))
        return self._segments((*turns, role))

    def _find_closing(self, turns: tuple[str, ...], role: str) -> str:
        if (turns, role) == ((), "system") and self._folds_system:
            return ""
        try:
            tail = self._segments((*turns, role))[-1]
        except _RenderError as failure:
            raise _error(turns, role, failure.did, failure.why) from failure
        # A last message may be followed by a mark of the conversation's end: what a prompt for more keeps is its own.
        prompted = self._try_segments((*turns, role), generate=True)
        return self._common_beginning(tail, prompted[-1]) if prompted else tail

    @cached_property
    def _folds_system(self) -> bool:
        """Whether a system message shows only once a user message follows, as part of it."""
        lone, followed = self._try_segments(("system",)), self._try_segments(("system", "user"))
        if followed is None:
            return False
        return lone is None or lone[0] != followed[0] or not followed[1].startswith(lone[1])

    def _closed(self, turns: tuple[str, ...]) -> str:
        return self.closing(turns[:-1], turns[-1]) if turns else ""

    def _gaps(self, turns: tuple[str, ...]) -> Segments:
        """Return what stands before the content of each of `turns`: the closing of the one before, its own opening."""
        done = len(turns)
        while turns[:done] not in self._gaps_of:
            done -= 1
        for i in range(done, len(turns)):
            gap = self._closed(turns[:i]) + self.opening(turns[:i], turns[i])
            self._gaps_of[turns[: i + 1]] = (*self._gaps_of[turns[:i]], gap)
        return self._gaps_of[turns]

    def _try_segments(self, roles: tuple[str, ...], generate: bool = False) -> Segments | None:
        try:
            return self._segments(roles, generate)
        except _RenderError:
            return None

    def _segments(self, roles: tuple[str, ...], generate: bool = False) -> Segments:
        """Render messages of these roles and split at their contents. Raises _RenderError."""
        key = (roles, generate)
        if key not in self._rendered:
            try:
                self._rendered[key] = self._split_at_marks(self._render(roles, generate), len(roles))
            except _RenderError as failure:
                self._rendered[key] = failure
        result = self._rendered[key]
        if isinstance(result, _RenderError):
            raise result
        return result

    def _render(self, roles: tuple[str, ...], generate: bool) -> str:
        messages = [{"role": role, "content": f"\ue000{i}\ue001"} for i, role in enumerate(roles)]
        variables = self._variables | {"messages": messages, "add_generation_prompt": generate}
        template = self._template
        try:
            return template.render(tools=None, documents=None, **variables)
        except Exception as error:  # a template is somebody's program: it may fail in any way
            raise _RenderError("refuses", str(error)) from error

    @staticmethod
    def _split_at_marks(text: str, count: int) -> Segments:
        pieces = _MARK.split(text)
        shown = [int(number) for number in pieces[1::2]]
        if shown != list(range(count)):
            missing = set(range(count)) - set(shown)
            raise _RenderError("leaves out" if count - 1 in missing else "drops, repeats or moves messages before")
        return tuple(pieces[::2])

    @cached_property
    def _template(self) -> Template:
        import jinja2

        from sglc.backend.template_environment import compile_template

        try:
            return compile_template(self.source)
        except jinja2.TemplateSyntaxError as error:
            place = f"line {error.lineno}: {error.message}"
            raise InputError(f"found a chat template that is not Jinja ({place}); wanted a Jinja template") from error

    def _common_beginning(self, a: str, b: str) -> str:
        """Return the longest text that both begin with, no special token cut in two."""
        result = ""
        for mine, theirs in zip(self._split(a), self._split(b), strict=False):
            if mine != theirs:
                special = mine in self._special_ids or theirs in self._special_ids
                return result if special else result + _common_prefix(mine, theirs)
            result += mine
        return result

    def _split(self, text: str) -> list[str]:
        """Split into ordinary texts (even places) and special tokens (odd places)."""
        return self._special_pattern.split(text)

    @cached_property
    def _special_pattern(self) -> re.Pattern[str]:
        longest_first = sorted(self._special_ids, key=len, reverse=True)
        return re.compile("(" + ("|".join(map(re.escape, longest_first)) or r"(?!)") + ")")


def _common_prefix(a: str, b: str) -> str:
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))
    return a[:same]


def _adds_space(mine: str, theirs: str) -> bool:
    """Whether a template puts blanks, and nothing else, between the generation prompt and a given content."""
    return theirs.startswith(mine) and theirs[len(mine) :].isspace()


def _error(turns: tuple[str, ...], role: str, did: str, why: str = "") -> ProgramError:
    article = "an" if role == "assistant" else "a"
    place = f"after {', '.join(turns[-3:])}" if turns else "at the beginning"
    reason = f" ({why})" if why else ""
    return ProgramError(
        f"found a chat template that {did} {article} {role} message {place}{reason}; "
        "wanted one that lets a prompt grow message by message: pass --chat-template FILE or --chat-template chatml"
    )

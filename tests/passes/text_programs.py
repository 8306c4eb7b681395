"""Random programs whose texts meet in nasty ways: constants, arguments and what was generated, with forks and roles."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.program_source_writer import indented
from tests.program_sources import ProgramSource

ARGUMENTS = ("word", "name", "more")
VALUES = (
    *("", " ", "\n", "\n\n", "  x", "a", "'s", "'", " the", "ing", "12", "3", ".", "...", "/", "\u0301", "e\u0301"),
    *(
        "\u11a8",
        "\u4f60\u597d",
        "\U0001f642\u200d",
        "\u00a0",
        "\tq",
        "River",
        " river bank.",
        "It's 2024!\n",
        "<s>",
        "</s> x",
    ),
)
CONSTANTS = (
    *(
        "",
        " ",
        "\n",
        ":",
        " a",
        "s",
        "'ll be",
        "The river is wide. ",
        "Word: ",
        "\n\nAnswer:",
        "\n\nThen it is",
        "   x",
        "  12 of",
        " \n\n--",
        "Rate it 1 to 10:\n",
    ),
    *(
        "e\u0301",
        "\u0301 x",
        "1",
        "234,",
        "   ",
        " \n ",
        "(e.g. this)",
        "\U0001f9d6\u200d\u2640\ufe0f\n",
        "\u4f60",
        "<s>[INST]",
    ),
    *(
        "Question: what is the name of the user?\nHello, ",
        "--",
        "===\n\n",
        "{",
        "don",
        "'",
        "\u00e9t\u00e9 ",
        "A\u01c5b",
    ),
)
GLUED = ("ing the", "'s a", "er: ", "12 34", "e\u0301 x", "\n\nx", "...and")
"""Constants that are one token with what is before them, where a stop has cut a token in two."""

STOPS = ("e", "\n", " ", "th", ".", "yes", "n", "o", "a", "s", "t")
PLANTS = ("yes", " no", "\n\n", " the", "e\u0301", "\U0001f642", "12", "</think>")
CHOICES = (("yes", "no"), ("A", "B"), ("'s", "s"), ("1", "12"), ("\u0301", "e"), (" the river", " the"))


class Writer:
    """Writes one program. In `roles` it is a conversation: user and assistant in turns."""

    def __init__(self, seed: int, roles: bool) -> None:
        self._random = Random(f"texts {seed}")
        self._roles = roles
        self._names = 0
        self._left = 4  # generations and choices

    def source(self, seed: int) -> ProgramSource:
        """Return the program with rows for it."""
        random = self._random
        body = self._conversation() if self._roles else [*self._block("s", 0), *self._block("s", 0), *self._ask("s")]
        text = ["import sglc", "", "@sglc.function", f"def main(s, {', '.join(ARGUMENTS)}):", *indented(body)]
        rows = [{name: self._value() for name in ARGUMENTS} for _ in range(3)]
        rows.append(dict(rows[0]))
        sampling: dict[str, Any] = random.choice(({}, {"temperature": 0}))
        return ProgramSource(seed, "\n".join(text) + "\n", tuple(rows), {"max_new_tokens": 5, **sampling})

    def _value(self) -> str:
        return "".join(self._random.choices(VALUES, k=self._random.choice((1, 1, 2, 3))))

    def _conversation(self) -> list[str]:
        lines: list[str] = []
        if self._random.random() < 0.5:
            lines += ["with s.system():", *indented(self._say("s"))]
        for _ in range(self._random.randint(1, 2)):
            lines += ["with s.user():", *indented(self._block("s", 1))]
            spoken = [*(self._say("s") if self._random.random() < 0.3 else []), *self._ask("s")]
            lines += ["with s.assistant():", *indented(spoken)]
        return lines

    def _block(self, state: str, depth: int) -> list[str]:
        lines = self._say(state)
        for _ in range(self._random.randint(0, 2)):
            kind = self._random.random()
            if kind < 0.4 or self._left <= 0:
                lines += self._say(state)
            elif kind < 0.7 or depth:
                lines += self._ask(state)
            else:
                lines += self._fork(state)
        return lines

    def _say(self, state: str) -> list[str]:
        texts = []
        for _ in range(self._random.randint(1, 4)):
            constant = self._random.random() < 0.65
            texts.append(repr(self._random.choice(CONSTANTS)) if constant else self._random.choice(ARGUMENTS))
        return (
            [f"{state} += {text}" for text in texts]
            if self._random.random() < 0.5
            else [f"{state} += {' + '.join(texts)}"]
        )

    def _ask(self, state: str) -> list[str]:
        self._names += 1
        self._left -= 1
        name, random = f"v{self._names}", self._random
        if random.random() < 0.3:
            return [f"{state} += sglc.select({name!r}, choices={list(random.choice(CHOICES))!r})"]
        stop = f", stop={random.choice(STOPS)!r}" if random.random() < 0.6 else ""
        asked = f"sglc.gen({name!r}{stop})"
        if random.random() < 0.08:
            asked = f"sglc.separate_reasoning({asked}, 'qwen3')"
        lines = [f"{state} += {asked}"]
        if random.random() < 0.4:
            lines.append(f"{state} += {random.choice(GLUED)!r}")
        return [*lines, f"{state} += {state}[{name!r}]"] if random.random() < 0.15 else lines

    def _fork(self, state: str) -> list[str]:
        count = self._random.randint(2, 3)
        self._names += 1
        forks = f"f{self._names}"
        lines = [f"{forks} = {state}.fork({count})"]
        for place in range(count):
            branch = f"{forks}_{place}"
            lines.append(f"{branch} = {forks}[{place}]")
            lines += self._say(branch) if self._random.random() < 0.7 else []
            lines += self._ask(branch)
            lines.append(f"{state} += {branch}['v{self._names}']")
        return lines

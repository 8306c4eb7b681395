"""Random LLM programs, drawn from a seed."""

from __future__ import annotations

from random import Random
from typing import Any

import sglc
from sglc.language.state import ProgramState
from tests.random_statements import (
    Block,
    Choose,
    Fail,
    Generate,
    Log,
    Loop,
    Message,
    Nested,
    Node,
    Question,
    Repeat,
    Say,
    Scope,
    Scratch,
    Split,
    When,
    run_block,
)

PLANTS = ("yes", " no", "END", "\n\n", " 42", "好的", "🎉")
"""What the replay model likes to say, so that stops are met and tests of values go both ways."""

ASKED = ("yes", " no", "END")
"""What programs look for in a value."""

HEADERS = ("", "You are a terse assistant.\n", "You are a terse assistant.\nAnswer in verse.\n")
TEXTS = (
    *("", " ", "\n", "  \n", "\t", "'", "你", "好", "你好吗", "é", "e\u0301", "🎉", "👨\u200d👩\u200d👧"),
    *("a", "hel", "lo", " wor", "ld", "ing", "un", "believ", "able", "12", "34", ".5", "'ll", "Ünï", "<|im_end|>"),
)
STOPS = (*PLANTS, " ", "e", "\n", "好")
STOP_PATTERNS = (r"[0-9]+", r"\n\n?", "y(es)?", "[.!?]", "(?i)end", "s")
EVEN_CHOICES = (("yes", "no"), ("A", "K", "V"), ("b", "l", "w"), ("x\n", "i\n"))
"""Choices each as likely as the others: by the replay model's definition, ids a third of 32 apart are."""

CHOICES = (
    *EVEN_CHOICES,
    ("是", "不是"),
    ("one", "one two", "two"),
    ("only",),
    ("ab", "a", "b", "abc"),
    (" red", " green"),
)
METHODS = (
    sglc.token_length_normalized,
    sglc.greedy_token_selection,
    sglc.unconditional_likelihood_normalized,
)
ROLES = ("system", "user", "assistant")


class Draw:
    """Draws a program. What it names is always set before it is read, whichever way the program goes."""

    def __init__(self, seed: int) -> None:
        self._random = Random(f"program {seed}")
        self._budget = 4  # generations and choices

    def program(self) -> Block:
        """Return a program that says and generates at least something."""
        header = Say(self._random.choice(HEADERS))
        body = self.block([], depth=0, roles=self._random.random() < 0.3)
        end = (Fail(),) if self._random.random() < 0.02 else ()
        return (header, Say("Q: "), *body, *end)

    def block(self, known: list[str], depth: int, roles: bool = False) -> Block:
        """Return statements; `known` are the variables set before, and gets those set for certain."""
        nodes: list[Node] = []
        for _ in range(self._random.randint(2, 5 - depth)):
            nodes += self._statement(known, depth, roles)
        return tuple(nodes)

    def _statement(self, known: list[str], depth: int, roles: bool) -> list[Node]:
        random = self._random
        if roles and random.random() < 0.5:
            return [Message(random.choice(ROLES), self.block(known, depth + 1))]
        simple = [self._say, self._generate, self._generate, self._choose, self._repeat]
        nesting = [
            self._when,
            self._choose_arm,
            self._choose_arm,
            self._loop,
            self._split,
            self._scratch,
            self._scope,
            self._nested,
        ]
        if self._budget <= 0:
            return self._say(known, depth)
        return random.choice(simple if depth >= 3 or random.random() < 0.45 else nesting)(known, depth)

    def _name(self, known: list[str]) -> str:
        """Return a name, sometimes one that is taken: siblings reuse names, and so do programs."""
        name = f"v{self._random.randint(0, len(known) + 1)}"
        if name not in known:
            known.append(name)
        return name

    def _say(self, known: list[str], depth: int) -> list[Node]:
        return [Say(self._random.choice(TEXTS)) for _ in range(self._random.randint(1, 4))]

    def _generate(self, known: list[str], depth: int) -> list[Node]:
        self._budget -= 1
        options = self._options()
        read = options.get("n", 1) == 1 and self._random.random() < 0.7
        return [*self._say(known, depth), Generate(self._name(known), options, read)]

    def _options(self) -> dict[str, Any]:
        random = self._random
        most = random.choice((1, 2, 4, 8, 12))
        options: dict[str, Any] = {"max_tokens": most}
        drawn = {
            "stop": (0.5, lambda: random.sample(STOPS, random.randint(1, 4))),
            "stop_regex": (0.2, lambda: random.choice(STOP_PATTERNS)),
            "temperature": (0.6, lambda: random.choice((0, 0.01, 0.3, 0.7, 1.0, 1.5, 8.0))),
            "top_p": (0.15, lambda: random.choice((0.3, 0.9))),
            "top_k": (0.15, lambda: random.choice((1, 2, 40))),
            "min_p": (0.1, lambda: 0.1),
            "frequency_penalty": (0.1, lambda: random.choice((-1.0, 0.5))),
            "presence_penalty": (0.1, lambda: 1.5),
            "repetition_penalty": (0.1, lambda: 1.3),
            "min_tokens": (0.1, lambda: random.randint(1, most)),
            "n": (0.15, lambda: random.randint(2, 3)),
            "seed": (0.1, lambda: random.randint(0, 9)),
            "ignore_eos": (0.1, lambda: True),
            "logit_bias": (0.05, lambda: {random.randint(4, 300): 30.0}),
            "return_logprob": (0.1, lambda: True),
            "stop_token_ids": (0.1, lambda: [random.randint(4, 300) for _ in range(20)]),
            "regex": (0.05, lambda: random.choice(("[0-9]{1,3}", "(y(es)?|no?|m(aybe)?)!?", "[a-z好]+"))),
        }
        options |= {name: draw() for name, (likelihood, draw) in drawn.items() if random.random() < likelihood}
        if options.get("return_logprob"):
            options["top_logprobs_num"] = random.choice((0, 2))
            options["logprob_start_len"] = random.choice((-1, 0))
        return options

    def _choose(self, known: list[str], depth: int) -> list[Node]:
        self._budget -= 1
        choices, method = self._random.choice(CHOICES), self._random.choice(METHODS)
        return [*self._say(known, depth), Choose(self._name(known), choices, method)]

    def _choose_arm(self, known: list[str], depth: int) -> list[Node]:
        self._budget -= 1
        choices, method, name = self._random.choice(EVEN_CHOICES), self._random.choice(METHODS), self._name(known)
        arms = tuple(self.block(known.copy(), depth + 1) for _ in choices)
        return [*self._say(known, depth), Choose(name, choices, method, arms)]

    def _repeat(self, known: list[str], depth: int) -> list[Node]:
        if not known:
            return self._generate(known, depth)
        return [Say("\n>"), Repeat(self._random.choice(known), tool=self._random.random() < 0.2)]

    def _test(self) -> Question:
        return Question(self._random.choice((None, *ASKED)))

    def _long_generation(self, known: list[str]) -> Generate:
        """Return a generation in which each planted word is as likely as not."""
        self._budget -= 1
        return Generate(self._name(known), {"max_tokens": self._random.choice((16, 24)), "ignore_eos": True}, True)

    def _when(self, known: list[str], depth: int) -> list[Node]:
        asked = self._long_generation(known)
        arms = (self.block(known.copy(), depth + 1), self.block(known.copy(), depth + 1))
        return [*self._say(known, depth), asked, When(asked.name, self._test(), arms)]

    def _loop(self, known: list[str], depth: int) -> list[Node]:
        asked = self._long_generation(known)
        body = (asked, *self.block(known, depth + 1))
        return [Loop(self._random.randint(1, 3), body, asked.name, self._test())]

    def _split(self, known: list[str], depth: int) -> list[Node]:
        join = self._random.choice((None, "gather_variable", "concate_and_append"))
        branches = tuple(self.block(known.copy(), depth + 1) for _ in range(self._random.randint(1, 4)))
        return [*self._say(known, depth), Split(branches, join)]

    def _scratch(self, known: list[str], depth: int) -> list[Node]:
        return [Scratch(self.block(known.copy(), depth + 1))]

    def _scope(self, known: list[str], depth: int) -> list[Node]:
        name = f"scope{depth}.{len(known)}"
        body = self.block(known, depth + 1)
        known.append(name)
        return [Scope(name, body)]

    def _nested(self, known: list[str], depth: int) -> list[Node]:
        sampling = self._random.choice(({}, {}, {"temperature": 0.5}, {"seed": 3, "max_new_tokens": 6}))
        return [Nested(self.block([], depth + 1), sampling, self._random.random() < 0.6)]


@sglc.function
def random_program(s: ProgramState, seed: int) -> Log:
    log: Log = []
    run_block(Draw(seed).program(), s, log)
    return log

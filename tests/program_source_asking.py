"""Statements of random programs that ask the model: generations and choices of several shapes, and text around them."""

from __future__ import annotations

from tests.program_source_helpers import Helpers
from tests.program_source_writer import Value, literal, reading

EVEN_CHOICES = (("yes", "no"), ("A", "K", "V"), ("b", "l", "w"), ("是", "不是"), ("one", "two"))
"""Choices that the replay model takes about equally often."""

REGEXES = {"word": "(yes|no)", "digits": "[0-9]", "maybe": "[0-9a-j]"}
STOPS = ('"\\n"', '["e", "\\n"]', '" "', '["END", "好", "7"]')


class Asking(Helpers):
    """Draws generations and choices."""

    def say(self) -> list[str]:
        """Append text, in one of the ways to write it."""
        state = self.scope.state
        if self.chance(0.15):
            self.use("several texts in one +=")
            return [f"{state} += {self.text(1)} + {self.text(1)}"]
        if self.chance(0.05):
            self.use("sglc.unordered")
            return [f"{state} += sglc.unordered({self.text(1)}, {self.text(0)})"]
        return [f"{state} += {self.text(2)}"]

    def ask(self, shape: str | None = None) -> tuple[list[str], Value]:
        """Append a generation or choice after some text; return its value too. What it is called may be taken."""
        self.generate()
        state = self.scope.state
        shape = shape or self.pick(("word", "word", "digits", "maybe", "free", "free", "choice", "choice"))
        choices = self.pick(EVEN_CHOICES) if shape == "choice" else ()
        name = self._name(shape, choices)
        asked = self._select(name, choices) if choices else self._gen(name, shape)
        value = Value(reading(state, name), "text", True, "" if choices else shape, choices, name)
        before = self.text(1)
        if self.chance(0.3):
            self.use("text + gen + text")
            lines = [f"{state} += {before} + {asked} + {self.text(0)}"]
        elif self.chance(0.2):
            self.use("gen alone")
            lines = [f"{state} += {before}", f"{state} += {asked}"]
        else:
            lines = [f"{state} += {before} + {asked}"]
        self.scope.set(value)
        if self.chance(0.35):
            self.use("generated text in a local")
            local = self.fresh("got")
            self.use(f"read of {'a select' if choices else 'a gen'}")
            how = self.pick((value.code, value.code, f'{state}.get_var("{name}")'))
            lines.append(f"{local} = {how}")
            value = Value(local, "text", True, value.shape, choices)
            self.scope.set(value)
        return lines, value

    def _name(self, shape: str, choices: tuple[str, ...]) -> str:
        alike = [v for v in self.scope.values if v.variable and (v.shape, v.choices) == (shape, choices)]
        if alike and not self.scope.branch and self.chance(0.4):
            self.use("variable set again")
            return str(self.pick(alike).variable)
        return self.fresh("v")

    def _gen(self, name: str, shape: str) -> str:
        if shape in REGEXES:
            self.use("gen with a regex")
            return f'sglc.gen("{name}", regex="{REGEXES[shape]}")'
        options = [f"max_tokens={self._most()}"]
        if self.chance(0.35):
            self.use("gen with a stop")
            options.append(f"stop={self.pick(STOPS)}")
        if self.chance(0.3):
            self.use("gen with sampling parameters")
            options.append(
                self.pick(
                    ("temperature=0.0", "temperature=0.7", "top_k=4", "seed=3", "ignore_eos=True", "min_tokens=1")
                )
            )
        return f'sglc.gen("{name}", {", ".join(options)})'

    def _most(self) -> str:
        numbers = [v for v in self.readable("int", False) if v.code in ("n", "size")]
        if numbers and self.chance(0.15):
            self.use("sampling parameter from an argument")
            return f"{self.pick(numbers).code} + 1"
        return self.pick(("1", "2", "2", "3", "3", "4", "LIMIT"))

    def _select(self, name: str, choices: tuple[str, ...]) -> str:
        self.use("select with constant choices")
        listed = ", ".join(map(literal, choices))
        method = self.pick(("", "", "", ", choices_method=sglc.greedy_token_selection"))
        if self.chance(0.2):
            return f'sglc.gen("{name}", choices=[{listed}])'
        return f'sglc.select("{name}", choices=[{listed}]{method})'

    def select_of_arguments(self) -> list[str]:
        """Append a choice between texts of which some come with the row."""
        if not self.can_generate():
            return []
        self.generate()
        name, state = self.fresh("v"), self.scope.state
        words = [v for v in self.readable("text", False) if v.code in ("word", "key")]
        lists = [v for v in self.readable("texts", False) if v.code in ("items", 'record["tags"]')]
        choices = self.pick(
            [
                "NAMES",
                "sorted(GLOSSARY)",
                *[f"[{v.code}, 'none']" for v in words],
                *[f"{v.code} or ['none']" for v in lists],
                *[f"[f'<{{each}}>' for each in {v.code}] + ['-']" for v in lists],
            ]
        )
        self.use("select with choices from arguments" if words or lists else "select with choices of the module")
        line = f'{state} += {self.text(1)} + sglc.select("{name}", choices={choices})'
        self.scope.set(Value(reading(state, name), "text", True, "chosen", (), name))
        return [line]

    def several_samples(self) -> list[str]:
        """Append a generation of two samples, whose variable is a list."""
        if not self.can_generate(2):
            return []
        self.generate()
        self.generate()
        self.use("gen with n=2")
        name, state = self.fresh("v"), self.scope.state
        lines = [f'{state} += sglc.gen("{name}", n=2, max_tokens=2)']
        value = Value(reading(state, name), "texts", True, variable=name)
        self.scope.set(value)
        return lines

    def computed_name(self) -> list[str]:
        """Append generations whose names are made in a loop."""
        if not self.can_generate(2):
            return []
        self.use("gen with a computed name")
        state, stem = self.scope.state, self.fresh("part")
        with self.inside(self.scope.inner(), turns=2) as scope:
            self.generate()
            scope.set(Value("i", "int"))
            body = f'    {state} += {self.text(0)} + sglc.gen(f"{stem}_{{i}}", max_tokens={self._most()})'
        read = f'{state}[f"{stem}_{{i}}"]'
        self.scope.set(Value(reading(state, f"{stem}_0"), "text", True, "free", (), f"{stem}_0"))
        return ["for i in range(2):", body, f'{state} += ", ".join([{read} for i in range(2)])']

    def kept_expression(self) -> list[str]:
        """Append what a local or a conditional expression holds: generations are values too."""
        if not self.can_generate(2):
            return []
        self.generate()
        state = self.scope.state
        asked = self._gen(self.fresh("v"), "free")
        form = self.random.randint(0, 2)
        if form == 0:
            self.use("expression kept in a local")
            name = self.fresh("expression")
            lines = [f"{name} = {self.text(0)} + {asked}", f"{state} += {name}"]
            if self.chance(0.4):
                self.generate()
                self.use("expression appended twice")
                lines.append(f"{state} += {self.text(0)} + {name}")
            return lines
        if form == 1:
            self.use("gen in a conditional expression")
            return [f"{state} += {asked} if {self.condition(False)} else {self.text(0)}"]
        self.use("sum of expressions in a loop")
        name = self.fresh("expression")
        self.generate()
        return [
            f"{name} = {self.text(0)}",
            "for i in range(2):",
            f'    {name} = {name} + f"{{i}}:" + sglc.gen(f"said_{{i}}", max_tokens=1)',
            f"{state} += {name}",
        ]

    def answer_again(self) -> list[str]:
        """Read something said, what is known of how it was said, or all there is so far."""
        state = self.scope.state
        said = [v for v in self.scope.values if v.variable and v.kind == "text"]
        if not said:
            return self.say()
        value = self.pick(said)
        form = self.pick((0, 0, 1, 2, 3, 3, 4, 5))
        own = value.code.startswith(state + "[")
        if form == 0 and own and str(value.variable).startswith("v") and value.shape in ("free", *REGEXES):
            self.use("get_meta_info")
            key = self.pick(("['completion_tokens']", "['finish_reason']['type']", "['prompt_tokens']"))
            code = f"{state}.get_meta_info('{value.variable}'){key}"
            return [f'{state} += f"<{{{code}}}>"']
        if form == 1:
            self.use("s.text()")
            return [f"{state} += {state}.text()[-4:]"]
        if form == 2:
            self.use("variable in s")
            name = self.pick((str(value.variable), "missing"))
            return [f'if "{name}" {self.pick(("in", "not in"))} {state}:', *["    " + line for line in self.say()]]
        if form == 3:
            self.use("s[name] = value")
            name = self.fresh("set")
            lines = [f'{state}["{name}"] = {self.text(1)}']
            self.scope.set(Value(reading(state, name), "text", True, "", (), name))
            return [*lines, *self.say()]
        self.use("generated text appended again")
        return [f"{state} += {self.read(value)} + {self.text(0)}"]

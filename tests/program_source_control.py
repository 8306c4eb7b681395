"""Control flow of random programs: branches on arguments and on what was generated, loops, matches, early ends."""

from __future__ import annotations

from tests.program_source_asking import Asking
from tests.program_source_writer import Value, indented, literal

FAILURES = (
    *("raise ValueError({text})", '{state} += {state}["missing"]', "NAMES[7]", "{state} += 5", "{state} += None + 'a'"),
    *("{state} += {text} + 1", "{text}.missing", "GLOSSARY[{text} + '?']", "int({text} + 'x')", "len(LIMIT)"),
    *("assert not {text} + 'x', {text}", "first, second = [{text}]", "'{{}} {{}}'.format({text})", "'%d' % ({text},)"),
    *('{state} += sglc.gen("w", max_tokens=-1)', '{state} += sglc.select("w", choices=[])', "{state}.fork(-1)"),
    *('{state} += sglc.gen("w", regex="(")', "{state} += sglc.user_begin() + sglc.system_end()", "undefined_name"),
    *('{state}.fork(2).join("sideways")', "{state} += sglc.gen('w', stop=[''])", "{state}.get_meta_info({text} + '!')"),
)
"""Statements that fail, each in a way of its own."""


class Control(Asking):
    """Draws statements with blocks. Those decided by a model note in the program's log which way they went."""

    def block(self, size: int) -> list[str]:
        """Return some statements."""
        raise NotImplementedError

    def arm(self, note: str = "") -> list[str]:
        """Return the indented statements of an arm."""
        with self.inside(self.scope.inner(top=self.scope.top)):
            lines = self.block(self.random.choice((1, 1, 2)))
            if self.scope.top and self.scope.log and self.chance(0.06):
                self.use("early return")
                lines.append("return log")
        return indented(self._noted(note) + lines)

    def _noted(self, note: str) -> list[str]:
        return [f'log.append("#{note}")'] if self.scope.log and note else []

    # Branches

    def if_argument(self) -> list[str]:
        """Branch on arguments alone."""
        self.use("if on arguments")
        if self.chance(0.15):
            return self._walrus()
        lines = [f"if {self.condition(False)}:", *self.arm("argument:yes")]
        if self.chance(0.3):
            self.use("elif")
            lines += [f"elif {self.condition(False)}:", *self.arm()]
        if self.chance(0.6):
            lines += ["else:", *self.arm("argument:no")]
        return lines

    def _walrus(self) -> list[str]:
        self.use("walrus")
        name = self.fresh("size")
        lines = [f"if ({name} := {self.integer(1, False)}) > {self.random.randint(0, 4)}:"]
        self.scope.set(Value(name, "int"))
        return [*lines, *self.arm(), f'{self.scope.state} += f"{{{name}}}"']

    def if_generated(self) -> list[str]:
        """Branch on a question about something generated."""
        found = self._questionable()
        if found is None:
            return []
        lines, value = found
        self.use("if on a generated text")
        question = self.question_about(value)
        self.decide()
        if self.chance(0.2):
            self.use("decision kept in a local")
            name = self.fresh("decided")
            lines.append(f"{name} = {question}")
            question = name if self.chance(0.5) else f"not {name}"
            arms = ("if:no", "if:yes") if question.startswith("not") else ("if:yes", "if:no")
        else:
            arms = ("if:yes", "if:no")
        lines += [f"if {question}:", *self.arm(arms[0])]
        return [*lines, "else:", *self.arm(arms[1])]

    def _questionable(self, *shapes: str) -> tuple[list[str], Value] | None:
        """Return a generated text that a question fits, and the statements that make it; None for want of budget."""
        if not self.can_decide() or self._turns > 2:
            return None
        wanted = shapes or ("word", "digits", "maybe", "free")
        said = [v for v in self.readable("text") if v.generated and v.shape in wanted and not v.choices]
        if said and self.chance(0.5):
            return [], self.pick(said)
        return self.ask(self.pick(wanted)) if self.can_generate() else None

    def on_choice(self) -> list[str]:
        """Go on according to a select's outcome: by ==, in, a dict, match."""
        if not (self.can_generate() and self.can_decide(3)):
            return []
        lines, value = self.ask("choice")
        choices = value.choices
        self.decide(len(choices))
        self.use("branch on a select's outcome")
        notes = [f"select of {len(choices)}:{i}" for i in range(len(choices))]
        form = self.random.randint(0, 3)
        if form == 0:
            self.use("match on a select's outcome")
            lines.append(f"match {value.code}:")
            for i, choice in enumerate(choices):
                pattern = literal(choice) if i < len(choices) - 1 else self.pick(("_", "other"))
                lines += indented([f"case {pattern}:", *self.arm(notes[i])])
            return lines
        if form == 1:
            self.use("dict of functions by a select's outcome")
            table = self.fresh("table")
            entries = ", ".join(f"{literal(c)}: lambda: {self.text(1)}" for c in choices)
            lines += [f"{table} = {{{entries}}}", f"{self.scope.state} += {table}[{value.code}]()"]
            return lines + self._noted_by_index(value)
        for i, choice in enumerate(choices):
            word = "if" if i == 0 else "elif"
            self.use("in on a select's outcome" if form == 2 else "== on a select's outcome")
            test = f'in ({literal(choice)}, "?")' if form == 2 else f"== {literal(choice)}"
            lines += [f"{word} {value.code} {test}:" if i < len(choices) - 1 else "else:", *self.arm(notes[i])]
        return lines

    def _noted_by_index(self, value: Value) -> list[str]:
        if not self.scope.log:
            return []
        self.use("list.index of a select's outcome")
        listed = ", ".join(map(literal, value.choices))
        note = literal(f"#select of {len(value.choices)}:")
        return [f"log.append({note} + str([{listed}].index({value.code})))"]

    def match_generated(self) -> list[str]:
        """Match a generated word against literals, perhaps inside a tuple and with a guard."""
        found = self._questionable("word")
        if found is None:
            return []
        lines, value = found
        self.use("match on a generated text")
        self.decide()
        code = self.read(value)
        flags = self.readable("bool", False)
        if flags and self.chance(0.4):
            self.use("match of a tuple with a guard")
            flag = self.pick(flags).code
            lines += [f"match ({code}, {flag}):"]
            cases = [
                'case ("yes" | "y", _):',
                f'case (other, {self.pick(("False", "True"))}) if other == "no":',
                "case _:",
            ]
            return lines + indented(
                [
                    *(cases[0], *self.arm("match:0"), cases[1], *self.arm("match:1"), cases[2], *self.arm("match:1")),
                ]
            )
        cases = ['case "yes" | "sure":', self.pick(("case _:", 'case "no":', "case other:"))]
        return [*lines, f"match {code}:", *indented([cases[0], *self.arm("match:0"), cases[1], *self.arm("match:1")])]

    def match_argument(self) -> list[str]:
        """Match an argument of any type."""
        things = self.readable("thing", False)
        if not things:
            return []
        self.use("match on an argument's structure")
        state = self.scope.state
        cases = [
            ["case None:", f'    {state} += "nothing"'],
            ["case bool():", f'    {state} += "truth"'],
            ["case int(number) if number > 0:", f'    {state} += f"{{number:03d}}"'],
            ["case str() as words:", f"    {state} += words + {self.text(0)}"],
            ["case [head, *rest]:", f'    {state} += f"{{head}}+{{len(rest)}}"'],
            ['case {"k": value, **rest}:', f"    {state} += str(value)"],
            ["case _:", *self.arm()],
        ]
        kept = [case for case in cases[:-1] if self.chance(0.7)] + cases[-1:]
        return [f"match {self.pick(things).code}:", *indented([line for case in kept for line in case])]

    # Loops

    def for_argument(self) -> list[str]:
        """Go through an argument, or a list of the module."""
        state = self.scope.state
        lists = [v.code for v in self.readable("texts", False)]
        pairs, facts = self.readable("pairs", False), self.readable("dict", False)
        forms: list[tuple[str, str, list[Value]]] = []
        for code in [*lists, "NAMES"]:
            forms += [
                ("for", f"for item in {code}:", [Value("item", "text")]),
                ("enumerate", f"for i, item in enumerate({code}, 1):", [Value("item", "text"), Value("i", "int")]),
                ("zip", f"for item, name in zip({code}, NAMES):", [Value("item", "text"), Value("name", "text")]),
                ("reversed", f"for item in reversed({code}):", [Value("item", "text")]),
                ("sorted", f"for item in sorted({code}, reverse=True):", [Value("item", "text")]),
            ]
        forms += [
            ("unpacking in a for", f"for label, count in {v.code}:", [Value("label", "text"), Value("count", "int")])
            for v in pairs
        ]
        forms += [
            (
                "dict.items",
                f"for k, fact in {v.code}.items():",
                [Value("k", "text", shape="key"), Value("fact", "text")],
            )
            for v in facts
        ]
        forms += [("for over a dict", f"for k in {v.code}:", [Value("k", "text", shape="key")]) for v in facts]
        forms += [
            ("range", "for i in range(1, 3):", [Value("i", "int")]),
            ("for over a generator helper", f"for item in {self._iterated()}:", [Value("item", "text")]),
        ]
        structured = [form for form in forms if form[2][0].code in ("label", "k")]
        use, head, values = self.pick(structured if structured and self.chance(0.5) else forms)
        self.use(use)
        lines = []
        with self.inside(self.scope.inner(), turns=3) as scope:
            for value in values:
                scope.set(value)
            if self.chance(0.2):
                self.use("continue")
                lines += [f"if {self.condition(False)}:", "    continue"]
            if self.chance(0.15):
                self.use("break on an argument")
                lines += [f"if {self.condition(False)}:", "    break"]
            lines += self.block(1) if self.chance(0.6) else [f"{state} += {self.text(1)}"]
        return [head, *indented(lines)]

    def _iterated(self) -> str:
        helpers = [h for h in self.helpers if h.kind == "iterator"]
        return self.pick(helpers).call(False) if helpers else "NAMES[1:]"

    def loop_generated(self) -> list[str]:
        """Ask again until the answer will do, a few times at most."""
        turns = self.pick((2, 2, 2, 2, 3))
        if not (self.can_generate(turns) and self.can_decide(turns + 1)) or self._turns > 1:
            return []
        self.decide(turns + 1)
        paths = self._paths
        counter, first = self.pick((("turn", 0), (self.fresh("turns"), 1)))
        with self.inside(self.scope.inner(), turns=turns):
            lines, value = self.ask(self.pick(("word", "digits", "maybe", "free")))
            question = self.question_about(value)
            later = self.pick(("", "", f" and {counter} >= {first + 1}"))
            over = [
                f"if {question}{later}:",
                *indented([*self._noted("loop:break"), *(self.say() if self.chance(0.5) else []), "break"]),
            ]
            lines += over + (self.say() if self.chance(0.4) else [])
        self._paths = paths
        ended = ["else:", *indented([*self._noted("loop:end"), *self.say()])]
        self.use("bounded loop with a break on a generated text")
        if first == 0:
            self.use("for with else")
            return [f"for turn in range({turns}):", *indented(lines), *ended]
        self.use("while with else")
        return [f"{counter} = 0", f"while {counter} < {turns}:", *indented([f"{counter} += 1", *lines]), *ended]

    def while_counting(self) -> list[str]:
        """Count, with continue and break on numbers."""
        self.use("while with a counter")
        name, state = self.fresh("count"), self.scope.state
        most = self.pick(["2", "3", "LIMIT", *[v.code for v in self.readable("int", False) if v.code in ("n", "i")]])
        with self.inside(self.scope.inner(), turns=3) as scope:
            scope.set(Value(name, "int"))
            lines = [f"{name} += 1"]
            if self.chance(0.4):
                self.use("continue")
                lines += [f"if {name} % 2 == 0:", "    continue"]
            lines += self.say()
            if self.chance(0.3):
                lines += [f"if {self.condition(False)}:", "    break"]
        ended = ["else:", *indented([f"{state} += {self.text(0)}"])] if self.chance(0.4) else []
        return [f"{name} = 0", f"while {name} < {most}:", *indented(lines), *ended]

    # Ends

    def end_early(self) -> list[str]:
        """Fail: as a host program does, or by reading what nothing has set."""
        if self.chance(0.3):
            self.use("unknown variable, handled")
            state = self.scope.state
            return ["try:", f'    {state} += {state}["missing"]', "except KeyError:", f"    {state} += {self.text(0)}"]
        if not self.chance(0.35):
            return []
        self.use("program that fails")
        fails = self.pick(FAILURES).format(state=self.scope.state, text=self.text(1))
        return [f"if {self.condition(False)}:", f"    {fails}"]

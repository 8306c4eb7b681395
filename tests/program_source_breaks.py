"""What can't be captured: effects, impure helpers, structure that a model decides, conversions of what it said."""

from __future__ import annotations

from tests.program_source_traps import Traps
from tests.program_source_writer import Value, indented


class Breaks(Traps):
    """Draws statements that make a program eager from there on, or in part."""

    def break_capture(self) -> list[str]:
        """Return such a statement."""
        self.generations = max(self.generations, 3)
        forms = [
            *(self._effect, self._effect, self._printed, self._remembered, self._remembered, self._words),
            *(self._converted, self._converted, self._converted, self._streamed, self._unbounded, self._words),
            *(
                *(self._effect_in_call, self._printed, self._changed_argument),
                self._failing_call,
                self._fork_by_number,
                self._counted,
                self._guarded,
                self._guarded,
            ),
            *(self._effect_in_call, self._printed, self._changed_argument),
        ]
        return self.pick(forms)()

    def _effect(self) -> list[str]:
        """A list of the module that grows."""
        self.use("effect on a module's list")
        self.effects = True
        state = self.scope.state
        form = self.random.randint(0, 2)
        if form == 0:
            return [f"EFFECTS.append((row, {self.text(1)}))"]
        if form == 1:
            return [f"{state} += noted(row, {self.text(1)})"]
        return [f"EFFECTS.append((row, len({state}.text())))", f"EFFECTS.append((row, {self.texts(1)}))"]

    def _printed(self) -> list[str]:
        """A print to a sink."""
        self.use("print to a sink")
        self.effects = True
        value = self.pick((self.text, self.integer, self.texts))(1)
        return [f'print(row, repr({value}), sep="\\t", file=SINK)']

    def _remembered(self) -> list[str]:
        """A helper that remembers what it was told."""
        self.use("helper with a memory")
        self.effects = True
        return [f"{self.scope.state} += str(remember(row, {self.text(1)}))"]

    def _changed_argument(self) -> list[str]:
        """An argument that is changed in place."""
        lists = [v.code for v in self.readable("texts", False) if v.code in ("items", 'record["tags"]')]
        if not lists:
            return self._effect()
        self.use("argument changed in place")
        items = self.pick(lists)
        change = self.pick((f"{items}.append({self.text(1)})", f"{items}.reverse()", f"{items}[:0] = [{self.text(0)}]"))
        return [change, f"{self.scope.state} += str(len({items}))"]

    def _converted(self) -> list[str]:
        """A conversion of something generated that may fail."""
        if not self.can_generate():
            return self._effect()
        lines, value = self.ask("maybe")
        name, state = self.fresh("number"), self.scope.state
        if self.chance(0.3):
            self.use("conversion of a generated text that may raise")
            return [*lines, f"{name} = int({value.code})", f'{state} += f"{{{name} + 1}}"']
        self.use("try around the conversion of a generated text")
        noted = ['log.append("#try:done")'] if self.scope.log else []
        failed = ['log.append("#try:raised")'] if self.scope.log else []
        lines += [
            "try:",
            *indented([f"{name} = int({value.code})", *noted]),
            f"except ValueError{self.pick(('', ' as error'))}:",
            *indented([f"{name} = -1", *failed]),
        ]
        if self.chance(0.3):
            self.use("try with else and finally")
            lines += ["finally:", f'    {state} += "done"']
        self.scope.set(Value(name, "int", True))
        return [*lines, f'{state} += f"{{{name}:+d}}"']

    def _streamed(self) -> list[str]:
        """The program reads its own stream."""
        self.use("text_iter inside a program")
        state = self.scope.state
        said = [v for v in self.scope.values if v.variable and v.kind == "text" and v.code.startswith(state + "[")]
        of = f'"{self.pick(said).variable}"' if said and self.chance(0.5) else ""
        return [f'{state} += "".join({state}.text_iter({of}))[-5:]']

    def _unbounded(self) -> list[str]:
        """A loop until the answer will do."""
        if not self.can_generate(2) or self._turns > 1:
            return self._effect()
        self.use("unbounded loop on a generated text")
        with self.inside(self.scope.inner(), turns=2):
            lines, value = self.ask("word")
            question = self.question_about(value)
            lines += [f"if {question}:", "    break"]
        return ["while True:", *indented(lines), *self.say()]

    def _words(self) -> list[str]:
        """A loop over what a model has said."""
        said = [v for v in self.readable("text") if v.generated]
        if not said:
            return self._effect()
        self.use("loop over a generated text")
        code, state = self.pick(said).code, self.scope.state
        return self.pick(
            [
                [f"for piece in {code}.split():", f'    {state} += f"[{{piece}}]"'],
                [f'{state} += ", ".join(letter.upper() for letter in {code})'],
                [f"for i, letter in enumerate({code}[:3]):", f'    {state} += f"{{i}}{{letter}}"'],
                [f"for i in range(len({code}) % 3):", f"    {state} += str(i)"],
                [f"{state} += str({{{code}: 1}})"],
                [f"{state} += str(len({{{code}, 'yes'}}))"],
            ]
        )

    def _effect_in_call(self) -> list[str]:
        """An effect inside a host call."""
        self.use("sglc.call with an effect")
        self.effects = True
        if self.chance(0.3):
            return [f"sglc.call(noted, row, {self.text(1)})"]
        return [f"{self.scope.state} += sglc.call(noted, row, {self.text(1)})"]

    def _failing_call(self) -> list[str]:
        """A host call that raises for some texts, seldom unguarded."""
        self.use("sglc.call that raises")
        state, name = self.scope.state, self.fresh("checked")
        said = [v for v in self.readable("text") if v.generated and v.shape in ("word", "maybe", "free")]
        code = self.pick(said).code if said else self.text(1)
        if self.chance(0.3):
            self.scope.set(Value(name, "text", True))
            return [f"{name} = sglc.call(refuse_vowels, {code})", f"{state} += {name}"]
        lines = [
            "try:",
            f"    {name} = sglc.call(refuse_vowels, {code})",
            "except ValueError as error:",
            f"    {name} = {self.pick(('str(error)', self.text(0)))}",
            f"{state} += {name}",
        ]
        self.scope.set(Value(name, "text", True))
        return lines

    def _guarded(self) -> list[str]:
        """A generation, and a read of it, inside try."""
        if not self.can_generate():
            return self._effect()
        self.use("try around a generation")
        lines, value = self.ask()
        state = self.scope.state
        ended = self.pick(
            (
                ["except Exception as error:", f"    {state} += type(error).__name__"],
                ["except KeyError:", f"    {state} += '?'", "finally:", f"    {state} += {self.text(0)}"],
                ["finally:", f"    {state} += {self.text(0)}"],
                ["except:", f"    {state} += 'bare'"],
            )
        )
        self._forget({value.variable})
        return ["try:", *indented([*lines, f"{state} += {value.code}[:2]"]), *ended]

    def _fork_by_number(self) -> list[str]:
        """As many branches as a model says."""
        if not self.can_generate(2):
            return self._effect()
        self.use("fork of a generated number")
        lines, value = self.ask("digits")
        state, name = self.scope.state, self.fresh("v")
        self.generate()
        return [
            *lines,
            f"forks = {state}.fork(int({value.code}) % 2 + 1)",
            f'forks += sglc.gen("{name}", max_tokens=1)',
            "forks.join()",
            f'{state} += str({state}["{name}"])',
        ]

    def _counted(self) -> list[str]:
        """A counter in a module's dict, one per row."""
        self.use("counter of the module")
        self.effects = True
        state = self.scope.state
        return ["SEEN.setdefault(row, []).append(1)", *self.say(), f"{state} += str(sum(SEEN[row]))"]


MODULE = [
    "EFFECTS = []",
    "SINK = io.StringIO()",
    "SEEN = {}",
    "",
    "def noted(row, what):",
    "    EFFECTS.append((row, what))",
    "    return what",
    "",
    "def remember(row, what):",
    "    SEEN.setdefault(row, []).append(what)",
    "    return len(SEEN[row])",
    "",
    "def refuse_vowels(text):",
    '    if any(letter in "aeiou" for letter in text):',
    '        raise ValueError(f"found a vowel in {text!r}")',
    "    return text[::-1]",
]
"""What the statements above use."""

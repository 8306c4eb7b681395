"""Statements of random programs that only compute: locals, lists, dicts, closures, conversions that may fail."""

from __future__ import annotations

from tests.program_source_control import Control
from tests.program_source_writer import Value, indented


class Locals(Control):
    """Draws statements that set locals, most of them with the `+=` that reads what was set."""

    def _set(self, stem: str, kind: str, generated: bool) -> str:
        name = self.fresh(stem)
        self.scope.set(Value(name, kind, generated))
        return name

    def assign(self) -> list[str]:
        """Set a local."""
        self.use("assignment")
        draws = {"text": self.text, "int": self.integer, "texts": self.texts, "bool": self.truth, "float": self.number}
        kind = self.pick(("text", "text", "int", "texts", "bool", "float"))
        code, met = self.watched(lambda: draws[kind](2))
        return [f"{self._set(kind[0] * 2, kind, met)} = {code}"]

    def augment(self) -> list[str]:
        """Add to a local."""
        known = [v for v in self.scope.values if v.kind in ("text", "int") and v.code.isidentifier() and not v.shape]
        known = [v for v in known if v.code[:-1] in ("tt", "ii")]
        if not known:
            before = self.assign()
            return before + (self.augment() if "tt" in before[0] or "ii" in before[0] else self.say())
        value = self.pick(known)
        self.use("augmented assignment")
        code, met = self.watched(lambda: self.text(1) if value.kind == "text" else self.integer(1))
        value.generated |= met
        return [
            f"{value.code} {self.pick(('+=', '+=', '-=', '*=')) if value.kind == 'int' else '+='} {code}",
            *self.say(),
        ]

    def unpack(self) -> list[str]:
        """Set several locals at once."""
        self.use("unpacking")
        form = self.random.randint(0, 3)
        texts, met = self.watched(lambda: [self.text(1) for _ in range(3)])
        first, second = self._set("one", "text", met), self._set("two", "text", met)
        if form == 0:
            return [f"{first}, {second} = {texts[0]}, {texts[1]}", f"{first}, {second} = {second}, {first}"]
        if form == 1:
            rest = self._set("rest", "texts", met)
            return [f"{first}, {second}, *{rest} = [{', '.join(texts)}]"]
        if form == 2:
            return [f'{first}, _, {second} = {texts[0]}.partition("e")']
        return [f"({first}, unused), {second} = ({texts[0]}, {texts[1]}), {texts[2]}"]

    def collect(self) -> list[str]:
        """Build a list in a loop and join it."""
        self.use("list built by append and joined")
        name = self.fresh("parts")
        source = self.texts(0, False)
        with self.inside(self.scope.inner(), turns=3) as scope:
            scope.set(Value("item", "text"))
            scope.set(Value("i", "int"))
            lines = [f"{name}.append({self.text(1)})"]
            if self.chance(0.3):
                lines = [
                    f"if {self.condition(False)}:",
                    *indented(lines),
                    "else:",
                    f"    {name} += [item, {self.text(0)}]",
                ]
        ends = [
            f"{name}.extend([{self.text(0)}])",
            f"{name}.insert(0, {self.text(0)})",
            f"{name}[:1] = []",
            f"{name}.sort()",
            f"{name}.append({name}.pop() if {name} else 'none')",
        ]
        joined = f'{self.scope.state} += "; ".join({name})'
        return [f"{name} = []", f"for i, item in enumerate({source}):", *indented(lines), self.pick(ends), joined]

    def tabulate(self) -> list[str]:
        """Build a dict and go through it."""
        self.use("dict built and read")
        name, state = self.fresh("table"), self.scope.state
        lines = [f'{name} = {{"a": {self.text(1)}, "b": {self.text(0)}}}', f'{name}["c"] = {self.text(0)}']
        if self.chance(0.3):
            self.use("dict comprehension")
            lines = [f"{name} = {{item: {self.text(0)} for item in NAMES}}"]
        if self.chance(0.3):
            lines.append(f'{name} |= {{"d": {self.text(0)}}}')
        end = self.pick(
            [
                f'{state} += "".join(f"{{k}}={{v}};" for k, v in {name}.items())',
                f'{state} += ", ".join(sorted({name}))',
                f'{state} += {name}.get("b", "-") + str(len({name}))',
                f'{state} += {name}.pop("a", "gone") + ",".join({name}.values())',
            ]
        )
        return [*lines, end]

    def closure(self) -> list[str]:
        """Define a function that sees and sets what is around it, and call it."""
        self.use("nested function with nonlocal")
        count, name, state = self.fresh("calls"), self.fresh("inner"), self.scope.state
        with self.inside(self.scope.inner(log=False)) as scope:
            scope.set(Value("text", "text"))
            scope.set(Value(count, "int"))
            body = ["nonlocal " + count, f"{count} += 1", f"return {self.text(2)}"]
        return [
            f"{count} = 0",
            f"def {name}(text, *, last={self.text(0, False)}):",
            *indented(body),
            f"{state} += {name}({self.text(0)}) + {name}({self.text(0)}, last='z') + str({count})",
        ]

    def local_lambda(self) -> list[str]:
        """Define a lambda and call it."""
        self.use("lambda")
        name = self.fresh("short")
        with self.inside(self.scope.inner()) as scope:
            scope.set(Value("text", "text"))
            body = self.text(1)
        return [f"{name} = lambda text: {body}", f"{self.scope.state} += {name}({self.text(0)})"]

    def convert_argument(self) -> list[str]:
        """Convert an argument that may not be a number."""
        found = [v for v in self.readable("text", False) if v.code in ("digits", "title")]
        if not found:
            return []
        self.use("try around the conversion of an argument")
        name = self.fresh("number")
        lines = [
            "try:",
            f"    {name} = int({self.pick(found).code})",
            f"except {self.pick(('ValueError', '(ValueError, KeyError)', 'Exception'))} as error:",
            f"    {name} = -1",
            f"    {self.scope.state} += {self.pick(('str(error)', 'type(error).__name__', self.text(0)))}",
        ]
        if self.chance(0.4):
            self.use("try with else and finally")
            lines += ["else:", f"    {self.scope.state} += {self.text(0)}", "finally:", f"    {name} += 1"]
        self.scope.set(Value(name, "int"))
        return [*lines, f'{self.scope.state} += f"{{{name}}}"']

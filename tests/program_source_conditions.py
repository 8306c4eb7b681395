"""Conditions of random programs, those on generated texts drawn so that either outcome is likely."""

from __future__ import annotations

from tests.program_source_expressions import TRUTH_METHODS
from tests.program_source_formats import Formats
from tests.program_source_writer import Value, literal

QUESTIONS = {
    "word": (
        *('{} == "yes"', '{} != "no"', '"e" in {}', '"e" not in {}', '{}.startswith("y")', 'GLOSSARY[{}] == "denied"'),
        *(
            '{} in ("yes", "y")',
            '{} not in ["yes", "maybe"]',
            "len({}) == 3",
            '{} < "o"',
            '{} in {{"yes"}}',
            "len({}) < 3",
        ),
        *('{}.endswith("s")', '{}.upper() == "NO"', '{}[0] == "n"', '"yes" == {}', '{}.find("o") > 0'),
    ),
    "digits": (
        *(
            "int({}) % 2 == 0",
            "int({}) > 4",
            "{}[-1:] in '13579'",
            '{} < "5"',
            "int({}) in range(5)",
            "3 < int({}) < 8",
        ),
        *('{}.endswith(("1", "3", "5", "7"))', "{} in ('0', '2', '4', '6', '8')", "int({}) < int('5')"),
        *("json.loads({}) > 4", 're.match("[0-4]", {}) is not None', "bool(int({}) // 5)", "[0, 1][int({}) % 2]"),
    ),
    "maybe": ("{}.isdigit()", "{}.isalpha()", "{} < 'a'", "not {}.isdigit()", '{}.strip("0123456789") == ""'),
    "free": (
        *("len({}) % 2 == 0", "len({}.strip()) % 2", "len({}) % 4 < 2", 'len({}.replace(" ", "")) % 2 == 1'),
        *('{}.count("e") > 0 or len({}) % 2 == 0', "len({}) % 2 != 0 and len({}) % 3 > 0"),
    ),
}
"""What may be asked of a generated text by its shape: each goes either way often enough."""


class Conditions(Formats):
    """Draws conditions."""

    def truth(self, depth: int = 1, generated: bool = True) -> str:
        """Return the code of True or False."""
        known = self.readable("bool", generated)
        if depth <= 0 and known and self.chance(0.7):
            return self.read(self.pick(known))
        asked = self.question() if generated and self.chance(0.5) else None
        if asked is not None:
            return asked
        forms = [
            *(self._comparison, self._comparison, self._containment, self._containment, self._method_truth),
            *(self._connective, self._of_type, self._of_optional, self._chain, self._quantified),
        ]
        return self.pick(forms)(max(0, depth - 1), generated)

    def question(self) -> str | None:
        """Return a question about a generated text, if there is one in scope."""
        said = [v for v in self.readable("text") if v.generated and (v.shape in QUESTIONS or v.choices)]
        return self.question_about(self.pick(said)) if said else None

    def question_about(self, value: Value) -> str:
        """Return a question about a generated text of known shape."""
        code = self.read(value)
        if value.choices:
            chosen = self.pick(value.choices)
            self.use("== on a select's outcome")
            return f"({code} {self.pick(('==', '!='))} {literal(chosen)})"
        form = self.pick(QUESTIONS[value.shape])
        for operator in ("not in", "in", "==", "!=", "<"):
            if f" {operator} " in form:
                self.use(f"{operator} on a generated text")
                break
        if "int(" in form:
            self.use("int() of generated digits")
        if "< int" in form:
            self.use("chained comparison")
        return f"({form.replace('{}', code).replace('{{', '{').replace('}}', '}')})"

    def _comparison(self, depth: int, generated: bool) -> str:
        operator = self.pick(("==", "!=", "<", "<=", ">", ">="))
        self.use(f"{operator} comparison")
        draw = self.pick((self.text, self.integer, self.integer))
        return f"({draw(depth, generated)} {operator} {draw(depth, generated)})"

    def _containment(self, depth: int, generated: bool) -> str:
        operator = self.pick(("in", "in", "not in"))
        self.use(f"{operator} a text")
        if self.chance(0.3):
            self.use(f"{operator} a container")
            keyed = [v for v in self.readable("text", generated) if v.shape == "key"]
            container = self.pick(
                ("GLOSSARY", "NAMES", '{"yes", "A"}', '("no", "b")', "[" + self.text(0, generated) + "]")
            )
            return f"({self.read(self.pick(keyed)) if keyed else self.text(0, generated)} {operator} {container})"
        return f"({self.constant()} {operator} {self.text(depth, generated)})"

    def _method_truth(self, depth: int, generated: bool) -> str:
        method = self.pick(TRUTH_METHODS)
        self.use(f"text.{method.partition('(')[0]}")
        return f"{self.text(depth, generated)}.{method}"

    def _connective(self, depth: int, generated: bool) -> str:
        if self.chance(0.3):
            self.use("not")
            return f"(not {self.condition(generated, depth)})"
        self.use("and/or")
        left, right = self.condition(generated, depth), self.condition(generated, depth)
        return f"({left} {self.pick(('and', 'or'))} {right})"

    def _of_type(self, depth: int, generated: bool) -> str:
        self.use("isinstance")
        kinds = self.pick(("str", "int", "(int, float)", "list", "bool", "(list, tuple, dict)", "type(None)"))
        if self.chance(0.25):
            return f"(type({self.pick((self.thing, self.text))(0, generated)}) is {self.pick(('str', 'int', 'list'))})"
        draw = self.pick((self.thing, self.thing, self.text, self.integer))
        return f"isinstance({draw(0, generated)}, {kinds})"

    def _of_optional(self, depth: int, generated: bool) -> str:
        texts = self.readable("text", generated)
        if texts and self.chance(0.3):
            self.use("is None of a text")
            return f"({self.read(self.pick(texts))} {self.pick(('is None', 'is not None'))})"
        notes = self.readable("optional", generated)
        if not notes:
            return self._comparison(depth, generated)
        operator = self.pick(("is None", "is not None"))
        self.use("is None")
        return f"({self.read(self.pick(notes))} {operator})"

    def _chain(self, depth: int, generated: bool) -> str:
        self.use("chained comparison")
        allowed = generated and self.can_decide()
        code, met = self.watched(lambda: f"(0 <= {self.integer(depth, allowed)} < {self.integer(0, allowed)})")
        if met:
            self.decide()
        return code

    def _quantified(self, depth: int, generated: bool) -> str:
        name = self.pick(("any", "all"))
        self.use(f"{name} over a generator expression")
        if self.chance(0.5) and generated and self.can_decide(3):
            code, met = self.watched(lambda: f"{name}(word in {self.text_atom()} for word in ('e', 'a'))")
            if met:
                self.decide(3)
            return code
        return f"{name}(len(each) > {self.random.randint(0, 4)} for each in {self.texts(0, False)})"

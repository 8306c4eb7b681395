"""Expressions of random programs: code of a text, a number, a truth value or a list, drawn from what is in scope."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.program_source_writer import Scope, Value, Writer, literal

UNARY_METHODS = ("strip", "lower", "upper", "title", "capitalize", "swapcase", "casefold", "lstrip", "rstrip")
OTHER_METHODS = (
    *('replace("e", "3")', 'replace("a", "bb", 1)', "zfill(4)", 'center(7, "*")', "ljust(4)", "rjust(5)"),
    *('removeprefix("y")', 'removesuffix("s")', 'strip("yes")', "expandtabs(2)"),
)
TRUTH_METHODS = (
    *('startswith("y")', 'startswith(("a", "y", "1"))', 'endswith("s")', "isdigit()", "isalpha()", "isspace()"),
    *("islower()", "isupper()", "isascii()", 'endswith(("1", "3", "5", "o"))'),
)
SEPARATORS = ('", "', '"\\n"', '""', '" | "', '"-"')
SLICES = ("[:2]", "[1:]", "[-2:]", "[::-1]", "[1:4]", "[::2]", "[:-1]")

GLOSSARY = {"yes": "affirmed", "no": "denied", "A": "alpha", "好": "good"}
"""The module's constant dict, whose keys arguments and generations may be."""


class Expressions(Writer):
    """Draws expressions. What is drawn with `generated` may read what a model has said, else it may not.

    Every expression can be followed by an attribute, an index or an operator.
    """

    # Texts

    def text(self, depth: int = 2, generated: bool = True) -> str:
        """Return the code of a text."""
        if depth <= 0 or self.chance(0.3):
            return self.text_atom(generated)
        return self._pick_form(self._text_forms())(depth - 1, generated)

    def _pick_form(self, forms: list[tuple[int, Callable[[int, bool], str]]]) -> Callable[[int, bool], str]:
        return self.random.choices([form for _, form in forms], [weight for weight, _ in forms])[0]

    def _text_forms(self) -> list[tuple[int, Callable[[int, bool], str]]]:
        return [
            (6, self.formatted),
            (3, self._slice),
            (4, self._method),
            (3, self._joined),
            (3, self._conditional),
            (3, self._looked_up),
            (2, self._parted),
            (2, self._plus),
            (2, self._of_value),
            (2, self._called),
            (1, self._default),
            (1, self._extreme),
            (3, self.library),
        ]

    def formatted(self, depth: int, generated: bool) -> str:
        """Return the code of a formatted text."""
        raise NotImplementedError

    def text_atom(self, generated: bool = True) -> str:
        """Return a literal or a name."""
        known = self.readable("text", generated)
        said = [v for v in known if v.generated]
        if said and self.chance(0.45):
            self.use("a generated text in a text")
            return self.read(self.pick(said))
        return self.read(self.pick(known)) if known and self.chance(0.6) else self.constant()

    def _slice(self, depth: int, generated: bool) -> str:
        self.use("slice of a text")
        if self.chance(0.3):
            return f"{self.text(depth, generated)}[:{self.integer(0, generated)}]"
        return self.text(depth, generated) + self.pick(SLICES)

    def _method(self, depth: int, generated: bool) -> str:
        method = f"{self.pick(UNARY_METHODS)}()" if self.chance(0.5) else self.pick(OTHER_METHODS)
        self.use(f"text.{method.partition('(')[0]}")
        return f"{self.text(depth, generated)}.{method}"

    def _plus(self, depth: int, generated: bool) -> str:
        if self.chance(0.4):
            self.use("text * number")
            return f"({self.text(depth, generated)} * {self.pick(('2', '3', f'({self.integer(0, generated)} % 3)'))})"
        self.use("text + text")
        return f"({self.text(depth, generated)} + {self.text(depth, generated)})"

    def _of_value(self, depth: int, generated: bool) -> str:
        self.use("str()")
        draws = (self.integer, self.integer, self.text, self.truth, self.number, self.thing, self.texts)
        return f"{self.pick(('str', 'str', 'str', 'repr'))}({self.pick(draws)(depth, generated)})"

    def _joined(self, depth: int, generated: bool) -> str:
        separator = self.pick(SEPARATORS) if self.chance(0.8) else self.text_atom(generated)
        if self.chance(0.35):
            self.use("join of a display")
            texts = [self.text(depth, generated) for _ in range(self.random.randint(1, 3))]
            return f"{separator}.join([{', '.join(texts)}])"
        if self.chance(0.3):
            self.use("join of a generator expression")
            return f"{separator}.join({self._comprehended(depth, generated)})"
        self.use("join of a list")
        return f"{separator}.join({self.texts(depth, generated)})"

    def _conditional(self, depth: int, generated: bool) -> str:
        self.use("conditional expression")
        return f"({self.text(depth, generated)} if {self.condition(generated)} else {self.text(depth, generated)})"

    def _default(self, depth: int, generated: bool) -> str:
        if self.chance(0.3):
            notes = self.readable("optional", generated)
            if notes:
                self.use("or with None")
                return f'({self.read(self.pick(notes))} or "none")'
        self.use("or between texts")
        return f"({self.decided(lambda g: self.text(depth, g), generated)} or {self.text(depth, generated)})"

    def _looked_up(self, depth: int, generated: bool) -> str:
        keyed = [v for v in self.readable("text", generated) if v.shape in ("key", "word") or v.choices]
        if not keyed or self.chance(0.25):
            self.use("dict.get")
            return f'GLOSSARY.get({self.text(depth, generated)}, "?")'
        value = self.pick(keyed)
        code = self.read(value)
        if value.choices:
            self.use("dict lookup by a select's outcome")
            entries = ", ".join(f"{literal(c)}: {self.text(0, generated)}" for c in value.choices)
            return f"{{{entries}}}[{code}]"
        if value.generated:
            self.use("dict lookup by a generated text")
            return f"GLOSSARY[{code}]" if self.chance(0.5) else f'{{"yes": "Y", "no": {self.text(0)}}}[{code}]'
        self.use("dict lookup by an argument")
        return f"GLOSSARY[{code}]"

    def _parted(self, depth: int, generated: bool) -> str:
        whole = self.text(depth, generated)
        form, use = self.pick(
            [
                ('{}.partition("e")[2]', "text.partition"),
                ('{}.rpartition(" ")[0]', "text.rpartition"),
                ('{}.split("e")[0]', "text.split"),
                ('{}.split(" ", 1)[-1]', "text.split"),
                ('" ".join({}.split())', "text.split"),
                ('"/".join({}.splitlines())', "text.splitlines"),
                ('({}.splitlines() or ["-"])[0]', "text.splitlines"),
            ]
        )
        if " or " in form:
            whole = self.decided(lambda g: self.text(depth, g), generated)
        self.use(use)
        return form.format(whole)

    def _called(self, depth: int, generated: bool) -> str:
        helpers = [h for h in self.helpers if h.kind == "text"]
        if not helpers:
            return self._of_value(depth, generated)
        helper = self.pick(helpers)
        self.use(helper.use)
        return helper.call(generated)

    def _extreme(self, depth: int, generated: bool) -> str:
        self.use("min/max of texts")
        name, key = self.pick(("min", "max")), self.pick(("", ", key=len"))
        return f"{name}({self.text(depth, generated)}, {self.text(depth, generated)}{key})"

    def library(self, depth: int, generated: bool) -> str:
        """Return the code of a text made with the library."""
        raise NotImplementedError

    def thing(self, depth: int = 0, generated: bool = True) -> str:
        """Return something that is to be formatted: of any kind."""
        known = [v for kind in ("thing", "optional", "dict", "record") for v in self.readable(kind, generated)]
        return self.read(self.pick(known)) if known else self.pick(("None", "(1, 2.5)", "[True]", '{"a": 1}'))

    # Numbers

    def integer(self, depth: int = 1, generated: bool = True) -> str:
        """Return the code of a whole number, seldom a negative one."""
        if depth <= 0 or self.chance(0.3):
            known = self.readable("int", generated)
            return self.read(self.pick(known)) if known and self.chance(0.7) else str(self.random.randint(0, 5))
        return self._pick_form(self._integer_forms())(depth - 1, generated)

    def _integer_forms(self) -> list[tuple[int, Callable[[int, bool], str]]]:
        return [
            (3, self._length),
            (3, self._arithmetic),
            (4, self._found),
            (2, self._digits),
            (2, self._summed),
            (3, self._counted_by),
        ]

    def _counted_by(self, depth: int, generated: bool) -> str:
        helpers = [h for h in self.helpers if h.kind == "int"]
        if not helpers:
            return self._length(depth, generated)
        helper = self.pick(helpers)
        self.use(helper.use)
        return helper.call(generated)

    def _length(self, depth: int, generated: bool) -> str:
        self.use("len")
        if self.chance(0.15):
            self.use("set display")
            return f"len({{{self.text(depth, False)}, {self.text(depth, False)}}})"
        draw = self.text if self.chance(0.7) else self.texts
        return f"len({draw(depth, generated)})"

    def _arithmetic(self, depth: int, generated: bool) -> str:
        self.use("arithmetic")
        left, right = self.integer(depth, generated), self.integer(depth, generated)
        operator = self.pick(("+", "-", "*", "//", "%", "**"))
        if operator in ("//", "%"):
            return f"({left} {operator} {self.random.randint(2, 4)})"
        return f"({left} ** 2)" if operator == "**" else f"({left} {operator} {right})"

    def _found(self, depth: int, generated: bool) -> str:
        method = self.pick(('count("e")', 'find("a")', "count(" + self.constant() + ")", 'rfind("l")'))
        self.use(f"text.{method.partition('(')[0]}")
        return f"{self.text(depth, generated)}.{method}"

    def _digits(self, depth: int, generated: bool) -> str:
        known = [v for v in self.readable("text", generated) if v.shape == "digits"]
        if not known:
            return self._length(depth, generated)
        value = self.pick(known)
        self.use("int() of generated digits" if value.generated else "int() of an argument")
        return f"int({self.read(value)})"

    def _summed(self, depth: int, generated: bool) -> str:
        forms: list[tuple[Callable[[], str], str]] = [
            (lambda: f"sum(len(each) for each in {self.texts(depth, False)})", "sum"),
            (lambda: f"sum([{self.integer(depth, generated)}, {self.integer(depth, generated)}])", "sum"),
            (lambda: f"max({self.integer(depth, generated)}, {self.integer(depth, generated)})", "min/max"),
            (lambda: f"min([{self.integer(depth, generated)}, 3])", "min/max"),
            (lambda: f"abs({self.integer(depth, generated)} - 3)", "abs"),
            (lambda: f"round({self.number(0, generated)})", "round"),
        ]
        form, use = self.pick(forms)
        self.use(use)
        return form()

    def number(self, depth: int = 1, generated: bool = True) -> str:
        """Return the code of a number with a fraction."""
        known = self.readable("float", generated)
        atom = self.read(self.pick(known)) if known else self.pick(("0.5", "2.25"))
        if depth <= 0 or self.chance(0.4):
            return atom
        return f"({self.integer(depth - 1, generated)} {self.pick(('+', '*', '-'))} {atom})"

    # Lists

    def texts(self, depth: int = 1, generated: bool = True) -> str:
        """Return the code of a list of texts, whose length no model decides."""
        known = self.readable("texts", generated)
        if known and (depth <= 0 or self.chance(0.5)):
            return self.read(self.pick(known))
        if depth <= 0:
            return f"[{self.text_atom(generated)}, {self.text_atom(generated)}]"
        forms: list[tuple[Callable[[], str], str]] = [
            (lambda: f"[{self._comprehended(depth, generated)}]", "list comprehension"),
            (lambda: f"sorted({self.texts(depth - 1, generated)})", "sorted"),
            (lambda: f"sorted({self.texts(depth - 1, generated)}, key=len)", "sorted by a key"),
            (lambda: f"list(reversed({self.texts(depth - 1, generated)}))", "reversed"),
            (
                lambda: f"[*{self.texts(depth - 1, generated)}, {self.text(0, generated)}]",
                "unpacking into a display",
            ),
            (lambda: f"({self.texts(depth - 1, generated)} + [{self.text(0, generated)}])", "list + list"),
            (lambda: f"{self.texts(depth - 1, generated)}[:2]", "slice of a list"),
            (lambda: f"list(map({self.pick(('str.upper', 'repr'))}, {self.texts(depth - 1, generated)}))", "map"),
            (lambda: f"[{self.text(0, generated)}, *NAMES]", "module constants"),
            (lambda: self._listed_call(generated), "list of a generator helper"),
        ]
        form, use = self.pick(forms)
        self.use(use)
        return form()

    def _listed_call(self, generated: bool) -> str:
        helpers = [h for h in self.helpers if h.kind == "iterator"]
        return f"list({self.pick(helpers).call(generated)})" if helpers else "list(NAMES)"

    def _comprehended(self, depth: int, generated: bool) -> str:
        """Return a comprehension without its brackets, in one of the ways to go through lists."""
        source, met = self.watched(lambda: self.texts(depth - 1, generated))
        each = self.pick(("each", "item", "x"))
        scope = self.scope.inner()
        scope.set(Value(each, "text", generated=met))
        target, iterable = each, source
        form = self.random.randint(0, 4)
        if form == 0:
            self.use("enumerate")
            scope.set(Value("i", "int"))
            target, iterable = f"i, {each}", f"enumerate({source}{self.pick(('', ', 1'))})"
        elif form == 1:
            self.use("zip")
            scope.set(Value("other", "text"))
            target, iterable = f"{each}, other", f"zip({source}, {self.pick(('NAMES', self.texts(0, False)))})"
        elif form == 2:
            self.use("range")
            scope.set(Value(each, "int"))
            iterable = f"range({self.pick(('2', '3', 'LIMIT'))})"
        with self.inside(scope):
            body = self.text(depth, generated)
            filtered = ""
            if self.chance(0.25):
                self.use("comprehension with a filter")
                filtered = f" if {self.condition(False)}"
        return f"{body} for {target} in {iterable}{filtered}"

    # Truth

    def truth(self, depth: int = 1, generated: bool = True) -> str:
        """Return the code of True or False."""
        raise NotImplementedError

    def condition(self, generated: bool = True, depth: int = 1) -> str:
        """Return a condition, on something generated only where the program can afford the decision."""
        return self.decided(lambda g: self.truth(depth, g), generated)

    def decided(self, draw: Callable[[bool], str], generated: bool) -> str:
        """Return an expression whose truth is asked for."""
        allowed = generated and self.can_decide()
        code, met = self.watched(lambda: draw(allowed))
        if met:
            self.decide()
        return code


def parameter_scope(*values: Value) -> Scope:
    """Return the scope of a function that sees its parameters and the module's constants only."""
    return Scope(values=[replace(v) for v in values])

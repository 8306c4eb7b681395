"""The helpers in the modules of random programs: functions, classes, generators, all without a state."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.program_source_conditions import Conditions
from tests.program_source_expressions import parameter_scope
from tests.program_source_writer import Helper, Value, indented, literal


class Helpers(Conditions):
    """Draws helpers; what calls them is put among `helpers`."""

    def helper_lines(self) -> list[str]:
        """Return the definitions of some helpers."""
        recipes: list[Callable[[str], list[str]]] = [
            *(self._plain_function, self._plain_function, self._bullets, self._shout, self._listing, self._numbered),
            *(
                self._grade,
                self._nest,
                self._deck,
                self._item,
                self._counter,
                self._scores,
                self._scores,
                self._parsed,
                self._wrapped,
            ),
        ]
        lines: list[str] = []
        for recipe in self.random.sample(recipes, self.random.randint(1, 3)):
            lines += ["", *recipe(self.fresh("helper"))]
        return lines

    def register(self, kind: str, use: str, written: Callable[[bool], str], ways: int = 1) -> None:
        """Let expressions call a helper, on something generated only if that many decisions can be afforded."""

        def call(generated: bool) -> str:
            allowed = generated and self.can_decide(ways)
            code, met = self.watched(lambda: written(allowed))
            if met:
                self.decide(ways)
            return code

        self.helpers.append(Helper(kind, call, use))

    def _arguments(self, kinds: Sequence[str], generated: bool) -> str:
        draws = {"text": self.text, "int": self.integer, "texts": self.texts}
        return ", ".join(draws[kind](0, generated) for kind in kinds)

    def _plain_function(self, name: str) -> list[str]:
        """A function whose body is drawn, called by position, by name, and without what has a default."""
        scope = parameter_scope(
            Value("text", "text", generated=True), Value("count", "int", generated=True), Value("mark", "text")
        )
        before, self._paths = self._paths, 1
        with self.inside(scope):
            body = []
            if self.chance(0.5):
                body += [f"line = {self.text(2)}"]
                scope.set(Value("line", "text", generated=True))
            if self.chance(0.3):
                body += [f"if {self.condition()}:", f"    return {self.text(1)}"]
            body += [f"return {self.text(2)}"]
        ways, self._paths = self._paths, before

        def written(generated: bool) -> str:
            forms: list[Callable[[], str]] = [
                lambda: self._arguments(("text", "int"), generated),
                lambda: self._arguments(("text",), generated),
                lambda: f"count={self.integer(0, generated)}, text={self.text(0, generated)}",
                lambda: f"{self.text(0, generated)}, mark={self.text(0, False)}",
            ]
            return f"{name}({self.pick(forms)()})"

        self.register("text", "helper with defaults", written, ways)
        default = self.pick(("2", "LIMIT", "len(NAMES)"))
        return [f'def {name}(text, count={default}, mark="+"):', *indented(body)]

    def _bullets(self, name: str) -> list[str]:
        """A keyword-only argument; a join over a generator expression."""
        written = self.pick((f'{name}({{}}, mark="*")', f"{name}({{}})", f"{name}({{}}, mark=STYLE[:1])"))
        self.register("text", "helper with a keyword-only argument", lambda g: written.format(self.texts(1, g)))
        return [f'def {name}(items, *, mark="-"):', r'    return "\n".join(f"{mark} {item}" for item in items)']

    def _shout(self, name: str) -> list[str]:
        """A lambda of the module."""
        self.register("text", "lambda", lambda g: f"{name}({self.text(0, g)})")
        body = self.pick(("text.upper() + end * LIMIT", 'f"{text.strip()}{end}"', "(end + text)[:8]"))
        return [f'{name} = lambda text, end="!": {body}']

    def _listing(self, name: str) -> list[str]:
        """Any number of arguments."""

        def written(generated: bool) -> str:
            forms: list[Callable[[], str]] = [
                lambda: f"{self._arguments(('text', 'int'), generated)}, best={self.text(0, generated)}",
                lambda: f"*{self.texts(0, generated)}, sep=' '",
                lambda: f"**{{'a': {self.text(0, generated)}, 'b': {self.integer(0, generated)}}}",
            ]
            return f"{name}({self.pick(forms)()})"

        self.register("text", "helper with *args and **kwargs", written)
        return [
            f'def {name}(*parts, sep=", ", **named):',
            "    listed = [str(part) for part in parts]",
            '    listed += [f"{key}={value}" for key, value in named.items()]',
            "    return sep.join(listed)",
        ]

    def _numbered(self, name: str) -> list[str]:
        """A generator."""
        self.register("iterator", "generator helper", lambda g: f"{name}({self.texts(0, g)})")
        tail = self.pick(([], ['yield "."'], ['yield from ("x", "y")']))
        return [
            f"def {name}(items, start=1):",
            "    for i, item in enumerate(items, start):",
            '        yield f"{i}. {item}"',
            *indented(tail)[: len(tail)],
        ]

    def _grade(self, name: str) -> list[str]:
        """Early returns."""
        self.register("text", "helper with several returns", lambda g: f"{name}({self.text(0, g)})", ways=3)
        return [
            f"def {name}(text):",
            "    size = len(text)",
            "    if size % 3 == 0:",
            '        return "even-ish"',
            *indented(
                self.pick((["if size > 4:", '    return "long"'], ["elif text < 'm':", "    return text.lower()"]))
            ),
            '    return f"<{size}>"',
        ]

    def _nest(self, name: str) -> list[str]:
        """Recursion."""
        self.register(
            "text", "recursive helper", lambda g: f"{name}({self.text(0, g)}, {self.pick(('1', '2', 'LIMIT'))})"
        )
        opening = literal(self.pick(("(", "[", "好")))
        return [
            f"def {name}(text, depth):",
            f'    return text if depth <= 0 else {opening} + {name}(text, depth - 1) + ")"',
        ]

    def _deck(self, name: str) -> list[str]:
        """A class with attributes that its methods change."""
        kind = name.capitalize()
        self.register("text", "class", lambda g: f"{kind}({self.text(0, g)}).draw().draw().line({self.text(0, g)})")
        return [
            f"class {kind}:",
            "    unit = 'cards'",
            "",
            "    def __init__(self, title, size=LIMIT):",
            "        self.title = title",
            "        self.drawn = []",
            "        self.size = size",
            "",
            "    def draw(self):",
            "        self.drawn.append(NAMES[len(self.drawn) % len(NAMES)])",
            "        self.size -= 1",
            "        return self",
            "",
            "    @property",
            "    def last(self):",
            "        return self.drawn[-1]",
            "",
            "    def line(self, end):",
            '        return f"{self.title}: {self.last} of {len(self.drawn)}, {self.size} {self.unit} {end}"',
        ]

    def _item(self, name: str) -> list[str]:
        """A dataclass."""
        kind = name.capitalize()
        self.register(
            "text",
            "dataclass",
            lambda g: (
                f"{kind}({self.text(0, g)}, count={self.integer(0, g)}){self.pick(('.line()', '.name', '.tags[0]'))}"
            ),
        )
        frozen = self.pick(("@dataclass", "@dataclass(frozen=True)"))
        return [
            frozen,
            f"class {kind}:",
            "    name: str",
            "    count: int = 1",
            '    tags: list = field(default_factory=lambda: ["new"])',
            "",
            "    def line(self):",
            '        return f"{self.name} × {self.count} ({", ".join(self.tags)})"'.replace('", "', "', '"),
        ]

    def _counter(self, name: str) -> list[str]:
        """A closure with a counter of its own."""
        self.register("text", "closure with nonlocal", lambda g: f"{name}({self.text(0, g)})(2)")
        return [
            f"def {name}(label):",
            "    count = 0",
            "",
            "    def step(by=1):",
            "        nonlocal count",
            "        count += by",
            '        return f"{label}{count}"',
            "",
            "    step()",
            "    return step",
        ]

    def _scores(self, name: str) -> list[str]:
        """A pure function for `sglc.call`, with a number as its result."""
        self.register("int", "sglc.call of a pure function", lambda g: f"sglc.call({name}, {self.text(0, g)})")
        return [f"def {name}(text, unit=7):", "    return sum(ord(letter) for letter in text) % unit"]

    def _parsed(self, name: str) -> list[str]:
        """A pure function for `sglc.call`, with a structure as its result."""
        part = self.pick(('["first"]', '["words"][-1]', '.get("missing", "-")', '["first"] * 2'))
        self.register(
            "text", "sglc.call with a structure", lambda g: f"(sglc.call({name}, text={self.text(0, g)}){part})"
        )
        return [
            f"def {name}(text):",
            '    words = text.split() or ["-"]',
            '    return {"first": words[0], "words": words, "count": len(words)}',
        ]

    def _wrapped(self, name: str) -> list[str]:
        """A decorated function."""
        self.register("text", "decorated helper", lambda g: f"{name}({self.text(0, g)})")
        return [
            f"def around_{name}(inner):",
            "    @functools.wraps(inner)",
            "    def outer(text, *rest):",
            '        return f"«{inner(text, *rest)}»"',
            "",
            "    return outer",
            "",
            f"@around_{name}",
            f'def {name}(text, end="~"):',
            "    return text[:5] + end",
        ]

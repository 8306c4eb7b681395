"""Programs inside random programs: called, bound, recursive; and host functions and classes that are handed a state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.program_source_expressions import parameter_scope
from tests.program_source_states import States
from tests.program_source_writer import Value, indented, reading


class Nested(States):
    """Draws nested programs and the statements that use them."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._uses_of_nested: list[Callable[[], list[str]]] = []

    def nested_lines(self) -> list[str]:
        """Return the definitions of some programs and of helpers that take a state."""
        recipes = [self._sub_program, self._sub_program, self._recursive_program, self._asker, self._agent]
        recipes += [self._section, self._section]
        lines: list[str] = []
        for recipe in self.random.sample(recipes, self.random.randint(1, 2)):
            lines += ["", *recipe(self.fresh("step"))]
        return lines

    def nested(self) -> list[str]:
        """Call a nested program, or a helper that takes the state."""
        return self.pick(self._uses_of_nested)() if self._uses_of_nested else []

    def _used(self, generations: int, use: str, draw: Callable[[], list[str]]) -> None:
        def statement() -> list[str]:
            if not self.can_generate(generations):
                return []
            for _ in range(generations):
                self.generate()
            self.use(use)
            return draw()

        self._uses_of_nested.append(statement)

    def _sub_program(self, name: str) -> list[str]:
        """A program that generates once."""
        scope = replace(parameter_scope(Value("topic", "text"), Value("count", "int")), state="s")
        shape = self.pick(("word", "digits", "free"))
        with self.inside(scope):
            lines = [f"s += {self.text(2)} + {self._gen('said', shape)}"]
            scope.set(Value(reading("s", "said"), "text", True, shape, (), "said"))
            lines += self.say() if self.chance(0.4) else []
            returned = self.pick(('s["said"]', "topic", '{"said": s["said"], "topic": topic}', "(count, topic)"))
        self._used(1, "nested program", lambda: self._call_sub(name, shape))
        return ["@sglc.function", f"def {name}(s, topic, count=2):", *indented([*lines, f"return {returned}"])]

    def _call_sub(self, name: str, shape: str) -> list[str]:
        state, inner = self.scope.state, self.fresh("inner")
        topic = self.text(1)
        code, use = self.pick(
            [
                (f"{name}({topic})", "nested program by position"),
                (
                    f"{name}(topic={topic}, count=n)" if self._has("n") else f"{name}(topic={topic})",
                    "nested program by name",
                ),
                (f"{name}({topic}, temperature=0.0, max_new_tokens=2)", "nested program with sampling"),
                (f"{name}.run({topic}, seed=5)", "nested program with sampling"),
                (f"{name}.bind(count=5)({topic})", "bind inside a program"),
            ]
        )
        self.use(use)
        self.scope.set(Value(f'{inner}["said"]', "text", True, shape))
        read = self.pick(
            (f"{inner}.text()[-6:]", f'{inner}["said"]', f"str({inner}.ret_value)", f'{inner}["said"].upper()')
        )
        self.use("ret_value of a nested program" if "ret_value" in read else "text of a nested program")
        return [f"{inner} = {code}", f"{state} += {read}"]

    def _has(self, name: str) -> bool:
        return any(v.code == name for v in self.scope.values)

    def _recursive_program(self, name: str) -> list[str]:
        """A program that calls itself, as deep as it is told."""

        def draw() -> list[str]:
            state = self.scope.state
            return [f"{state} += {name}({self.text(0)}, depth=1).text()"]

        self._used(2, "recursive program", draw)
        return [
            "@sglc.function",
            f"def {name}(s, topic, depth=0):",
            '    s += f"[{topic}:" + sglc.gen("leaf", max_tokens=2)',
            "    if depth > 0:",
            f'        s += {name}(topic + "+", depth - 1)["leaf"]',
            '    s += "]"',
        ]

    def _asker(self, name: str) -> list[str]:
        """A function that asks on the state it is given and returns the answer."""

        def draw() -> list[str]:
            state, variable, local = self.scope.state, self.fresh("v"), self.fresh("got")
            line = f'{local} = {name}({state}, "{variable}", {self.text(0)}{self.pick(("", ", limit=1"))})'
            self.scope.set(Value(reading(state, variable), "text", True, "free", (), variable))
            self.scope.set(Value(local, "text", True, "free"))
            return [line, f"{state} += {local}"]

        self._used(1, "helper that takes a state", draw)
        return [
            f"def {name}(s, name, question, *, limit=3):",
            "    s += question + sglc.gen(name, max_tokens=limit)",
            "    return s[name]",
        ]

    def _agent(self, name: str) -> list[str]:
        """An object that keeps the state."""
        kind = name.capitalize()

        def draw() -> list[str]:
            state, agent = self.scope.state, self.fresh("agent")
            first = f"{state} += {agent}.ask({self.text(0)}) + str({agent}.asked)"
            return [f"{agent} = {kind}({state})", first, f"{agent}.ask({self.text(0)})"]

        self._used(2, "object that keeps a state", draw)
        return [
            f"class {kind}:",
            "    def __init__(self, s):",
            "        self.s = s",
            "        self.asked = 0",
            "",
            "    def ask(self, question):",
            "        self.asked += 1",
            '        self.s += question + sglc.gen(f"turn_{self.asked}", max_tokens=2)',
            '        return self.s[f"turn_{self.asked}"]',
        ]

    def _section(self, name: str) -> list[str]:
        """A context manager around statements, or a generator that appends as it goes."""
        if self.chance(0.5):

            def draw() -> list[str]:
                with self.inside(self.scope.inner()):
                    block = self.say() + self.block(1)
                return [f"with {name}({self.scope.state}, {self.text(0)}):", *indented(block)]

            self._used(0, "context manager that takes a state", draw)
            return [
                "@contextmanager",
                f"def {name}(s, title):",
                '    s += f"<{title}>"',
                "    yield",
                '    s += "</>"',
            ]

        if self.chance(0.3):

            def appended() -> list[str]:
                return [f"{self.scope.state} += {name}({self.text(0)})"]

            self._used(1, "helper that returns an expression", appended)
            return [f"def {name}(question):", '    return question + "\\n" + sglc.gen("reply", max_tokens=2)']

        def answers() -> list[str]:
            state, source = self.scope.state, self.pick(("NAMES[:2]", '["a", "b"]'))
            return [f"for answer in {name}({state}, {source}):", f'    {state} += answer + "."']

        self._used(2, "generator that takes a state", answers)
        return [
            f"def {name}(s, items):",
            "    for item in items:",
            '        s += item + sglc.gen(f"about_{item}", max_tokens=2)',
            '        yield s[f"about_{item}"]',
        ]

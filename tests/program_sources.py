"""Random LLM programs as Python source, drawn from a seed, with rows of arguments."""

from __future__ import annotations

import itertools
import linecache
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from types import CodeType
from typing import Any

from sglc.language.function import SglFunction
from tests.program_source_breaks import MODULE, Breaks
from tests.program_source_expressions import GLOSSARY
from tests.program_source_rows import ANNOTATIONS, PARAMETERS, ROW, Parameter, draw_rows
from tests.program_source_traps import MODULE as TRAPS
from tests.program_source_writer import Scope, Value, indented

PLANTS = (" yes", " no", "7", "12", "END", "\n", "好的", "🎉")
"""What the replay model likes to say beside what a regex wants: stops, digits, several bytes a character."""

HEADER = [
    "import functools, io, itertools, json, re, textwrap",
    "from contextlib import contextmanager, suppress",
    "from dataclasses import dataclass, field",
    "from enum import Enum",
    "from typing import NamedTuple",
    "import sglc",
    "",
    'NAMES = ["Ada", "好", "Bo b"]',
    "LIMIT = 3",
    'STYLE = "terse"',
    f"GLOSSARY = {GLOSSARY!r}",
]

TRAPPED = ("Refusal", "Answer", "Point", "Box", "Crate", "tidied", "summed")

_numbers = itertools.count()


@dataclass(frozen=True)
class ProgramSource:
    """The text of a module with a program called `main`, rows of arguments for it, and how it is to be run.

    `again` says that it runs once more, after the module has changed.
    """

    seed: int
    text: str
    rows: tuple[Any, ...]
    sampling: dict[str, Any] = field(default_factory=dict)
    uses: frozenset[str] = frozenset()
    again: bool = False

    def __str__(self) -> str:
        rows = "".join(f"#   {row!r}\n" for row in self.rows)
        return f"# seed {self.seed}, {self.sampling or 'default sampling'}, rows:\n{rows}{self.text}"


@dataclass(frozen=True)
class Module:
    """A loaded source: its program, and the effects that its rows had."""

    program: SglFunction
    names: dict[str, Any]

    def change(self) -> None:
        """Change what a module's functions read: a program that runs again reads it anew."""
        self.names["LIMIT"] = 2
        self.names["STYLE"] = "verbose"
        self.names["NAMES"].append("Zoe")
        self.names["GLOSSARY"]["yes"] = "agreed"

    def effects(self) -> dict[int, list[Any]]:
        """Return what each row did to the module, in order."""
        done: dict[int, list[Any]] = {}
        for row, what in self.names["EFFECTS"]:
            done.setdefault(row, []).append(what)
        for line in self.names["SINK"].getvalue().splitlines():
            row, _, what = line.partition("\t")
            done.setdefault(int(row), []).append(("printed", what))
        for row, what in self.names["SEEN"].items():
            done.setdefault(row, []).append(("seen", what))
        return done


@contextmanager
def loaded(source: ProgramSource) -> Iterator[tuple[Module, Module]]:
    """Load a source twice, so that what one of them does to its module the other does not see.

    Its lines are where `inspect` and tracebacks look for them, under a name of its own, and nowhere else.
    """
    file = f"<random program {source.seed}, {next(_numbers)}>"
    code = compile(source.text, file, "exec", dont_inherit=True)
    linecache.cache[file] = (len(source.text), None, source.text.splitlines(keepends=True), file)
    try:
        yield _executed(code), _executed(code)
    finally:
        linecache.cache.pop(file, None)


def _executed(code: CodeType) -> Module:
    names: dict[str, Any] = {"__name__": "random_program"}
    exec(code, names)
    return Module(names["main"], names)


def program_source(seed: int) -> ProgramSource:
    """Return the program of a seed."""
    return _Program(seed).source(seed)


class _Program(Breaks):
    """Draws a whole module."""

    def source(self, seed: int) -> ProgramSource:
        """Return the module's text and what it is run with."""
        random = self.random
        drawn = random.sample(PARAMETERS, random.randint(1, 6))
        if self.breaking and self.chance(0.6):
            drawn += [p for p in PARAMETERS if p.name == "items" and p not in drawn]
        parameters = tuple(sorted(drawn, key=_place))
        helpers = self.helper_lines() + self.nested_lines()
        factory = self.chance(0.08)
        body = self._body(parameters, factory)
        if self.effects:
            parameters = (ROW, *parameters)
        extra = self.chance(0.05)
        module = [*HEADER, *(MODULE if self.breaking else MODULE[:3]), *helpers, ""]
        if any(name in "".join(body) for name in TRAPPED):
            module += TRAPS
        annotated = self.chance(0.2)
        program = ["@sglc.function", f"def program({_signature(parameters, annotated, extra)}):", *indented(body)]
        if factory:
            self.use("program made by a function")
            program = ["def make(style):", *indented([*program, "return program"]), "", 'program = make("好 verse")']
        module += [*program, ""]
        bound = [p for p in parameters if p.name in ("n", "word", "items", "flag", "title")]
        if "argument changed in place" in self.uses:  # what is bound is one object for all rows
            bound = [p for p in bound if p.name != "items"]
        varied = self.chance(0.4)
        self.use("rows of several shapes" if varied else "rows of one shape")
        rows = draw_rows(Random(f"rows {seed}"), parameters, varied)
        if bound and self.chance(0.12):
            self.use("bind")
            names = {p.name for p in bound[:2]}
            values = ", ".join(f"{p.name}={p.draw(random)!r}" for p in bound[:2])
            module.append(f"main = program.bind({values})")
            rows = [_without(row, parameters, names) for row in rows]
        else:
            module.append("main = program")
        if extra:
            self.use("**kwargs of the program")
            rows = [{**row, "extra": "more"} if isinstance(row, dict) else row for row in rows]
        sampling: dict[str, Any] = self.pick(
            ({}, {}, {}, {"temperature": 0.0}, {"seed": 7}, {"max_new_tokens": 5, "top_p": 0.9})
        )
        return ProgramSource(
            seed, "\n".join(module) + "\n", tuple(rows), sampling, frozenset(self.uses), self.chance(0.1)
        )

    def _body(self, parameters: tuple[Parameter, ...], factory: bool) -> list[str]:
        scope = Scope("s", [p.value for p in parameters], top=True, log=True)
        if factory:
            scope.values.append(Value("style", "text"))
        for parameter in parameters:
            if parameter.name == "record":
                scope.values += [
                    Value('record["name"]', "text"),
                    Value('record["tags"]', "texts"),
                    Value('record["size"]', "int"),
                ]
        with self.inside(scope):
            lines = self.say() + self._theme() + self.block(self.random.randint(1, 2))
            if self.breaking:
                lines += self.break_capture() + (self.break_capture() if self.chance(0.4) else [])
            lines += self.block(self.random.randint(0, 2))
            if self.can_generate():
                lines += self.ask()[0]
            lines += self._returned()
        return ["log = []", *lines]

    def _theme(self) -> list[str]:
        """Return a statement that would seldom fit behind others."""
        themes = [
            *(self.forked, self.forked, self.forked, self.rounds, self.nested, self.nested, self.several_samples),
            *(self.conversation, self.computed_name, self.match_argument, self.for_argument, self.kept_expression),
            *(
                self.loop_generated,
                self.copied,
                self.match_generated,
                self.trap_for_generated,
                self.trap_for_generated,
                self.on_choice,
                self.if_generated,
            ),
        ]
        before, self.generations = self.generations, max(self.generations, 4)
        lines = self.pick(themes)()
        self.generations = min(2, max(1, before - 1))
        return lines

    def _returned(self) -> list[str]:
        form = self.random.randint(0, 4)
        if form <= 1:
            return ["return log"]
        self.use("structured return value")
        if form == 2:
            return [f'return {{"log": log, "text": {self.text(1)}, "number": {self.integer(1)}}}']
        if form == 3:
            return [f"return tuple(log), {self.text(1)}, {self.truth(1)}"]
        return [f"return [*log, {self.texts(1)}, {self.thing()}]"]

    def block(self, size: int) -> list[str]:
        """Return some statements; an empty block for none."""
        lines: list[str] = []
        for _ in range(size):
            lines += self._statement()
        return lines

    def _statement(self) -> list[str]:
        """Return a statement: of those that fit here, one."""
        if self.scope.depth >= 3:
            return self.say()
        simple = [
            *(
                (self.say, 4),
                (self.assign, 3),
                (self.augment, 2),
                (self.unpack, 2),
                (self.collect, 2),
                (self.tabulate, 2),
            ),
            *((self.closure, 2), (self.local_lambda, 1), (self.convert_argument, 4), (self.answer_again, 3)),
            *((self.select_of_arguments, 2), (self.several_samples, 1), (self.computed_name, 1)),
            *(
                (self._asked, 3),
                (self.end_early, 2),
                (self.nested, 5),
                (self.kept_expression, 1),
                (self.trap, 7),
                (self.trap_for_generated, 4),
            ),
        ]
        nesting = [
            *((self.if_argument, 3), (self.if_generated, 6), (self.on_choice, 6), (self.match_generated, 3)),
            *((self.match_argument, 3), (self.for_argument, 4), (self.loop_generated, 6), (self.while_counting, 2)),
            *((self.message, 4), (self.conversation, 2), (self.scoped, 3), (self.copied, 3), (self.forked, 7)),
            *((self.rounds, 1),),
        ]
        forms = simple if self.scope.depth >= 2 else simple + nesting
        statement = self.random.choices([form for form, _ in forms], [weight for _, weight in forms])[0]
        return statement() or self.say()

    def _asked(self) -> list[str]:
        return self.ask()[0] if self.can_generate() else []


def _place(parameter: Parameter) -> tuple[bool, bool]:
    return parameter.keyword_only, parameter.default is not None


def _signature(parameters: tuple[Parameter, ...], annotated: bool, extra: bool) -> str:
    written = ["s"]
    for parameter in parameters:
        if parameter.keyword_only and "*" not in written:
            written.append("*")
        kind = ANNOTATIONS.get(parameter.value.kind, "object")
        default = f"={parameter.default}" if parameter.default is not None else ""
        written.append(parameter.name + (f": {kind}" if annotated else "") + default)
    return ", ".join(written + ["**options"] * extra)


def _without(row: Any, parameters: tuple[Parameter, ...], names: set[str]) -> Any:
    """Return a row without the arguments that are bound."""
    if isinstance(row, dict):
        return {name: value for name, value in row.items() if name not in names}
    places = [p.name for p in parameters if not p.keyword_only]
    return tuple(value for name, value in zip(places, row, strict=False) if name not in names)

"""Statements in which a tracer that only looks like Python goes wrong: lateness, identity, protocols, keys, aliases."""

from __future__ import annotations

from tests.program_source_nested import Nested
from tests.program_source_writer import Value, indented


class Traps(Nested):
    """Draws such statements, on what a model has said where that needs no eager region."""

    def trap(self) -> list[str]:
        """Return one that always fits, or nearly."""
        forms = [
            *(
                self._late_binding,
                self._lazy,
                self._alias,
                self._by_type,
                self._by_type,
                self._suppressed,
                self._raised,
            ),
            *(
                self._protocols,
                self._cached,
                self._enumeration,
                self._inherited,
                self._call_of_structure,
                self._swapped,
            ),
        ]
        return self.pick(forms)()

    def trap_for_generated(self) -> list[str]:
        """Return one about what a model says, if there is room for it."""
        forms = [
            *(
                self._filtered,
                self._while_said,
                self._walrus_said,
                self._as_argument,
                self._best_branch,
                self._chain_of_ifs,
            ),
            self._looped,
        ]
        return next((lines for form in self.random.sample(forms, len(forms)) if (lines := form())), [])

    def _word(self) -> tuple[list[str], str] | None:
        """Return the code of a generated yes or no, and the statements that make it."""
        said = [v for v in self.readable("text") if v.generated and v.shape == "word"]
        if said and self.chance(0.6):
            return [], self.read(self.pick(said))
        if not self.can_generate():
            return None
        lines, value = self.ask("word")
        return lines, self.read(value)

    # Python's own ways

    def _late_binding(self) -> list[str]:
        self.use("late binding in lambdas")
        name = self.fresh("late")
        bound = self.pick(("lambda: i", "lambda i=i: i"))
        return [f"{name} = [{bound} for i in range(3)]", f"{self.scope.state} += str([each() for each in {name}])"]

    def _lazy(self) -> list[str]:
        self.use("generator expression used later")
        name, state, items = self.fresh("lazy"), self.scope.state, self.fresh("seen")
        return [
            f"{items} = []",
            f"{name} = ({items}.append(each) or each + {self.text(0)} for each in NAMES[:2])",
            f"{state} += str(len({items}))",
            f'{state} += "+".join({name}) + str(len({items}))',
        ]

    def _filtered(self) -> list[str]:
        """A filter that a model decides, item by item."""
        if not self.can_decide(4):
            return []
        word = self._word()
        if word is None:
            return []
        self.decide(4)
        self.use("filter on a generated text")
        form = self.pick(
            (
                '", ".join(w for w in ("e", "n") if w in @)',
                'str([w for w in ["yes", "no"] if w == @])',
                'str({w: len(w) for w in ("yes", "x") if w != @})',
                'str(sum(1 for w in ("s", "o") if @.endswith(w)))',
                'str(list(filter(lambda w: w in @, ["y", "o"])))',
            )
        )
        return [*word[0], f"{self.scope.state} += {form.replace('@', word[1])}"]

    def _alias(self) -> list[str]:
        self.use("two names of one list")
        one, two, state = self.fresh("first"), self.fresh("second"), self.scope.state
        change = self.pick(
            (f"{one}.append({self.text(0)})", f"{one} += [{self.text(0)}]", f"{two}[0] = {self.text(0)}")
        )
        return [f"{one} = {two} = [{self.text(0)}]", change, f'{state} += "|".join({two}) + str({one} is {two})']

    def _by_type(self) -> list[str]:
        things = self.readable("thing", False)
        if not things:
            return []
        self.use("branch on an argument's type")
        thing, state = self.pick(things).code, self.scope.state
        return [
            f"if isinstance({thing}, dict):",
            f'    {state} += "".join(f"{{k}}{{v}}" for k, v in {thing}.items())',
            f"elif isinstance({thing}, (list, tuple)):",
            f'    {state} += ",".join(map(str, {thing})) + {self.text(0)}',
            f"elif isinstance({thing}, bool) or {thing} is None:",
            f"    {state} += repr({thing})",
            f"elif isinstance({thing}, (int, float)):",
            f"    {state} += str({thing} + 1)",
            "else:",
            f"    {state} += str({thing}).upper()",
        ]

    def _suppressed(self) -> list[str]:
        found = [v for v in self.readable("text", False) if v.code in ("digits", "title", "key")]
        if not found:
            return []
        self.use("contextlib.suppress")
        name, state = self.fresh("kept"), self.scope.state
        return [
            f"{name} = {self.text(0, False)}",
            "with suppress(ValueError, KeyError):",
            f"    {name} = {self.pick(('str(int({}) + 1)', 'GLOSSARY[{}]')).format(self.pick(found).code)}",
            f"{state} += {name}",
        ]

    def _raised(self) -> list[str]:
        self.use("exception of the module")
        state = self.scope.state
        caught = self.pick(("Refusal as refusal", "(KeyError, Refusal) as refusal", "Exception as refusal"))
        handled = self.pick((f"{state} += str(refusal)", f"{state} += refusal.why", f"{state} += repr(refusal.args)"))
        lines = ["try:", f"    if {self.condition(False)}:", f"        raise Refusal({self.text(1)})"]
        lines += ["    else:", f"        {state} += {self.text(0)}", f"except {caught}:", f"    {handled}"]
        return lines + (["finally:", f"    {state} += {self.text(0)}"] if self.chance(0.3) else [])

    def _swapped(self) -> list[str]:
        self.use("list changed by index and slice")
        name, state = self.fresh("row_of"), self.scope.state
        changes = [
            f"{name}[0], {name}[-1] = {name}[-1], {name}[0]",
            f"{name}[1:2] = [{self.text(0)}, {self.text(0)}]",
            f"del {name}[0]",
            f"{name}.insert(1, {name}.pop())",
            f"{name}[0] += {self.text(0)}",
            f"{name} = {name}[::-1] + {name}.copy()",
        ]
        texts = ", ".join(self.text(0) for _ in range(3))
        return [f"{name} = [{texts}]", *self.random.sample(changes, 2), f"{state} += str({name})"]

    # Decisions in other places

    def _while_said(self) -> list[str]:
        if not (self.can_generate(3) and self.can_decide(3)) or self._turns > 1:
            return []
        self.use("while on a generated text")
        self.decide(3)
        lines, value = self.ask("word")
        turns, paths = self.fresh("turns"), self._paths
        with self.inside(self.scope.inner(), turns=2):
            self.generate()
            again = f'{self.scope.state} += {self.text(0)} + sglc.gen("{value.variable or "again"}", regex="(yes|no)")'
        self._paths = paths
        said = f'{self.scope.state}["{value.variable or "again"}"]'
        first = [] if value.variable else [f"{said} = {value.code}"]
        return [
            *(*lines, *first, f"{turns} = 0", f'while {said} != "yes" and {turns} < 2:'),
            *indented([f"{turns} += 1", again]),
            f"{self.scope.state} += str({turns})",
        ]

    def _walrus_said(self) -> list[str]:
        word = self._word() if self.can_decide() else None
        if word is None:
            return []
        self.decide()
        self.use("walrus on a generated text")
        name = self.fresh("length")
        lines = [*word[0], f"if ({name} := len({word[1]})) > 2:", *indented(self.say())]
        return [*lines, f"{self.scope.state} += str({name})"]

    def _chain_of_ifs(self) -> list[str]:
        word = self._word() if self.can_decide(3) else None
        if word is None:
            return []
        self.decide(3)
        self.use("conditional expressions in a chain")
        code = word[1]
        form = self.pick(
            (
                f"{self.text(0)} if {code} == 'yes' else {self.text(0)} if {code} == 'maybe' else {self.text(0)}",
                f'("y" if {code}[0] == "y" else "n") * (2 if len({code}) == 2 else 1)',
                f'{code} == "yes" and {self.text(0)} or "none"',
                f'[{self.text(0)}, {self.text(0)}][{code} == "yes"]',
                f'{{True: "t", False: "f"}}[{code} == "no"]',
            )
        )
        return [*word[0], f"{self.scope.state} += {form}"]

    def _looped(self) -> list[str]:
        """Flow that leaves blocks early, past a finally."""
        word = self._word() if self.can_decide(3) else None
        if word is None:
            return []
        self.decide(3)
        self.use("break and continue past a finally")
        state, leave = self.scope.state, self.pick(("break", "continue"))
        return [
            *word[0],
            "for i in range(2):",
            *indented(["try:", f"    if {word[1]} == 'yes' and i == {self.random.randint(0, 1)}:", f"        {leave}"]),
            *indented([f"    {state} += {self.text(0)}", "finally:", f'    {state} += f".{{i}}"']),
        ]

    def _as_argument(self) -> list[str]:
        word = self._word()
        if word is None:
            return []
        self.use("generated text as an argument of a method")
        form = self.pick(
            (
                '"no or yes".replace(@, "*")',
                '"a yes b no c".split(@)[0]',
                'str("yes no".find(@))',
                'str("no yes".split().index(@))',
                'str(["yes", "no", "yes"].count(@))',
                '"-".join(("no", @)).partition(@)[1]',
                'str("yes!".startswith(@))',
                '"x".center(6, @[0])',
                '"yesno".strip(@)',
                'str(max("yes", @, "no", key=len)) + min(@)',
                '"{}{}".format(@, len(@))',
                'str(@ * 2 > "no") + str(@ + "!" == "no!")',
                "str((lambda a, *b, **c: (a, b, c))(*@[:2], k=@))",
            )
        )
        return [*word[0], f"{self.scope.state} += {form.replace('@', word[1])}"]

    def _best_branch(self) -> list[str]:
        if not self.can_generate(2) or not self.can_decide():
            return []
        self.decide()
        self.use("best branch of a fork")
        state, name = self.scope.state, self.fresh("v")
        with self.inside(self.scope.child("each"), turns=2):
            self.generate()
            asked = f'each += {self.text(0)} + sglc.gen("{name}", max_tokens=2)'
        best = self.pick(
            (
                f'max(ways, key=lambda way: len(way["{name}"]))["{name}"]',
                f'sorted(ways, key=lambda way: way["{name}"])[0]["{name}"]',
                f'[way for way in ways if len(way["{name}"]) > 1 or way is ways[0]][0]["{name}"]',
                f'max(range(2), key=lambda i: ways[i]["{name}"].count("e")).__str__()',
            )
        )
        return [f"ways = {state}.fork(2)", "for each in ways:", f"    {asked}", f"{state} += {best}"]

    # Objects

    def _protocols(self) -> list[str]:
        self.use("object with methods of Python's protocols")
        name, state = self.fresh("box"), self.scope.state
        lines = [f"{name} = Box({self.text(1)})"]
        self.scope.set(Value(f"{name}.text", "text", True))
        read = self.pick(
            (
                f'f"{{{name}}}"',
                f"str({name})",
                f'"%s" % {name}',
                f'",".join({name})',
                f"{name}[0] + str(len({name}))",
                f'{name}("!")',
                f"repr({name} == Box({self.text(0)}))",
                f'({name} + "c").text',
                f'"".join(reversed(list({name}))) + str("y" in {name})',
                f'("full" if {name} else "empty")' if self.can_decide(4) else f"str({name})",
            )
        )
        if read.startswith("("):
            self.decide(4)
        return [*lines, f"{state} += {read}"]

    def _cached(self) -> list[str]:
        self.use("cached helper")
        return [f"{self.scope.state} += tidied({self.text(0)}) + tidied({self.text(0)})"]

    def _enumeration(self) -> list[str]:
        word = self._word() if self.breaking else None
        self.use("Enum and NamedTuple")
        state = self.scope.state
        texts = [v for v in self.readable("text", False) if v.shape == "key"]
        code = word[1] if word is not None else '"no"'
        lines = word[0] if word is not None else []
        form = self.pick(
            (f"Answer({code}).name", f"Answer.YES.value + {self.text(0)}", f"str(Answer({code}) is Answer.NO)")
        )
        point = f"Point({self.text(0)}, {self.integer(0)})"
        if texts and self.chance(0.3):
            point = f"Point({texts[0].code}, y=2)._replace(y=3)"
        return [*lines, f"{state} += {form}", f"x, y = {point}", f'{state} += f"{{x}}/{{y}}"']

    def _inherited(self) -> list[str]:
        self.use("inheritance and super()")
        return [f"{self.scope.state} += Crate({self.text(0)}, {self.integer(0)}).label()"]

    def _call_of_structure(self) -> list[str]:
        self.use("sglc.call with structures")
        state = self.scope.state
        form = self.pick(
            (
                f"sglc.call(summed, [{self.text(0)}, {self.text(0)}], limit={{'most': {self.integer(0)}}})",
                f"sglc.call(lambda text: text[::-1], {self.text(0)})",
                f"sglc.call({self.text(0)}.upper)",
                f"sglc.call(str.join, '+', ({self.text(0)}, {self.text(0)}))",
                f"str(sglc.call(dict, a={self.text(0)}))",
                "str(sglc.call(print, end=''))",
                f"sglc.call(functools.partial(summed, [{self.text(0)}]), limit={{}})",
            )
        )
        return [f"{state} += {form}"]


MODULE = [
    "class Refusal(Exception):",
    "    def __init__(self, why):",
    "        super().__init__(why)",
    "        self.why = why",
    "",
    "class Answer(Enum):",
    '    YES = "yes"',
    '    NO = "no"',
    "",
    "class Point(NamedTuple):",
    "    x: str",
    "    y: int = 1",
    "",
    "class Box:",
    "    def __init__(self, text):",
    "        self.text = text",
    "",
    "    def __str__(self):",
    "        return self.text",
    "",
    "    def __len__(self):",
    "        return len(self.text)",
    "",
    "    def __iter__(self):",
    '        yield from (self.text, "end")',
    "",
    "    def __getitem__(self, at):",
    '        return [self.text, "b"][at]',
    "",
    "    def __call__(self, more):",
    "        return self.text + more",
    "",
    "    def __eq__(self, other):",
    "        return isinstance(other, Box) and self.text == other.text",
    "",
    "    def __hash__(self):",
    "        return 1",
    "",
    "    def __add__(self, other):",
    "        return Box(self.text + other)",
    "",
    "    def __contains__(self, part):",
    "        return part in self.text",
    "",
    "class Crate(Box):",
    "    def __init__(self, text, size):",
    "        super().__init__(text)",
    "        self.size = size",
    "",
    "    def label(self):",
    '        return f"{super().__str__()}×{self.size}"',
    "",
    "@functools.lru_cache",
    "def tidied(text):",
    '    return text.strip().replace("a", "4")',
    "",
    "def summed(texts, limit):",
    '    return f"{len(texts)}:{limit}" + texts[0]',
    "",
]
"""What the statements above use."""

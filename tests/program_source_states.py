"""Statements of random programs on states: messages, scopes, copies, forks and joins."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

from tests.program_source_locals import Locals
from tests.program_source_writer import Scope, Value, indented, reading

ROLES = ("system", "user", "assistant")


class States(Locals):
    """Draws statements that open, split and join states."""

    # Messages and scopes

    def message(self) -> list[str]:
        """Append a message, in one of the ways to write it."""
        if self.scope.role:
            return []
        state, role = self.scope.state, self.pick(ROLES)
        form = self.random.randint(0, 3)
        if form == 0:
            self.use("message by a call")
            return [f"{state}.{role}({self.text(1)})"]
        if form == 1:
            self.use("message as an expression")
            return [f"{state} += sglc.{role}({self.text(1)})"]
        block = self._opened(replace(self.scope.inner(), role=True))
        if form == 2:
            self.use("message by begin and end")
            return [f"{state} += sglc.{role}_begin()", *block, f"{state} += sglc.{role}_end()"]
        self.use("message by a with block")
        return [f"with {state}.{role}():", *indented(block)]

    def _opened(self, scope: Scope) -> list[str]:
        """Return a block whose variables stay."""
        outer = self.scope
        with self.inside(scope):
            lines = self.block(self.random.choice((1, 1, 2)))
            known = [v for v in self.scope.values if v.variable]
        for value in known:
            outer.set(value)
        return lines

    def conversation(self) -> list[str]:
        """Append turns of a conversation, one per item, and read the messages."""
        if self.scope.role or not self.can_generate(2):
            return []
        self.use("conversation in a loop")
        state, name = self.scope.state, self.fresh("v")
        self.generate()
        self.generate()
        source = self.pick(["NAMES[:2]", "('好', 'b')", *[f"{v.code}[:2]" for v in self.readable("texts", False)]])
        with self.inside(self.scope.inner(), turns=2) as scope:
            scope.set(Value("item", "text"))
            asked = f"{state}.user({self.text(1)})"
            answered = f'{state}.assistant(sglc.gen("{name}", max_tokens={self._most()}))'
        self.use("s.messages()")
        read = self.pick(
            (
                f'f"{{len({state}.messages())}}"',
                f'"|".join(m["role"] + m["content"][:3] for m in {state}.messages())',
                f'str([m["content"] for m in {state}.messages()][-1:])',
            )
        )
        return [f"for item in {source}:", f"    {asked}", f"    {answered}", f"{state} += {read}"]

    def scoped(self) -> list[str]:
        """Append inside a var_scope and read it behind."""
        self.use("var_scope")
        name, state = self.fresh("scope"), self.scope.state
        block = self._opened(self.scope.inner())
        self.scope.set(Value(reading(state, name), "text", True, "free", (), name))
        return [f'with {state}.var_scope("{name}"):', *indented(block)]

    # Forks

    def copied(self) -> list[str]:
        """Think on a scratch state; what it said is read there, or afterwards as a list of one."""
        if not self.can_generate():
            return []
        self.use("copy()")
        state, scratch = self.scope.state, self.fresh("scratch")
        with self.inside(self.scope.child(scratch)):
            lines, value = self.ask(self.pick(("word", "digits", "free")))
            said = self.fresh("thought")
            lines += [f"{said} = {value.code}", *self.block(1)]
            own: Set[str | None] = {v.variable for v in self.scope.values if v.variable}
        self._forget(own)
        self.scope.set(Value(said, "text", True, value.shape))
        return [f"with {state}.copy() as {scratch}:", *indented(lines), f"{state} += {said}"]

    def _forget(self, names: Set[str | None]) -> None:
        """Let no variable be read that a join may have made a list."""
        self.scope.values = [v for v in self.scope.values if v.variable not in names or v.variable is None]

    def forked(self) -> list[str]:
        """Fork in one of several ways, and join or not."""
        if not self.can_generate(2):
            return []
        forms = (self._forked_alike, self._forked_alike, self._forked_apart, self._forked_over, self._forked_twice)
        return self.pick(forms)()

    def _asked_in_branch(self, branch: str, name: str) -> tuple[list[str], str]:
        self.generate()
        shape = self.pick(("word", "digits", "free", "free"))
        return [f"{branch} += {self.text(1)} + {self._gen(name, shape)}"], shape

    def _forked_alike(self) -> list[str]:
        """Branches that do the same, broadcast and in a loop."""
        state, group, name = self.scope.state, self.fresh("forks"), self.fresh("v")
        count = self.pick((1, 2, 2, 3))
        broadcast, use = self.pick(
            [
                (f"{group} += {self.text(1)}", "broadcast of a text"),
                (f'{group} += lambda i: f"<{{i}}>" + {self.text(0)}', "broadcast of a lambda"),
                (f"{group} += [{', '.join(self.text(0) for _ in range(count))}]", "broadcast of a list"),
                (f'{group} += {self.text(0)} + sglc.gen("{name}_all", max_tokens=1)', "broadcast of a gen"),
            ]
        )
        self.use(use)
        self.use("fork")
        with self.inside(self.scope.child("branch"), turns=count) as scope:
            scope.set(Value("i", "int"))
            lines, shape = self._asked_in_branch("branch", name)
            scope.set(Value(f'branch["{name}"]', "text", True, shape, (), name))
            lines += self.block(1) if self.chance(0.3) else []
            own: Set[str | None] = {v.variable for v in scope.values if v.variable}
        loop = [f"for i, branch in enumerate({group}):", *indented(lines)]
        return [f"{group} = {state}.fork({count})", broadcast, *loop, *self._joined_group(group, name, own)]

    def _joined_group(self, group: str, name: str, own: Set[str | None]) -> list[str]:
        """Join a group that set `name` in every branch; go on with what it said."""
        state = self.scope.state
        form = self.random.randint(0, 5)
        if form == 0:
            self.use("fork never joined")
            return [f'{state} += {group}[-1]["{name}"]']
        if form == 1:
            self.use("join by concatenation")
            return [f'{group}.join("concate_and_append")', *self.say()]
        if form == 2:
            self.use("best of a fork")
            best = self.fresh("best")
            self.scope.set(Value(best, "text", True))
            return [f'{best} = {self.pick(("max", "min"))}([f["{name}"] for f in {group}], key=len)', *self.say()]
        self.use("join by gathering")
        self._forget(own)
        self.scope.set(Value(reading(state, name), "texts", True, "", (), name))
        read = self.pick(
            (
                f'", ".join({state}["{name}"])',
                f'"".join(f"{{i}}:{{v}} " for i, v in enumerate({state}["{name}"]))',
                f'{state}["{name}"][0] + {group}[0]["{name}"]',
                f'str(len({state}["{name}"]))',
            )
        )
        return [f"{group}.join()", f"{state} += {read}"]

    def _forked_apart(self) -> list[str]:
        """Branches that do different things."""
        self.use("fork")
        self.use("branches by index")
        state, group, name = self.scope.state, self.fresh("forks"), self.fresh("v")
        lines = [f"{group} = {state}.fork(2)"]
        left, right = f"{group}[0]", f"{group}[1]"
        if self.chance(0.4):
            self.use("unpacking of a fork")
            left, right = self.fresh("left"), self.fresh("right")
            lines = [f"{left}, {right} = {group} = {state}.fork(2)"]
        own: set[str | None] = set()
        for branch in (left, right):
            with self.inside(self.scope.child(branch)) as scope:
                asked, _ = self._asked_in_branch(branch, name)
                lines += asked + (self.block(1) if self.chance(0.4) else [])
                own |= {v.variable for v in scope.values if v.variable}
        return [*lines, *self._joined_group(group, name, own | {name})]

    def _forked_over(self) -> list[str]:
        """As many branches as an argument has items."""
        lists = self.readable("texts", False)
        if not lists or not self.can_generate(3):
            return []
        self.use("fork over an argument")
        state, group, name, items = self.scope.state, self.fresh("forks"), self.fresh("v"), self.pick(lists).code
        with self.inside(self.scope.child("branch"), turns=3) as scope:
            scope.set(Value("item", "text"))
            lines, _ = self._asked_in_branch("branch", name)
        joined = [f"{group}.join()", f'{state} += ", ".join({state}["{name}"])']
        return [
            f"{group} = {state}.fork(len({items}))",
            f"for branch, item in zip({group}, {items}):",
            *indented(lines),
            f"if {items}:",
            *indented(joined if self.chance(0.7) else [f'{state} += {group}[0]["{name}"]']),
        ]

    def _forked_twice(self) -> list[str]:
        """Branches that fork again."""
        if not self.can_generate(4):
            return []
        self.use("fork of forks")
        state, group, inner, name = self.scope.state, self.fresh("forks"), self.fresh("twigs"), self.fresh("v")
        with self.inside(self.scope.child("twig"), turns=4):
            asked, _ = self._asked_in_branch("twig", name)
        inside = [
            f"branch += {self.text(0)}",
            f"{inner} = branch.fork(2)",
            f'{inner} += lambda i: f"({{i}})"',
            f"for twig in {inner}:",
            *indented(asked),
            self.pick((f"{inner}.join()", f'{inner}.join("concate_and_append")')),
        ]
        after = [f"{group}.join()", f'{state} += str({state}["{name}"])'] if inside[-1].endswith("join()") else []
        after = after or [f'{group}.join("concate_and_append")']
        return [f"{group} = {state}.fork(2)", f"for branch in {group}:", *indented(inside), *after]

    def rounds(self) -> list[str]:
        """Fork and join several times, with one name."""
        if not self.can_generate(4):
            return []
        self.use("rounds of fork and join")
        state, name = self.scope.state, self.fresh("v")
        with self.inside(self.scope.child("branch"), turns=4):
            asked, _ = self._asked_in_branch("branch", name)
        return [
            "for turn in range(2):",
            *indented([f"forks = {state}.fork(2)", "for branch in forks:", *indented(asked), "forks.join()"]),
            *indented([f'{state} += "/".join({state}["{name}"])']),
        ]

"""settle-seams: constant text is token ids before the run, but for what the values around it may change."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, NamedTuple

from sglc.ir.graph import Block, BlockBuilder, Graph, Op, Value, canonical, map_blocks
from sglc.ir.ops import Effect, rows_of
from sglc.ir.releases import with_releases, without_releases
from sglc.ir.types import Type
from sglc.passes.base import Pass, Remarks, Target, Wording
from sglc.passes.continuations import Continuations
from sglc.passes.seams import Seams, seams_of
from sglc.passes.splitters import Unsure

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class SettleSeams(Pass):
    """Cuts constant text where tokens end for certain, and writes down the tokens between the cuts.

        %1 = const {value = "Translate this word: "} : text
        %2 = const {value = "\\nWord:"} : text
        %p = extend %0, %1, %word, %2 : prompt
        %3, %answer = decode %p {site = ":0"} : prompt, text
      =>
        %p = tokens %0 {ids = [1423, 319, 1205, 25], text = "Translate this word:"} : prompt
        %1 = const {value = " "} : text
        %2 = const {value = "\\n"} : text
        %p_1 = extend %p, %1, %word, %2 : prompt
        %p_2 = tokens %p_1 {ids = [1387, 25], text = "Word:"} : prompt
        %3, %answer = decode %p_2 {site = ":0"} : prompt, text

    What is left as text, on both sides of what is not known before, is tokenized at run time as one string. Where
    nothing but a generation follows, the text before it is settled to its end.
    """

    name: ClassVar[str] = "settle-seams"
    level: ClassVar[Literal["program", "plan"]] = "plan"

    def run(self, graph: Graph, target: Target, remarks: Remarks) -> Graph:
        """Return the plan with all constant text in tokens that can be."""
        if target.wording is None:
            return graph
        try:
            seams = seams_of(target.wording.spelling)
        except Unsure as unsure:
            remarks.missed(f"all text is tokenized at run time: found {unsure}")
            return graph
        settling = _Settling(graph, seams, target.wording)
        block = settling.run(without_releases(graph.block))
        if not settling.settled:
            return graph
        remarks.done(
            f"{settling.settled} tokens of constant text are known before the run", None, settling.settled, "tokens"
        )
        return canonical(Graph(graph.name, graph.arguments, with_releases(block), graph.level))


class _Context(NamedTuple):
    """What is known about the end of a prompt.

    It ends with `text`, which begins where a token does (`exact`) or behind something that is not known. With `first`
    there is nothing before it.
    """

    text: str
    exact: bool
    first: bool = False


_START = _Context("", exact=True, first=True)
_UNKNOWN = _Context("", exact=False)
_EXACT = _Context("", exact=True)


class _Cut(NamedTuple):
    """A text in three parts, whose middle is in tokens."""

    head: str
    text: str
    ids: tuple[int, ...]
    tail: str


class _Settling:
    """A plan without releases whose text is settled, operation by operation."""

    def __init__(self, graph: Graph, seams: Seams, wording: Wording) -> None:
        self.settled = 0
        self._seams = seams
        self._wording = wording
        self._rows = rows_of(graph.level)
        self._continuations = Continuations(graph)
        self._contexts: dict[Value, _Context] = {}
        self._replaced: dict[Value, Value] = {}
        self._constants: dict[Value, str] = {}

    def run(self, block: Block) -> Block:
        """Return the block of the plan."""
        root = BlockBuilder()
        todo = [(block, root)]
        while todo:
            ops, builder = todo.pop()
            for op in ops:
                operands = tuple([self._replaced.get(value, value) for value in op.operands])
                now = op if operands == op.operands else replace(op, operands=operands)
                if self._rows[op.name].effect is Effect.END:
                    builder.end(now.name, now.operands, now.attributes, now.location)
                    builder.cases = {case.label: BlockBuilder(builder) for case in op.cases}
                    todo.extend((case.block, builder.cases[case.label]) for case in reversed(op.cases))
                else:
                    self._visit(op, now, builder)
        return _without_unused_texts(root.finish())

    def _visit(self, op: Op, now: Op, builder: BlockBuilder) -> None:
        results: Sequence[Value]
        if now.name == "extend" and self._continuations.is_asked(op.result):
            results = (self._extend(op, now, builder),)
        else:
            results = builder.keep(now)
            if now.name == "const" and isinstance(now.attributes["value"], str):
                self._constants[results[0]] = now.attributes["value"]
            if results and results[0].type is Type.PROMPT:
                self._contexts[results[0]] = self._behind(op, now)
        self._replaced.update(
            (before, after) for before, after in zip(op.results, results, strict=True) if before is not after
        )

    def _behind(self, op: Op, now: Op) -> _Context:
        """Return what is known behind an operation other than an extension."""
        if now.name == "start":
            return _START
        before = self._contexts.get(now.operands[0], _UNKNOWN)
        if now.name == "pin" or (now.name == "rest" and not self._continuations.is_due(op.operands[0])):
            return before
        if now.name == "settle":
            return before if before == _START else _EXACT
        return _EXACT if now.name in ("tokens", "score", "choose") else _UNKNOWN

    def _extend(self, op: Op, now: Op, builder: BlockBuilder) -> Value:
        """Emit what stands for an extension, and return its result."""
        source, *texts = now.operands
        writer = _Writer(builder, op, source)
        context = self._contexts[source]
        added = ""
        for text in texts:
            constant = self._constants.get(text)
            if constant is not None:
                added += constant
                continue
            self._write(writer, context, added, ends=False)
            writer.texts.append(text)
            context, added = _UNKNOWN, ""
        ends = self._continuations.only_generated(op.result)
        context = self._write(writer, context, added, ends)
        if writer.settled:
            self.settled += writer.settled
            result = writer.finish()
        else:
            (result,) = builder.keep(now)
        self._contexts[result] = context
        return result

    def _write(self, writer: _Writer, context: _Context, added: str, ends: bool) -> _Context:
        """Write text behind a prompt of which something is known, and return what is then; `ends`: nothing follows."""
        if not added:
            return context
        cut = self._cut(context, added, ends)
        if cut is None:
            writer.write(added)
            return context._replace(text=context.text + added)
        writer.write(cut.head)
        writer.write_tokens(cut.text, cut.ids)
        writer.write(cut.tail)
        return _Context(cut.tail, exact=True)

    def _cut(self, context: _Context, added: str, ends: bool) -> _Cut | None:
        """Return the text added in three parts; None where none of it is certain."""
        whole = context.text + added
        before = len(context.text)
        if _SURROGATE.search(whole):
            return None  # no tokenizer takes it: the run says so
        places = [place for place in self._seams.boundaries(whole) if place >= before]
        if context.exact and not before:
            places.insert(0, 0)
        if ends:
            places.append(len(whole))
        if len(places) < 2:
            return None
        first, last = places[0], places[-1]
        ids, stops = self._wording.encode_with_ends(whole[first:], at_start=context.first and first == 0)
        count = bisect_right(stops, last - first)
        if not count or stops[count - 1] != last - first:
            return None
        return _Cut(whole[before:first], whole[first:last], tuple(ids[:count]), whole[last:])


class _Writer:
    """Writes the operations that stand for one extension."""

    def __init__(self, builder: BlockBuilder, op: Op, source: Value) -> None:
        self.texts: list[Value] = []
        self.settled = 0
        self._builder = builder
        self._op = op
        self._prompt = source

    def write(self, text: str) -> None:
        """Put constant text behind the prompt."""
        if text:
            self.texts.append(self._builder.const(text, self._op.location))

    def write_tokens(self, text: str, ids: tuple[int, ...]) -> None:
        """Put text behind the prompt that is these tokens."""
        self._flush()
        self._emit("tokens", (self._prompt,), {"ids": ids, "text": text})
        self.settled += len(ids)

    def finish(self) -> Value:
        """Return the prompt."""
        self._flush()
        return self._prompt

    def _flush(self) -> None:
        if self.texts:
            self._emit("extend", (self._prompt, *self.texts), {})
            self.texts.clear()

    def _emit(self, name: str, operands: Sequence[Value], attributes: Mapping[str, object]) -> None:
        hint, location = self._op.result.name, self._op.location
        (self._prompt,) = self._builder.emit(name, operands, (Type.PROMPT,), attributes, hint=hint, location=location)


def _without_unused_texts(block: Block) -> Block:
    """Return a block without the constants that nothing needs any more."""
    used = {value for op in Graph("", (), block).ops() for value in op.operands}
    return map_blocks(block, lambda ops: [op for op in ops if op.name != "const" or op.result in used])

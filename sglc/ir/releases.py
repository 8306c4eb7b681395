"""When the prompts of a plan are not needed any more: a `release` stands behind the last use of each on every path."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from sglc.ir.graph import Block, Case, Op, Value, map_blocks
from sglc.ir.types import Type


def with_releases(block: Block) -> Block:
    """Return a block of a plan that has none with a `release` behind the last use of each prompt on each path."""
    used: dict[int, Collection[Value]] = {}
    _note_used(block, used)
    return _released(block, (), used)


def without_releases(block: Block) -> Block:
    """Return a block of a plan without its `release` operations: what changes prompts writes them anew."""
    return map_blocks(block, lambda ops: [op for op in ops if op.name != "release"])


def _released(block: Block, alive: Iterable[Value], used: Mapping[int, Collection[Value]]) -> Block:
    """Return a block with a `release` behind the last use of each prompt: those made in it, and those `alive` before.

    What only some cases of a branch use is released at the beginning of the others. `used` are the prompts that each
    operation or its cases use, by its identity.
    """
    last = {value: place for place, op in enumerate(block) for value in used[id(op)]}
    ops = [_release(value, block[0]) for value in alive if value not in last]
    kept = {value: None for value in alive if value in last}
    *body, terminator = block
    for place, op in enumerate(body):
        ops.append(op)
        made = [value for value in op.results if value.type is Type.PROMPT]
        kept.update(dict.fromkeys(made))
        for value in (*used[id(op)], *made):
            if last.get(value, place) == place:
                del kept[value]
                ops.append(_release(value, op))
    cases = tuple(Case(case.label, _released(case.block, kept, used)) for case in terminator.cases)
    return (*ops, replace(terminator, cases=cases))


def _note_used(block: Block, used: dict[int, Collection[Value]]) -> None:
    """Note the prompts that the operations of a block use, each with its cases."""
    for op in block:
        prompts = dict.fromkeys(value for value in op.operands if value.type is Type.PROMPT)
        for case in op.cases:
            _note_used(case.block, used)
            prompts.update((value, None) for inner in case.block for value in used[id(inner)])
        used[id(op)] = prompts


def _release(value: Value, behind: Op) -> Op:
    return Op("release", (value,), location=behind.location)

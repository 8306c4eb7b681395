"""place-kv: the scheduler is told which KV a row comes back to, when, and how much is still to come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from sglc.ir.graph import Attribute, Graph, Op, Value, map_ops
from sglc.ir.types import Type
from sglc.passes.base import Pass, Remarks, Target

_REQUESTS = ("decode", "score", "choose")
_BYTES_PER_TOKEN = 3


@dataclass(frozen=True, slots=True)
class PlaceKv(Pass):
    """Says of each request of a row which turn it has, whether its KV is gone on from, and what may follow at most.

    `turn` is its place in the depth-first order of the row's prompts: a branch is finished before the next begins.
    `keep`: a later request goes on from the prompt behind it, on some path, so its KV stays until then. `ahead` is how
    many tokens follow on the longest way from there to the end of the row's last request: texts and generations. It is
    about that many: three bytes of text count as a token, and what is not known counts nothing.

        %p_1, %plan = decode %p {site = ":0", max_new_tokens = 50} : prompt, text
        %p_2 = extend %p_1, %then : prompt
        %p_3, %answer = decode %p_2 {site = ":1", max_new_tokens = 20} : prompt, text
        =>
        %p_1, %plan = decode %p {site = ":0", max_new_tokens = 50, turn = 1, keep = true, ahead = 20} : prompt, text
        %p_2 = extend %p_1, %then : prompt
        %p_3, %answer = decode %p_2 {site = ":1", max_new_tokens = 20, turn = 2} : prompt, text
    """

    name: ClassVar[str] = "place-kv"
    level: ClassVar[Literal["program", "plan"]] = "plan"

    def run(self, graph: Graph, target: Target, remarks: Remarks) -> Graph:
        """Return the plan with its requests placed, if there are several."""
        requests = [op for op in graph.ops() if op.name in _REQUESTS]
        if len(requests) < 2:
            return graph
        ahead = _tokens_ahead(graph, _sizes(graph, target), target)
        placed: dict[Value, Mapping[str, Attribute]] = {}
        for turn, op in enumerate(_depth_first(graph), 1):
            prompt = op.results[0]
            told: dict[str, Attribute] = {"turn": turn}
            if prompt in ahead:
                told["keep"] = True
                if ahead[prompt]:
                    told["ahead"] = ahead[prompt]
                remarks.done("KV stays for what goes on from here", op.location, ahead[prompt], "tokens at most")
            placed[prompt] = told
        if all(_told(op) == placed[op.results[0]] for op in requests):
            return graph

        def place(op: Op) -> Op:
            if op.name not in _REQUESTS:
                return op
            others = {name: value for name, value in op.attributes.items() if name not in _TOLD}
            return replace(op, attributes={**others, **placed[op.results[0]]})

        return Graph(graph.name, graph.arguments, map_ops(graph.block, place), graph.level)


_TOLD = ("turn", "keep", "ahead")


def _told(op: Op) -> Mapping[str, Attribute]:
    return {name: value for name, value in op.attributes.items() if name in _TOLD}


def _goes_on(op: Op) -> bool:
    """Whether an operation makes a prompt of a prompt."""
    made = op.results[:1] and op.results[0].type is Type.PROMPT
    return bool(made) and bool(op.operands) and op.operands[0].type is Type.PROMPT


def _depth_first(graph: Graph) -> list[Op]:
    """Return the requests in the depth-first order of the prompts that they are asked behind."""
    roots: list[Value] = []
    below: dict[Value, list[Op]] = {}
    for op in graph.ops():
        if _goes_on(op):
            below.setdefault(op.operands[0], []).append(op)
        elif op.name == "start":
            roots.append(op.result)
    found: list[Op] = []
    todo = [op for root in reversed(roots) for op in reversed(below.get(root, ()))]
    while todo:
        op = todo.pop()
        if op.name in _REQUESTS:
            found.append(op)
        todo.extend(reversed(below.get(op.results[0], ())))
    return found


def _tokens_ahead(graph: Graph, sizes: Mapping[Value, int], target: Target) -> dict[Value, int]:
    """Return for each prompt that a request is asked behind how many tokens follow on the longest way."""
    ahead: dict[Value, int] = {}
    for op in reversed([*graph.ops()]):
        if not _goes_on(op):
            continue
        behind = ahead.get(op.results[0])
        if op.name in _REQUESTS:
            tokens = _output(op, sizes, target) + (behind or 0)
        elif behind is not None:
            tokens = _written(op, sizes) + behind
        else:
            continue
        ahead[op.operands[0]] = max(tokens, ahead.get(op.operands[0], 0))
    return ahead


def _output(op: Op, sizes: Mapping[Value, int], target: Target) -> int:
    """Return how many tokens a request puts behind its prompt at most."""
    if op.name != "decode":
        return max((sizes.get(choice, 0) for choice in op.operands[1:]), default=0)
    limit = op.attributes.get("max_new_tokens")
    return target.params.max_new_tokens if limit is None else int(limit)


def _written(op: Op, sizes: Mapping[Value, int]) -> int:
    """Return how many tokens of text an operation puts behind a prompt."""
    if op.name == "tokens":
        return len(op.attributes["ids"])
    return sum(sizes.get(text, 0) for text in op.operands[1:])


def _sizes(graph: Graph, target: Target) -> dict[Value, int]:
    """Return about how many tokens texts have, where something is known of them."""
    sizes: dict[Value, int] = {}
    for op in graph.ops():
        if op.name == "const" and op.result.type is Type.TEXT:
            size = len(op.attributes["value"].encode("utf-8", "surrogatepass"))
            sizes[op.result] = -(-size // _BYTES_PER_TOKEN)
        elif op.name in _REQUESTS:
            sizes[op.results[1]] = _output(op, sizes, target)
        elif op.name == "concat":
            sizes[op.result] = sum(sizes.get(text, 0) for text in op.operands)
    return sizes

"""Rules are applied until none fires; what comes out is canonical and legal."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sglc.errors import Location
from sglc.ir import rewriter
from sglc.ir.graph import Block, Case, Graph, Op, Value
from sglc.ir.parser import parse
from sglc.ir.printer import print_graph
from sglc.ir.rewriter import FIRINGS, Match, RewriteError, Rule, rewrite, rule
from sglc.ir.types import Type
from tests.ir.graphs import nested


@rule("merge-appends", "append")
def merge_appends(match: Match) -> tuple[Value, ...] | None:
    """append(append(p, "a"), "b") => append(p, "ab"), where nothing else needs the prompt between them."""
    prompt, text = match.op.operands
    inner, last = match.definition(prompt), match.definition(text)
    if inner is None or inner.name != "append" or match.uses(prompt) > 1:
        return None
    first = match.definition(inner.operands[1])
    if first is None or last is None or {first.name, last.name} != {"const"}:
        return None
    whole = match.const(first.attributes["value"] + last.attributes["value"])
    return match.emit("append", (inner.operands[0], whole), (Type.PROMPT,), hint=match.op.result.name)


@rule("strip-once", "apply")
def strip_once(match: Match) -> tuple[Value, ...] | None:
    """strip(strip(x)) => strip(x)"""
    inner = match.definition(match.op.operands[0])
    calls = [op.attributes.get("fn") for op in (match.op, inner) if op is not None]
    return inner.results if inner is not None and calls == ["str.strip"] * 2 else None


@rule("forget-release", "release")
def forget_release(match: Match) -> tuple[Value, ...] | None:
    """release(p) =>"""
    return ()


@pytest.fixture(autouse=True)
def firings() -> Iterator[None]:
    """Count from zero, and leave the count of others alone."""
    before = FIRINGS.copy()
    FIRINGS.clear()
    yield
    FIRINGS.clear()
    FIRINGS.update(before)


def graph_of(*lines: str, level: str = "graph") -> Graph:
    """Return the graph of these lines."""
    return parse(f"{level} @f(%a: text, %b: bool) {{\n" + "".join(f"  {line}\n" for line in lines) + "}\n")


def lines_of(graph: Graph) -> list[str]:
    """Return the lines of a graph's block."""
    return [line[2:] for line in graph.text.splitlines()[1:-1]]


APPENDS = (
    "%0 = empty : prompt",
    '%1 = const {value = "a"} : text',
    "%p = append %0, %1 : prompt",
    '%2 = const {value = "b"} : text',
    "%p_1 = append %p, %2 : prompt",
    "%p_2 = append %p_1, %1 : prompt",
    "return %p_2",
)


def test_a_rule_is_applied_until_it_no_longer_fires() -> None:
    """What is left over and needed by nothing is another pass's business."""
    graph = rewrite(graph_of(*APPENDS), merge_appends)
    assert lines_of(graph) == [
        "%0 = empty : prompt",
        '%1 = const {value = "a"} : text',
        "%p = append %0, %1 : prompt",
        '%2 = const {value = "b"} : text',
        '%3 = const {value = "ab"} : text',
        "%p_1 = append %0, %3 : prompt",
        '%4 = const {value = "aba"} : text',
        "%p_2 = append %0, %4 : prompt",
        "return %p_2",
    ]
    assert FIRINGS == {"merge-appends": 2}
    assert rewrite(graph, merge_appends) is graph


def test_a_graph_where_nothing_fires_is_the_same_object() -> None:
    """Even one that is not canonical."""
    graph = graph_of("%x_7 = empty : prompt", "%y = empty : prompt", "return %y")
    assert rewrite(graph, merge_appends, strip_once) is graph
    assert rewrite(graph) is graph
    assert not FIRINGS


def test_uses_are_counted_while_rules_fire() -> None:
    """A prompt that something else needs stays; uses by what was replaced are gone."""
    kept = graph_of(*APPENDS[:-2], "%t = text %p : text", "return %p_1 -> %t")
    assert rewrite(kept, merge_appends) is kept

    counts: list[int] = []

    @rule("count", "text")
    def count(match: Match) -> None:
        """text(p) => text(p)"""
        counts.append(match.uses(match.op.operands[0]))

    twice = graph_of("%0 = empty : prompt", "%1 = pin %0 : prompt", "%2 = text %1 : text", "return %1 -> %2")

    @rule("unpin", "pin")
    def unpin(match: Match) -> tuple[Value, ...] | None:
        """pin(p) => p"""
        return match.op.operands

    rewrite(twice, count)
    rewrite(twice, unpin, count)
    assert counts == [2, 2, 2]
    assert lines_of(rewrite(twice, unpin)) == ["%0 = empty : prompt", "%1 = text %0 : text", "return %0 -> %1"]


def test_operations_that_became_equal_are_one() -> None:
    """Value numbering applies to all that is emitted again."""
    graph = graph_of(
        "%0 = empty : prompt",
        '%x = apply %a {fn = "str.strip"} : text',
        '%y = apply %x {fn = "str.strip"} : text',
        "%p = append %0, %x : prompt",
        "%q = append %0, %y : prompt",
        "%t = since %0, %q : text",
        "return %p -> %t",
    )
    assert lines_of(rewrite(graph, strip_once)) == [
        "%0 = empty : prompt",
        '%x = apply %a {fn = "str.strip"} : text',
        "%p = append %0, %x : prompt",
        "%t = since %0, %p : text",
        "return %p -> %t",
    ]


def test_cases_are_rewritten_and_see_what_is_around() -> None:
    """An operation of a case may become one of the block around it."""
    graph = graph_of(
        "%0 = empty : prompt",
        '%x = apply %a {fn = "str.strip"} : text',
        "branch %b {",
        "  case true {",
        '    %y = apply %x {fn = "str.strip"} : text',
        "    return %0 -> %y",
        "  }",
        "  case false {",
        '    %z = apply %x {fn = "str.lower"} : text',
        "    return %0 -> %z",
        "  }",
        "}",
    )
    assert lines_of(rewrite(graph, strip_once)) == [
        "%0 = empty : prompt",
        '%x = apply %a {fn = "str.strip"} : text',
        "branch %b {",
        "  case true {",
        "    return %0 -> %x",
        "  }",
        "  case false {",
        '    %z = apply %x {fn = "str.lower"} : text',
        "    return %0 -> %z",
        "  }",
        "}",
    ]


def test_operations_without_results_can_go() -> None:
    """On plans as on programs."""
    plan = graph_of("%0 = start : prompt", "release %0", 'eager {cause = "x"}', level="plan")
    assert lines_of(rewrite(plan, forget_release)) == ["%0 = start : prompt", 'eager {cause = "x"}']
    assert rewrite(plan, forget_release).level == "plan"


def test_deep_nesting_is_no_matter() -> None:
    """Branches may be nested deeper than Python's functions."""

    @rule("stretch", "append")
    def stretch(match: Match) -> tuple[Value, ...] | None:
        """append(p, "7") => append(p, "seven")"""
        text = match.definition(match.op.operands[1])
        if text is None or text.attributes["value"] != "7":
            return None
        return match.emit("append", (match.op.operands[0], match.const("seven")), (Type.PROMPT,))

    graph = rewrite(nested(500), stretch)
    assert FIRINGS == {"stretch": 1}
    assert "seven" in graph.text


def test_locations_are_kept() -> None:
    """What a rule emits is where the operation was that it stands for."""
    lines = [f'{line} loc("f.py":{number})' for number, line in enumerate(APPENDS)]
    graph = rewrite(graph_of(*lines), merge_appends)
    assert [op.location for op in graph.ops()] == [Location("f.py", line) for line in (0, 1, 2, 3, 4, 4, 5, 5, 6)]
    assert 'append %0, %3 : prompt loc("f.py":4)' in print_graph(graph, locations=True)


def test_rules_that_never_end_are_named() -> None:
    """And only those that still fire."""

    @rule("grow", "concat")
    def grow(match: Match) -> tuple[Value, ...] | None:
        """concat(x) => concat(x, x)"""
        return match.emit("concat", (*match.op.operands, match.op.operands[0]), (Type.TEXT,))

    graph = graph_of(*APPENDS[:-1], "%t = concat %a : text", "return %p_2 -> %t")
    message = "@f: found rules that still fire in sweep 5: grow; wanted them to end"
    with pytest.raises(RewriteError, match=message):
        rewrite(graph, merge_appends, grow, limit=5)


def refused(function_result: object) -> str:
    """Return what is said of a rule that returns this for the `append`."""

    def function(match: Match) -> object:
        """append(p, x) => something else"""
        return function_result

    with pytest.raises(RewriteError) as caught:
        rewrite(graph_of(*APPENDS), Rule("wrong", "append", function))  # type: ignore[arg-type]
    return str(caught.value)


def test_a_rule_returns_values_that_can_stand_for_the_results() -> None:
    """As many, of their types, of this graph."""
    stranger = Value("s", Type.PROMPT)
    wanted = "wanted values of the graph that can stand for Op(append, %p: prompt)"
    assert refused(()) == f"wrong: found []; {wanted}"
    assert refused((stranger,)) == f"wrong: found [%s: prompt]; {wanted}"

    @rule("wrong", "append")
    def text_for_prompt(match: Match) -> tuple[Value, ...] | None:
        """append(p, x) => x"""
        return match.op.operands[1:]

    with pytest.raises(RewriteError, match=r"found .*text.*; wanted values"):
        rewrite(graph_of(*APPENDS), text_for_prompt)


def test_a_rule_that_emits_returns_something() -> None:
    """Else what it emitted would stay for nothing."""

    @rule("litter", "append")
    def litter(match: Match) -> None:
        """append(p, x) => append(p, x)"""
        match.const("new")

    with pytest.raises(RewriteError, match="litter: found operations emitted, but nothing returned"):
        rewrite(graph_of(*APPENDS), litter)


def test_a_rule_says_what_it_does() -> None:
    """Its docstring is the rewrite."""

    def function(match: Match) -> None:
        """Do something."""

    with pytest.raises(ValueError, match="vague: found no rewrite in the docstring; wanted `before => after`"):
        Rule("vague", "append", function)
    assert rewriter.FIRINGS is FIRINGS


@rule("take-case", "branch")
def take_case(match: Match) -> Block | None:
    """branch true { case true { a } … } => a"""
    made = match.definition(match.op.operands[0])
    if made is None or made.name != "const":
        return None
    return next(case.block for case in match.op.cases if case.label == made.attributes["value"])


def test_a_branch_may_become_one_of_its_cases() -> None:
    """All the way down in one sweep; what is in the case is rewritten like anything else."""
    graph = graph_of(
        "%0 = empty : prompt",
        "%1 = const {value = true} : bool",
        "branch %1 {",
        "  case true {",
        '    %x = apply %a {fn = "str.strip"} : text',
        "    branch %1 {",
        "      case false {",
        "        return %0",
        "      }",
        "      case true {",
        '        %y = apply %x {fn = "str.strip"} : text',
        "        return %0 -> %y",
        "      }",
        "    }",
        "  }",
        "}",
    )
    assert lines_of(rewrite(graph, take_case, strip_once)) == [
        "%0 = empty : prompt",
        "%1 = const {value = true} : bool",
        '%x = apply %a {fn = "str.strip"} : text',
        "return %0 -> %x",
    ]
    assert FIRINGS == {"take-case": 2, "strip-once": 1}


def test_an_end_may_become_another() -> None:
    """A branch may keep its cases, which are rewritten then."""

    @rule("turn-round", "branch")
    def turn_round(match: Match) -> Block | None:
        """branch not(x) { true { a } false { b } } => branch x { false { a } true { b } }"""
        made = match.definition(match.op.operands[0])
        if made is None or made.attributes.get("fn") != "not":
            return None
        cases = tuple(Case(not case.label, case.block) for case in match.op.cases)
        return (Op("branch", made.operands, cases=cases),)

    @rule("return-text", "return")
    def return_text(match: Match) -> Block | None:
        """return p -> x => return p -> text(p), where x is an argument"""
        prompt, value = match.op.operands
        if match.definition(value) is not None:
            return None
        return (Op("return", (prompt, *match.emit("text", (prompt,), (Type.TEXT,))), (), match.op.attributes),)

    graph = graph_of(
        "%0 = empty : prompt",
        '%n = apply %b {fn = "not"} : bool',
        "branch %n {",
        "  case true {",
        "    return %0 -> %a",
        "  }",
        "  case false {",
        "    return %0 -> %n",
        "  }",
        "}",
    )
    assert lines_of(rewrite(graph, turn_round, return_text)) == [
        "%0 = empty : prompt",
        '%n = apply %b {fn = "not"} : bool',
        "branch %b {",
        "  case false {",
        "    %1 = text %0 : text",
        "    return %0 -> %1",
        "  }",
        "  case true {",
        "    return %0 -> %n",
        "  }",
        "}",
    ]
    assert FIRINGS == {"turn-round": 1, "return-text": 1}


def test_an_end_stays_an_end() -> None:
    """A rule that puts something else in its place is named."""

    @rule("endless", "return")
    def endless(match: Match) -> Block | None:
        """return p => p"""
        return (Op("text", match.op.operands[:1], (Value("t", Type.TEXT),)),)

    with pytest.raises(RewriteError, match=r"endless: found .*; wanted the block of a case, or one end, for Op"):
        rewrite(graph_of(*APPENDS), endless)


def test_what_rules_found_out_lasts_a_sweep() -> None:
    """So that none has to look twice at what is before it."""
    seen: list[int] = []

    @rule("look", "append")
    def look(match: Match) -> None:
        """append(p, x) => append(p, x)"""
        match.notes[match.op.result] = True
        seen.append(len(match.notes))

    rewrite(graph_of(*APPENDS), look)
    assert seen == [1, 2, 3]

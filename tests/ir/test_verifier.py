"""The verifier refuses what is not legal, and shows where."""

from __future__ import annotations

import time
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from sglc.errors import Location
from sglc.ir import verifier
from sglc.ir.functions import FUNCTIONS
from sglc.ir.graph import BlockBuilder, Case, Graph, Op, Value, make_graph
from sglc.ir.parser import parse, parse_all
from sglc.ir.plan_ops import PLAN_OPS
from sglc.ir.types import Type
from sglc.ir.verifier import VerifyError, verify

GROWING = "wanted numbers from 0 that grow along each path"

CASES = {
    "too few operands": ("%p = append %0 : prompt", "found 1 operands; wanted prompt text"),
    "too many operands": ("%p = rest %0, %a : prompt", "found 2 operands; wanted prompt"),
    "operands where none are": ("%p = empty %0 : prompt", "found 1 operands; wanted none"),
    "no operand before the rest": ("%p = sections : prompt", "found 0 operands; wanted prompt text*"),
    "an operand of a wrong type": ("%p = append %0, %b : prompt", "found %b of type bool as operand 2; wanted text"),
    "one of the rest of a wrong type": ("%x = concat %a, %b : text", "found %b of type bool as operand 2; wanted text"),
    "a prompt as a value": ("%x = list %0 : list", "found %0 of type prompt as operand 1; wanted value"),
    "an argument that is not known to be text": (
        "%p = append %0, %v : prompt",
        "found %v of type value as operand 2; wanted text",
    ),
    "too few results": ('%p = gen %0 {site = ""} : prompt', "found 1 results; wanted prompt value"),
    "a result where none is": ('%p = eager {cause = ""} : prompt', "found 1 results; wanted none"),
    "a result of a wrong type": ("%x = text %0 : prompt", "found %x of type prompt as a result; wanted text"),
    "a prompt for a value": ("%x = list : prompt", "found %x of type prompt as a result; wanted list"),
    "a wider result": ("%x = text %0 : value", "found %x of type value as a result; wanted text"),
    "a missing attribute": ("%p = begin %0 : prompt", "found no attribute role; wanted one"),
    "an attribute of a wrong type": ("%p = begin %0 {role = 1} : prompt", "role: found 1; wanted str"),
    "a truth value for a number": (
        '%x = call {fn = "f", number = true} : value',
        "number: found True; wanted int",
    ),
    "one text for several": (
        '%x = apply %a {fn = "len", keywords = "a"} : int',
        "keywords: found 'a'; wanted a list of str",
    ),
    "a list of other things": (
        '%x = apply %a {fn = "len", keywords = [1]} : int',
        "keywords: found (1,); wanted a list of str",
    ),
    "a default": (
        '%p, %x = gen %0 {site = "", seed = null} : prompt, text',
        "seed: found None, which is the default; wanted it left out",
    ),
    "a default of text": (
        '%p, %x = select %0, %a {site = "", method = "token_length_normalized"} : prompt, text',
        "method: found 'token_length_normalized', which is the default; wanted it left out",
    ),
    "a sampling parameter out of range": (
        '%p, %x = gen %0 {site = "", temperature = -0.5} : prompt, text',
        "temperature: found -0.5; wanted a finite number ≥ 0",
    ),
    "a sampling parameter of a wrong type": (
        '%p, %x = gen %0 {site = "", stop = 5} : prompt, text',
        "'int' object is not iterable",
    ),
    "a bias that is none": (
        '%p, %x = gen %0 {site = "", logit_bias = [[1]]} : prompt, text',
        "logit_bias: found ((1,),); wanted a dict of token id to number",
    ),
    "fewest tokens above the most": (
        '%p, %x = gen %0 {site = "", max_new_tokens = 2, min_new_tokens = 3} : prompt, text',
        "min_new_tokens: found 3; wanted at most max_new_tokens = 2",
    ),
    "two constraints": (
        '%p, %x = gen %0 {site = "", regex = "a", json_schema = "{}"} : prompt, text',
        "found regex and json_schema; wanted one of them",
    ),
    "a grammar and a regex": (
        '%p, %x = gen %0 {site = "", regex = "a", grammar = "start: A"} : prompt, text',
        "found regex and grammar; wanted one of them",
    ),
    "complete without a constraint": (
        '%p, %x = gen %0 {site = "", complete = true} : prompt, text',
        "found complete without a constraint; wanted regex, json_schema or grammar",
    ),
    "a function that is none": (
        '%x = apply %a {fn = "eval"} : value',
        "found the function 'eval'; wanted one of the table in ir/functions.py",
    ),
    "a result that the function does not give": (
        '%x = apply %a {fn = "len"} : text',
        "found a result of type text; wanted int, which len returns",
    ),
    "more keywords than operands": (
        '%x = apply %a {fn = "str.split", keywords = ["a", "b"]} : texts',
        "found 2 keywords; wanted at most 1, one for each operand",
    ),
    "a keyword twice": (
        '%x = call %a, %b {fn = "f", number = 0, keywords = ["k", "k"]} : value',
        "found a keyword twice; wanted each once",
    ),
    "a key without a value": ("%x = dict %a, %b, %v : dict", "found 3 operands; wanted as many values as keys"),
    "a constant of another type": (
        "%x = const {value = 1} : float",
        "found a result of type float; wanted int, as its value is",
    ),
    "generations of a wrong type": (
        '%p, %x = gen %0 {site = ""} : prompt, int',
        "found a second result of type int; wanted text or texts",
    ),
    "several generations in one text": (
        '%p, %x = gen %0 {site = "", n = 2} : prompt, text',
        "found a second result of type text; wanted texts where n = 2",
    ),
    "one generation in several texts": (
        '%p, %x = gen %0 {site = "", n = 1} : prompt, texts',
        "found a second result of type texts; wanted text where n = 1",
    ),
    "a report of an argument": ("%x = meta %a : dict", "found %a; wanted the text of a gen or select itself"),
    "a report of another value": (
        "%x = meta %0_text : dict",
        "found %0_text; wanted the text of a gen or select itself",
    ),
    "thoughts of a choice": (
        "%x = thoughts %chosen : text",
        "found %chosen, which was generated without reasoning; wanted one with it",
    ),
    "thoughts of a plain generation": (
        "%x = thoughts %plain : text",
        "found %plain, which was generated without reasoning; wanted one with it",
    ),
    "thoughts of another type": (
        "%x = thoughts %reasoned : texts",
        "found a result of type texts; wanted text, as %reasoned has",
    ),
    "since a prompt of another line": (
        "%x = since %other, %6 : text",
        "found %6; wanted a prompt that goes on from %other",
    ),
    "since a later prompt": ("%x = since %6, %5 : text", "found %5; wanted a prompt that goes on from %6"),
    "a site twice": (
        '%p, %x = gen %0 {site = ":0"} : prompt, text',
        "found the site ':0' of an earlier gen; wanted each once on a way through the graph",
    ),
    "a call out of order": (
        '%x = call {fn = "f", number = 3} : value',
        f"found the number 3 behind the call of number 3; {GROWING}",
    ),
    "a call of a negative number": (
        '%x = call {fn = "f", number = -1} : value',
        f"found the number -1 behind the call of number 3; {GROWING}",
    ),
}

BEFORE = """graph @f(%a: text, %b: bool, %v: value) {
  %0 = empty : prompt
  %0_text = text %0 : text
  %other = append %0, %a : prompt
  %4, %reasoned = gen %0 {site = ":0", reasoning = "r1"} : prompt, text
  %5, %plain = gen %4 {site = ":1"} : prompt, text
  %6, %chosen = select %5, %a {site = ":0"} : prompt, text
  %7 = call {fn = "f", number = 3} : value
"""
END = "  return %0\n}\n"


def refused(graph: Graph) -> VerifyError:
    """Return what the verifier says of a graph that is not legal."""
    with pytest.raises(VerifyError) as caught:
        verify(graph)
    return caught.value


def unverified(text: str) -> Graph:
    """Return the graph of a text, legal or not."""
    (graph,) = parse_all(text, verified=False)
    return graph


@pytest.mark.parametrize("name", CASES)
def test_an_operation_is_refused(name: str) -> None:
    """The message says what is wrong and marks the operation."""
    line, fault = CASES[name]
    end = "" if line.startswith("%p = eager") else END
    text = f"{BEFORE}  {line}\n{end or '}'}"
    error = refused(unverified(text))
    assert error.fault == fault
    operation = error.op.name if error.op is not None else ""
    first, *shown = error.message.splitlines()
    assert first == f"@f in {operation}: {fault}"
    marked = [shown_line for shown_line in shown if not shown_line.startswith("    ")]
    assert marked == [f">>>   {line}"]


def test_what_stands_before_the_cases_is_legal() -> None:
    """Each case above fails for its own line alone."""
    parse(f"{BEFORE}{END}")


def branch(value: str, *cases: tuple[str, str]) -> str:
    """Return the text of a branch into cases of a label and lines."""
    inner = "".join(f"case {label} {{\n{lines}\n}}\n" for label, lines in cases)
    return f"branch {value} {{\n{inner}}}"


STAY = "return %0"
TEXT = "%t = text %0 : text\n"
GENERATE = '%9, %x = gen %0 {site = ":1"} : prompt, text\n'
CALL = '%9 = call {fn = "f", number = 2} : value\n'
HIDDEN = (
    "found %{}, which is another value of that name, or defined in a case beside this one; "
    "wanted a value from before, in this block or one around it"
)

ENDS = {
    "a branch on a number": (
        "%n = const {value = 1} : int\n" + branch("%n", ("true", STAY)),
        "found %n of type int; wanted bool or text",
    ),
    "a label of another type": (
        branch("%b", ("true", STAY), ('"false"', STAY)),
        "found the labels [True, 'false']; wanted each to be of type bool, as %b is",
    ),
    "a truth value for a text": (
        branch("%a", ("true", STAY)),
        "found the labels [True]; wanted each to be of type text, as %a is",
    ),
    "a label twice": (branch("%a", ('"x"', STAY), ('"x"', STAY)), "found the labels ['x', 'x']; wanted each once"),
    "no cases": (branch("%b"), "found a branch without cases; wanted at least one"),
    "a prompt that is returned": ("return %0 -> %0", "found %0 of type prompt as operand 2; wanted value"),
    "no prompt": ("return %a", "found %a of type text as operand 1; wanted prompt"),
    "a variable twice": ("return %0, x = %a, x = %b", "found the names ['x', 'x']; wanted each once"),
    "a value of a case beside": (
        branch("%b", ("true", TEXT + STAY), ("false", "return %0 -> %t")),
        HIDDEN.format("t"),
    ),
    "a value of a case in a case beside": (
        branch("%b", ("true", branch("%b", ("true", TEXT + STAY))), ("false", "return %0 -> %t")),
        HIDDEN.format("t"),
    ),
    "a site of a block around": (
        branch("%b", ("true", GENERATE + STAY)),
        "found the site ':1' of an earlier gen; wanted each once on a way through the graph",
    ),
    "a call of a number of a block around": (
        branch("%b", ("true", CALL + STAY)),
        f"found the number 2 behind the call of number 3; {GROWING}",
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_an_end_is_refused(name: str) -> None:
    """Faults of what ends blocks, and of what lies in them."""
    end, fault = ENDS[name]
    error = refused(unverified(f"{BEFORE}  {end}\n}}\n"))
    assert error.fault == fault
    assert sum(line.startswith(">>> ") for line in error.message.splitlines()) == 1


def test_cases_beside_each_other_may_share() -> None:
    """Sites, numbers of calls and outer values, but not names."""
    call = '%{0} = call {{fn = "f", number = 4}} : value\n'
    lines = call + '%g{0}, %x{0} = gen %0 {{site = ":9"}} : prompt, text\nreturn %g{0}'
    cases = ("true", lines.format(8)), ("false", lines.format(9))
    parse(f"{BEFORE}  {branch('%b', *cases)}\n}}\n")


PROMPT = Value("p", Type.PROMPT)
EMPTY = Op("empty", (), (PROMPT,))
END_OP = Op("return", (PROMPT,))
JSON_ONLY = "wanted text, numbers, truth values, None and tuples of these"


def test_an_operation_of_another_level_is_refused() -> None:
    """Its line is marked all the same."""
    error = refused(Graph("f", (), (EMPTY, END_OP), "plan"))
    assert error.fault == f"found an operation that a plan does not have; wanted one of {', '.join(PLAN_OPS)}"
    assert error.message.endswith("\n    plan @f() {\n>>>   %p = empty : prompt\n      return %p\n    }\n")
    assert refused(Graph("f", (), (Op("nope"),))).fault.startswith("found an operation that a program does not have")


def ended(operands: tuple[Value, ...], **attributes: Any) -> tuple[Op, ...]:
    """Return a block that returns."""
    return EMPTY, Op("return", operands, (), MappingProxyType(attributes))


def named(name: str) -> tuple[Op, ...]:
    """Return a block with a result of this name."""
    return Op("empty", (), (Value(name, Type.PROMPT),)), END_OP


BAD_NAME = "wanted letters, digits and underscores"
UNDEFINED = "found %p, which is not defined; wanted a value from before, in this block or one around it"


@pytest.mark.parametrize(
    ("block", "fault"),
    [
        ((), "found a block without operations; wanted it to end in return, branch or eager"),
        ((EMPTY,), "found empty at the end of a block; wanted return, branch or eager"),
        ((EMPTY, END_OP, END_OP), "found operations behind return; wanted it at the end of its block"),
        (
            (EMPTY, replace(END_OP, cases=(Case(True, (END_OP,)),))),
            "found cases in return; wanted them in a branch only",
        ),
        ((EMPTY, EMPTY, END_OP), "found %p defined again; wanted each name once in a graph"),
        (named("a-b"), f"found a result named 'a-b'; {BAD_NAME}"),
        (named("é"), f"found a result named 'é'; {BAD_NAME}"),
        (named(""), f"found a result named ''; {BAD_NAME}"),
        (ended((Value("p", Type.PROMPT),)), HIDDEN.format("p")),
        ((END_OP,), UNDEFINED),
        (
            ended((PROMPT,), names=("x",)),
            "found 1 operands; wanted 2: the prompt, what is returned, one for each name",
        ),
        (ended((PROMPT,), names=["x"]), f"names: found list; {JSON_ONLY}"),
        (ended((PROMPT,), name="x"), "found the attribute name; wanted one of names, returns"),
    ],
)
def test_what_no_text_says_is_refused(block: tuple[Op, ...], fault: str) -> None:
    """Faults that only a compiler's mistake makes. The message can be made whatever the graph is."""
    assert refused(Graph("f", (), block)).fault == fault


LONG = 10**5000


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (LONG, "found a whole number of more digits than Python reads; wanted a shorter one"),
        (b"x", f"found bytes; {JSON_ONLY}"),
        ((("x",), {}), f"found dict; {JSON_ONLY}"),
        (((((((((("x",),),),),),),),),), "found tuples more than 8 deep; wanted fewer"),
    ],
    ids=["long", "bytes", "dict", "deep"],
)
def test_an_attribute_that_no_text_says_is_refused(value: Any, fault: str) -> None:
    """Attributes are what JSON can say."""
    attributes = MappingProxyType({"site": "", "stop": value})
    op = Op("gen", (PROMPT,), (Value("q", Type.PROMPT), Value("x", Type.TEXT)), attributes)
    error = refused(Graph("f", (), (EMPTY, op, END_OP)))
    assert error.fault == f"stop: {fault}"
    assert error.message.endswith("(it has no text)\n") is (value is LONG)


@pytest.mark.parametrize(
    ("names", "fault"),
    [
        (("a", "a"), "found the argument %a twice; wanted each name once"),
        (("a b",), "found the argument 'a b'; wanted an identifier"),
    ],
)
def test_arguments_are_refused(names: tuple[str, ...], fault: str) -> None:
    """Nothing is marked: it is no operation's fault."""
    error = refused(Graph("f", tuple(Value(name, Type.TEXT) for name in names), (EMPTY, END_OP)))
    assert error.fault == fault
    assert error.op is None
    assert ">>>" not in error.message


def test_the_error_knows_the_line_of_the_program() -> None:
    """Where the operation has one."""
    op = Op("empty", (), (), location=Location("judge.py", 7))
    assert str(refused(Graph("f", (), (op, END_OP)))).startswith(
        "judge.py:7: @f in empty: found 0 results; wanted prompt\n"
    )


def test_a_value_without_a_definition_is_found_when_a_graph_is_made() -> None:
    """By the verifier, not by a KeyError in front of it."""
    builder = BlockBuilder()
    builder.end("return", (Value("p", Type.PROMPT),))
    with pytest.raises(VerifyError, match="found %p, which is not defined"):
        make_graph("f", (), builder)


@pytest.mark.usefixtures("no_round_trips")
def test_observers_see_what_is_legal() -> None:
    """And nothing else."""
    seen: list[Graph] = []
    verifier.OBSERVERS.append(seen.append)
    try:
        graph = Graph("f", (), (EMPTY, END_OP))
        verify(graph)
        refused(Graph("f", (), (EMPTY,)))
    finally:
        verifier.OBSERVERS.remove(seen.append)
    assert seen == [graph]


def test_every_function_can_be_applied() -> None:
    """The table's types are types of the text form."""
    for function in FUNCTIONS.values():
        applied = f'%1 = apply %a {{fn = "{function.name}"}} : {function.result}'
        parse(f"graph @f(%a: value) {{\n%0 = empty : prompt\n{applied}\nreturn %0 -> %1\n}}\n")


@pytest.mark.usefixtures("no_round_trips")
def test_verifying_is_fast(capsys: pytest.CaptureFixture[str]) -> None:
    """A graph of 1,000 operations takes at most 15 ms, as it is done after every pass."""
    lines = ["graph @f(%a: text) {", "  %p0 = empty : prompt"]
    for i in range(249):
        lines.append(f"  %q{i} = append %p{i}, %a : prompt")
        lines.append(
            f'  %p{i + 1}, %x{i} = gen %q{i} {{site = ":{i}", max_new_tokens = 32, stop = ["a"]}} : prompt, text'
        )
        lines.append(f'  %y{i} = apply %x{i} {{fn = "str.strip"}} : text')
        lines.append(f"  %z{i} = since %p0, %q{i} : text")
    graph = parse("\n".join([*lines, "  return %p249 -> %x0", "}", ""]))
    times = []
    for _ in range(5):
        fresh = Graph(graph.name, graph.arguments, graph.block)
        start = time.process_time()
        verify(fresh)
        times.append(time.process_time() - start)
    operations = sum(1 for _ in graph.ops())
    with capsys.disabled():
        print(f"\nverifying {operations} operations: {min(times) * 1e3:.1f} ms (at most 15)")
    assert min(times) < 0.015

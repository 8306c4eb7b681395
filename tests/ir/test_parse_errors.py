"""What the parser refuses, it refuses with the line, a caret under the place, and what was wanted there."""

from __future__ import annotations

import pytest

from sglc.errors import InputError, Location
from sglc.ir import attribute_text
from sglc.ir.parser import parse, parse_all
from sglc.ir.text_errors import columns, excerpt

HEAD = "graph @f(%a: text, %b: bool) {"
EMPTY = "  %0 = empty : prompt"
RETURN = "  return %0"
OPERATIONS = (
    "empty, append, sections, begin, end, rest, pin, gen, select, const, concat, list, tuple, dict, apply, call, text, "
    "since, messages, meta, thoughts, state, group, branch, return, eager"
)
TYPES = "prompt, text, texts, int, float, bool, none, list, tuple, dict, value"
VALUES = "a string, a number, true, false, null or ["

CASES = {
    "no graph": (
        "hello {\n",
        "x.sglir:1: found 'hello'; wanted graph or plan",
        "hello {",
        "^",
    ),
    "a name without its sign": (
        "graph f() {\n",
        "x.sglir:1: found 'f'; wanted the name of a graph (@name)",
        "graph f() {",
        "      ^",
    ),
    "an argument without a type": (
        "graph @f(%a) {\n",
        "x.sglir:1: found ')'; wanted :",
        "graph @f(%a) {",
        "           ^",
    ),
    "an argument twice": (
        "graph @f(%a: text, %a: int) {\n  return %a\n}\n",
        "x.sglir:1: found %a again, which line 1 defines; wanted a name of its own",
        "graph @f(%a: text, %a: int) {",
        "                   ^",
    ),
    "the text ends": (
        f"{HEAD}\n{EMPTY}\n{RETURN}\n\n",
        "x.sglir:3: found the end of the text; wanted }",
        "  return %0",
        "           ^",
    ),
    "the text ends in a line": (
        f"{HEAD}\n{EMPTY}\n  return",
        "x.sglir:3: found the end of the line; wanted a value (%name)",
        "  return",
        "        ^",
    ),
    "the line ends": (
        f"{HEAD}\n  %0 = empty : prompt,\n{RETURN}\n}}\n",
        "x.sglir:2: found the end of the line; wanted a type",
        "  %0 = empty : prompt,",
        "                      ^",
    ),
    "a character of no token": (
        f"{HEAD}\n{EMPTY}\n  $ %0\n}}\n",
        "x.sglir:3: found '$'; wanted a value (%name), an operation, branch, return or }",
        "  $ %0",
        "  ^",
    ),
    "a hidden character": (
        f"{HEAD}\n{EMPTY}\n  return\u202e %0\n}}\n",
        "x.sglir:3: found '\\u202e'; wanted a value (%name)",
        "  return\\u202e %0",
        "        ^",
    ),
    "two operations in a line": (
        f"{HEAD}\n{EMPTY} return %0\n}}\n",
        "x.sglir:2: found 'return'; wanted a comma, loc(\"file\":line) or the end of the line",
        "  %0 = empty : prompt return %0",
        "                      ^",
    ),
    "an operation that is none": (
        f"{HEAD}\n  %0 = emty : prompt\n{RETURN}\n}}\n",
        f"x.sglir:2: found the operation 'emty'; wanted one of {OPERATIONS}",
        "  %0 = emty : prompt",
        "       ^",
    ),
    "a value that is none": (
        f"{HEAD}\n{EMPTY}\n  %1 = append %0, %x : prompt\n{RETURN}\n}}\n",
        "x.sglir:3: found %x, which nothing before defines; wanted a value defined above",
        "  %1 = append %0, %x : prompt",
        "                  ^",
    ),
    "a value before it is defined": (
        f"{HEAD}\n  %1 = append %0, %a : prompt\n{EMPTY}\n{RETURN}\n}}\n",
        "x.sglir:2: found %0, which nothing before defines; wanted a value defined above",
        "  %1 = append %0, %a : prompt",
        "              ^",
    ),
    "a value defined twice": (
        f"{HEAD}\n{EMPTY}\n{EMPTY}\n{RETURN}\n}}\n",
        "x.sglir:3: found %0 again, which line 2 defines; wanted a name of its own",
        "  %0 = empty : prompt",
        "  ^",
    ),
    "a type that is none": (
        f'{HEAD}\n  %0 = const {{value = "你好"}} : txt\n{RETURN}\n}}\n',
        f"x.sglir:2: found the type 'txt'; wanted one of {TYPES}",
        '  %0 = const {value = "你好"} : txt',
        "                                ^",
    ),
    "too few types": (
        f"{HEAD}\n{EMPTY}\n  %1, %2 = gen %0 {{site = \"\"}} : prompt\n{RETURN}\n}}\n",
        "x.sglir:3: found 1 types; wanted 2, one for each result",
        '  %1, %2 = gen %0 {site = ""} : prompt',
        "                                ^",
    ),
    "too many types": (
        f"{HEAD}\n{EMPTY}\n  pin %0 : prompt\n{RETURN}\n}}\n",
        "x.sglir:3: found 1 types; wanted 0, one for each result",
        "  pin %0 : prompt",
        "           ^",
    ),
    "an attribute that is none": (
        f"{HEAD}\n  %0 = const {{valeu = 1}} : int\n{RETURN}\n}}\n",
        "x.sglir:2: found the attribute 'valeu'; wanted value",
        "  %0 = const {valeu = 1} : int",
        "              ^",
    ),
    "an attribute where none is": (
        f"{HEAD}\n  %0 = empty {{value = 1}} : prompt\n{RETURN}\n}}\n",
        "x.sglir:2: found the attribute 'value'; wanted none",
        "  %0 = empty {value = 1} : prompt",
        "              ^",
    ),
    "an attribute twice": (
        f"{HEAD}\n  %0 = const {{value = 1, value = 2}} : int\n{RETURN}\n}}\n",
        "x.sglir:2: found the attribute 'value' twice; wanted it once",
        "  %0 = const {value = 1, value = 2} : int",
        "                         ^",
    ),
    "no JSON": (
        f"{HEAD}\n  %0 = const {{value = maybe}} : int\n{RETURN}\n}}\n",
        f"x.sglir:2: found 'maybe'; wanted {VALUES}",
        "  %0 = const {value = maybe} : int",
        "                      ^",
    ),
    "a JSON object": (
        f'{HEAD}\n  %0 = const {{value = {{"a": 1}}}} : dict\n{RETURN}\n}}\n',
        f"x.sglir:2: found '{{'; wanted {VALUES}",
        '  %0 = const {value = {"a": 1}} : dict',
        "                      ^",
    ),
    "a wrong number": (
        f"{HEAD}\n  %0 = const {{value = 01}} : int\n{RETURN}\n}}\n",
        "x.sglir:2: found '01', which is not JSON; wanted JSON",
        "  %0 = const {value = 01} : int",
        "                       ^",
    ),
    "a wrong escape": (
        f'{HEAD}\n  %0 = const {{value = "ab\\x"}} : text\n{RETURN}\n}}\n',
        'x.sglir:2: found "ab\\x", which is not JSON; wanted JSON',
        '  %0 = const {value = "ab\\x"} : text',
        "                         ^",
    ),
    "a wrong escape behind one of our own": (
        f'{HEAD}\n  %0 = const {{value = "\\u{{d83d}}\\x"}} : text\n{RETURN}\n}}\n',
        'x.sglir:2: found "\\u{d83d}\\x", which is not JSON; wanted JSON',
        '  %0 = const {value = "\\u{d83d}\\x"} : text',
        "                               ^",
    ),
    "a control in a string": (
        f'{HEAD}\n  %0 = const {{value = "a\tb"}} : text\n{RETURN}\n}}\n',
        'x.sglir:2: found "a\\tb", which is not JSON; wanted JSON',
        '  %0 = const {value = "a\\tb"} : text',
        "                        ^",
    ),
    "a string without an end": (
        f'{HEAD}\n  %0 = const {{value = "ab\\"}} : text\n{RETURN}\n}}\n',
        f"x.sglir:2: found a string that does not end in its line; wanted {VALUES}",
        '  %0 = const {value = "ab\\"} : text',
        "                      ^",
    ),
    "a list without commas": (
        f'{HEAD}\n  %0 = const {{value = ["a" "b"]}} : list\n{RETURN}\n}}\n',
        'x.sglir:2: found "b"; wanted ] or a comma',
        '  %0 = const {value = ["a" "b"]} : list',
        "                           ^",
    ),
    "lists in lists": (
        f"{HEAD}\n  %0 = const {{value = [[[[[[[[[[]]]]]]]]]]}} : list\n{RETURN}\n}}\n",
        "x.sglir:2: found lists more than 8 deep; wanted fewer",
        "  %0 = const {value = [[[[[[[[[[]]]]]]]]]]} : list",
        "                       ^",
    ),
    "too many digits": (
        f"{HEAD}\n  %0 = const {{value = {'9' * 5000}}} : int\n{RETURN}\n}}\n",
        "x.sglir:2: found a number of 5000 digits; wanted a shorter one",
        f"  %0 = const {{value = {'9' * 78}…",
        "                      ^",
    ),
    "no end of a block": (
        f"{HEAD}\n{EMPTY}\n}}\n",
        "x.sglir:3: found the end of a block; wanted return, branch or eager before it",
        "}",
        "^",
    ),
    "no end of a case": (
        f"{HEAD}\n{EMPTY}\n  branch %b {{\n    case true {{\n    }}\n  }}\n}}\n",
        "x.sglir:5: found the end of a block; wanted return, branch or eager before it",
        "    }",
        "    ^",
    ),
    "something behind the end": (
        f"{HEAD}\n{EMPTY}\n{RETURN}\n{RETURN}\n}}\n",
        "x.sglir:4: found 'return'; wanted }",
        "  return %0",
        "  ^",
    ),
    "something behind eager": (
        f"{HEAD}\n  eager {{cause = \"\"}}\n{EMPTY}\n}}\n",
        "x.sglir:3: found '%0'; wanted }",
        "  %0 = empty : prompt",
        "  ^",
    ),
    "the text ends among cases": (
        f"{HEAD}\n{EMPTY}\n  branch %b {{",
        "x.sglir:3: found the end of the text; wanted case or }",
        "  branch %b {",
        "             ^",
    ),
    "the text ends in a block": (
        f"{HEAD}\n{EMPTY}\n  // done?\n",
        "x.sglir:2: found the end of the text; wanted a value (%name), an operation, branch, return or }",
        "  %0 = empty : prompt",
        "                     ^",
    ),
    "a label that is none": (
        f"{HEAD}\n{EMPTY}\n  branch %b {{\n    case 1 {{\n",
        "x.sglir:4: found '1'; wanted a string, true or false",
        "    case 1 {",
        "         ^",
    ),
    "a variable without a value": (
        f"{HEAD}\n{EMPTY}\n  return %0, a b = %a\n}}\n",
        "x.sglir:3: found 'b'; wanted =",
        "  return %0, a b = %a",
        "               ^",
    ),
    "a line that is none": (
        f'{HEAD}\n{EMPTY}\n  return %0 loc("a.py":1e3)\n}}\n',
        "x.sglir:3: found '1e3'; wanted the number of a line",
        '  return %0 loc("a.py":1e3)',
        "                       ^",
    ),
    "what the verifier refuses": (
        f"{HEAD}\n{EMPTY}\n  %1 = append %0, %b : prompt\n{RETURN}\n}}\n",
        "x.sglir:3: append: found %b of type bool as operand 2; wanted text",
        "  %1 = append %0, %b : prompt",
        "       ^",
    ),
    "what the verifier refuses of the whole": (
        "graph @f(%1: text) {\n  eager {cause = \"\"}\n}\n",
        "x.sglir:1: graph: found the argument '1'; wanted an identifier",
        "graph @f(%1: text) {",
        "^",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_an_error_shows_its_place(name: str) -> None:
    """The whole message, to the character."""
    text, message, line, caret = CASES[name]
    with pytest.raises(InputError) as caught:
        parse(text, file="x.sglir")
    first, *shown = str(caught.value).split("\n")
    assert first == message
    assert shown == [f"    {line}", f"    {caret}"]
    assert caught.value.location == Location("x.sglir", int(message.split(":")[1]))


@pytest.mark.parametrize("count", [0, 2])
def test_parse_wants_one_graph(count: int) -> None:
    """A file of several is for `parse_all`."""
    text = 'graph @f() {\n  eager {cause = ""}\n}\n' * count
    with pytest.raises(InputError, match=f"<text>:1: found {count} graphs; wanted one"):
        parse(text)
    assert len(parse_all(text)) == count


def test_the_place_is_found_in_files_of_windows() -> None:
    """A line ends before its carriage return."""
    with pytest.raises(InputError) as caught:
        parse("graph @f() {\r\n  retrun\r\n}\r\n")
    assert "\r" not in str(caught.value)
    assert str(caught.value).endswith("\n      retrun\n      ^")


def test_lists_in_lists_in_lists_are_refused() -> None:
    """Without a RecursionError."""
    deep = "[" * 5000 + "]" * 5000
    with pytest.raises(InputError, match="found lists more than 8 deep"):
        parse(f"{HEAD}\n  %0 = const {{value = {deep}}} : list\n{RETURN}\n}}\n")
    assert attribute_text.attribute_fault(((((((((),),),),),),),)) is None


def test_without_verification_only_the_text_counts() -> None:
    """What can be made a graph is made one, for those who want to see what is wrong with it."""
    text = f"{HEAD}\n{EMPTY}\n  %1 = append %0, %b : prompt\n{RETURN}\n}}\n"
    (graph,) = parse_all(text, verified=False)
    assert graph.text == text


def test_a_long_line_is_shown_in_part() -> None:
    """What is around the place."""
    shown, caret = excerpt("a" * 500 + "!" + "b" * 500, 501).split("\n")
    assert shown == f"    …{'a' * 50}!{'b' * 49}…"
    assert caret == f"    {' ' * 51}^"
    assert excerpt("short", 6) == "    short\n         ^"


def test_columns_are_those_of_a_terminal() -> None:
    """Wide characters take two, combining ones none, hidden ones what their escape takes."""
    assert columns("a好e\u0301🎉") == 1 + 2 + 1 + 2
    assert excerpt("好\t!", 3).split("\n") == ["    好\\t!", "        ^"]

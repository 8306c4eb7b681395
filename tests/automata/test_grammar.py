"""Grammars in lark's syntax: the same language as lark's own parser says, ours where it is regular, located errors."""

from __future__ import annotations

from itertools import product

import pytest
from lark import Lark
from lark.exceptions import LarkError

from sglc.automata.grammar import compile_grammar
from sglc.errors import ProgramError, SglcError, Unsupported

ARITHMETIC = """
?start: sum
?sum: product | sum "+" product -> add
?product: atom | product "*" atom
?atom: NUMBER | "(" sum ")"
%import common.INT -> NUMBER
"""
REGULAR = {
    'start: "a" b*\nb: "b" | "c"~2..3': "abc",
    'start: "a" start | "b"': "ab",  # right recursion
    'start: start "a" | "b" | start "b" "a"': "ab",  # left recursion
    'start: a\na: "a" b | \nb: "b" a | "c"': "abc",  # rules that refer to each other
    'start: A B? "c"\nA: /a+/\nB: /[ab]/': "abc",  # terminals with texts in common
    'start: "a" ["b"] ("c" | )': "abc",
    'start: sep{X, "b"}\nsep{x, y}: x (y x)*\nX: "a" | "c"': "abc",
    'start: "a" "B"i "c"?': "aBbc",
    'start: "a" -> one\n | "b"..."c"'.replace("...", ".."): "abc",
    'start: "a"+ "b"\n%ignore "c"': "abc",
    'start: "a" start | "b" dead | "c"\ndead: "a" dead': "abc",
}
STACK = {
    'start: "a" start "b" | "c"': "abc",
    'start: "a" start start | "b"': "ab",
    'start: x\nx: "a" x "b" | y\ny: "c"*': "abc",
    'start: A start "a" | "b"\nA: /a+/': "ab",  # the end of A is open
    'start: "a" start "b" | "b"\n%ignore "c"': "abc",
    'start: "a" start "b" | dead | "c"\ndead: "a" dead': "abc",
}


def texts(alphabet: str, longest: int = 5) -> list[str]:
    return ["".join(letters) for length in range(longest + 1) for letters in product(alphabet, repeat=length)]


def lark_accepts(grammar: str, alphabet: str) -> set[str]:
    parser = Lark(grammar, parser="earley", lexer="dynamic_complete")
    accepted = set()
    for text in texts(alphabet):
        try:
            parser.parse(text)
        except LarkError:
            continue
        accepted.add(text)
    return accepted


@pytest.mark.parametrize("grammar", [*REGULAR, *STACK])
def test_a_grammar_accepts_what_lark_parses(grammar: str) -> None:
    alphabet = (REGULAR | STACK)[grammar]
    language = compile_grammar(grammar)
    assert language.is_table == (grammar in REGULAR)
    wanted = lark_accepts(grammar, alphabet)
    assert wanted
    assert {text for text in texts(alphabet) if language.accepts(text)} == wanted
    begun = {text[:end] for text in wanted for end in range(len(text) + 1)}
    for text in texts(alphabet, 2):  # short enough that a member of those above goes on with it
        longest = max(end for end in range(len(text) + 1) if text[:end] in begun)
        assert language.viable(text) == longest, text


@pytest.mark.parametrize(("text", "member"), [("1+2*(3+4)", True), ("(1", False), ("12", True), ("1+", False)])
def test_arithmetic_needs_a_stack(text: str, member: bool) -> None:
    language = compile_grammar(ARITHMETIC)
    assert not language.is_table
    assert language.accepts(text) == member


def test_strings_and_numbers_of_the_common_terminals() -> None:
    language = compile_grammar("start: ESCAPED_STRING | SIGNED_NUMBER\n%import common (ESCAPED_STRING, SIGNED_NUMBER)")
    assert language.is_table
    for text, member in {'"a\\"b"': True, '"a"b"': False, "-1.5e3": True, "1.": True, '"é日"': True}.items():
        assert language.accepts(text) == member


@pytest.mark.parametrize(
    ("grammar", "message"),
    [
        ('start: "a"\n  | nowhere', "grammar, line 2, column 5: found the undefined rule 'nowhere'"),
        ("start: A", "grammar, line 1, column 8: found the undefined terminal A"),
        ('begin: "a"', "found no rule 'start'"),
        ("", "found no rule 'start'"),
        ('start: "a" )', "grammar, line 1, column 12: found '\\)'; wanted the syntax of lark"),
        ('start: "a" (', "grammar, line 1, column 13: found the end"),
        ('start "a"', "grammar, line 1, column 7"),
        ('start: "a" start', "found a language without any text"),
        ("start: /[a/", "grammar, line 1, column 8: regex"),
        ("A: A\nstart: A", "found the terminal A inside itself"),
        ('A: b\nb: "b"\nstart: A', "found the rule 'b' in a terminal"),
        ('start: "a"\nstart: "b"', "grammar, line 2, column 1: found the rule 'start' defined twice"),
        ('start: "a"~3..2', "found 3 to 2 times"),
        ("start: x\nx{y}: y", "found 0 arguments of 'x'; wanted 1"),
        ("start: A\n%import common.NOPE -> A", "grammar, line 2, column 16: found common.NOPE"),
    ],
)
def test_a_faulty_grammar_is_an_error_with_its_place(grammar: str, message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        compile_grammar(grammar)


@pytest.mark.parametrize(
    "grammar",
    [
        'start: /".*?"/',
        "%declare A\nstart: A",
        "%import python.NAME\nstart: NAME",
        'start: x{"a"}\nx{y}: x{z{y}}\nz{y}: y y',
        r'start: /a\b/ start "b" | "c"',
    ],
)
def test_what_is_not_read_is_refused(grammar: str) -> None:
    with pytest.raises(Unsupported):
        compile_grammar(grammar)


def test_rules_that_double_are_bounded() -> None:
    rules = "\n".join(f"r{i}: r{i + 1} r{i + 1}" for i in range(40))
    assert not compile_grammar(f'start: r0\n{rules}\nr40: "a"').is_table
    terminals = "\n".join(f"R{i}: R{i + 1} R{i + 1}" for i in range(40)).replace("R", "R_")
    with pytest.raises(SglcError):
        compile_grammar(f'start: R_0\n{terminals}\nR_40: "a"')


def test_deep_and_large_grammars_take_bounded_time() -> None:
    assert compile_grammar("start: " + "(" * 1000 + '"a"' + ")" * 1000).accepts("a")
    assert compile_grammar("start: " + " ".join(f'"{i}"?' for i in range(30))).accepts("01229")
    with pytest.raises(Unsupported):
        compile_grammar('start: "a"' * 20_000)

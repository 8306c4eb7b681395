"""The languages of `dtype=`: what models write for a number, a truth value and a JSON string."""

from __future__ import annotations

import pytest

from sglc.automata.automaton import compile_regex
from sglc.automata.languages import dtype_pattern


@pytest.mark.parametrize(
    ("dtype", "members", "others"),
    [
        (int, ["-12", "+0", "7 \n"], ["", "1.0", " 1"]),
        ("float", ["1", "-1.5", ".5 ", "3\n"], ["1.", "1e5", "."]),
        (bool, ["True", "False"], ["true", "True "]),
        ("str", ['""', r'"a\n\u00e9"', '"日本"'], ['"', '"a', '"\n"', r'"\x"']),
    ],
)
def test_dtypes(dtype: type | str, members: list[str], others: list[str]) -> None:
    automaton = compile_regex(dtype_pattern(dtype))
    assert [text for text in members + others if automaton.accepts(text)] == members


@pytest.mark.parametrize("dtype", [list, "list", None, 3])
def test_another_dtype_is_refused(dtype: object) -> None:
    with pytest.raises(ValueError, match="wanted int, float, str or bool"):
        dtype_pattern(dtype)  # type: ignore[arg-type]

"""Case 13: Python functions applied to generated values, their results appended."""

import json
import re

import sglc
from tests.cases.models import Models


@sglc.function
def calculate(s, task):
    s += f"{task}\nExpression: " + sglc.gen("expression", regex=r"[1-9][0-9]? [+*-] [1-9][0-9]?") + "\n"
    left, operator, right = s["expression"].split()
    value = {"+": int.__add__, "*": int.__mul__, "-": int.__sub__}[operator](int(left), int(right))
    s += f"Result: {value}\nSo" + sglc.gen("so", max_tokens=3)
    return value


@sglc.function
def evaluate(s, task):
    s += f"{task}\n>>> " + sglc.gen("code", regex=r"\([1-9], [1-9]\)") + "\n"
    s += repr(sum(eval(s["code"]))) + "\n"


@sglc.function
def search(s, task):
    s += f"{task}\nAnswer: " + sglc.gen("answer", regex=r"It is [0-9]{2,3} metres\.") + "\n"
    s["metres"] = int(re.search(r"[0-9]+", s["answer"])[0])
    s += f"In centimetres: {s['metres'] * 100}"


@sglc.function
def parse(s, task):
    s += f"{task}\nAs JSON: " + sglc.gen("record", regex=r'\{"age": [1-9][0-9], "member": (true|false)\}') + "\n"
    record = json.loads(s["record"])
    s += f"In ten years: {record['age'] + 10}, member: {record['member']}"
    return record


TASKS = [("How many apples?",), ("How far?",), ("How much?",)]


def test_a_calculator(models: Models) -> None:
    """Calculator."""
    for state in models.run(calculate, TASKS):
        assert f"Result: {eval(state['expression'])}\nSo{state['so']}" in state.text()
        assert state.ret_value == eval(state["expression"])


def test_eval(models: Models) -> None:
    """Eval."""
    for state in models.run(evaluate, TASKS):
        a, b = map(int, re.findall("[1-9]", state["code"]))
        assert state.text().endswith(f">>> ({a}, {b})\n{a + b}\n")


def test_a_regex_search(models: Models) -> None:
    """Regex."""
    for state in models.run(search, TASKS):
        assert state["answer"] == f"It is {state['metres']:02} metres."
        assert state.text().endswith(f"In centimetres: {state['metres']}00" if state["metres"] else "centimetres: 0")


def test_json_loads(models: Models) -> None:
    """json.loads."""
    for state in models.run(parse, TASKS):
        record = state.ret_value
        assert json.dumps(record) == state["record"]
        assert state.text().endswith(f"In ten years: {record['age'] + 10}, member: {record['member']}")


SIGNS = {"+": int.__add__, "*": int.__mul__, "-": int.__sub__}


def calculated(expression: str) -> int:
    """Return the value of a sum of two numbers."""
    left, sign, right = expression.split()
    return SIGNS[sign](int(left), int(right))


@sglc.function
def with_calls(s, task):
    s += f"{task}\nExpression: " + sglc.gen("expression", regex=r"[1-9][0-9]? [+*-] [1-9][0-9]?") + "\n"
    value = sglc.call(calculated, s["expression"])
    s += f"Result: {value}\nAs code: " + sglc.gen("code", regex=r"\([1-9], [1-9]\)")
    s += f"\n{sglc.call(eval, s['code'])[0]:>3}"
    return value


def test_calls(models: Models) -> None:
    """The same as marked host code: nothing of it is left to the eager interpreter."""
    assert with_calls.trace().tier == "captured"
    for state in models.run(with_calls, TASKS):
        assert state.ret_value == eval(state["expression"])
        assert state.text().endswith(f"{state['code']}\n{state['code'][1]:>3}")

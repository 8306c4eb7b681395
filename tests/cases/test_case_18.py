"""Case 18: forks of forks, as tree of thought writes them."""

import sglc
from tests.cases.models import Models

WIDTH = 2


def propose(s, problem):
    s += sglc.user("Make a plan for: " + problem)
    plans = s.fork(WIDTH)
    plans += sglc.assistant(sglc.gen("plan", max_tokens=3))
    return plans


def execute(plan):
    plan += sglc.user("Carry it out.")
    answers = plan.fork(WIDTH)
    answers += sglc.assistant(sglc.gen("answer", max_tokens=3))
    return answers


def judge(answer):
    answer += sglc.user("How good is that?")
    scores = answer.fork(WIDTH)
    scores += sglc.assistant(sglc.gen("score", regex="[1-5]"))
    return scores


@sglc.function
def tree(s, problem):
    groups = [propose(s, problem)]
    answers = []
    for plan in groups[0]:
        groups.append(execute(plan))
        answers.extend(groups[-1])
    groups += [judge(answer) for answer in answers]
    for group in reversed(groups):
        group.join()


@sglc.function
def leaves(s, problem):
    texts = []
    for plan in propose(s, problem):
        for answer in execute(plan):
            texts += [score.text() for score in judge(answer)]
    return texts


def test_three_levels_have_their_own_paths(models: Models) -> None:
    """Fork of forks 3-4 levels (ToT)."""
    texts = models.run_one(leaves, {"temperature": 3.0}, problem="a bridge").ret_value
    plans = [text.split("Carry it out")[0] for text in texts]
    answers = [text.split("How good is that")[0] for text in texts]
    assert len(texts) == WIDTH**3
    assert plans == [plan for plan in dict.fromkeys(plans) for _ in range(WIDTH**2)]
    assert answers == [answer for answer in dict.fromkeys(answers) for _ in range(WIDTH)]
    assert (len(set(plans)), len(set(answers))) == (WIDTH, WIDTH**2)


def test_four_levels(models: Models) -> None:
    """Four levels, and a prefix of each path that is computed once."""

    @sglc.function
    def deep(s):
        s += "Root:"
        level = [s]
        for depth in range(4):
            level = [child for state in level for child in state.fork(2)]
            for i, child in enumerate(level):
                child += f" {depth}.{i}"
        for child in level:
            child += sglc.gen("leaf", max_tokens=1)
        return [child.text() for child in level]

    models.start_cold()
    texts = deep.run().ret_value
    assert len(texts) == 16
    for i, text in enumerate(texts):
        assert text.startswith(f"Root: 0.{i // 8} 1.{i // 4} 2.{i // 2} 3.{i}")
    state = models.run_one(deep)
    assert state.ret_value == texts


def test_helper_functions_take_and_return_states(models: Models) -> None:
    """Helper functions taking and returning states/groups."""

    def ask(state, question):
        state += question + sglc.gen("reply", max_tokens=3)
        return state

    def split(state):
        return state.fork(2)

    @sglc.function
    def helped(s):
        s = ask(s, "One:")
        group = split(s)
        for branch in group:
            ask(branch, "\nTwo:")
        return [branch["reply"] for branch in group], [branch.text() for branch in group]

    state = models.run_one(helped)
    replies, texts = state.ret_value
    assert texts == [f"{state.text()}\nTwo:{reply}" for reply in replies]


def test_joins_in_reverse_order_nest_their_lists(models: Models) -> None:
    """Nested joins in reverse order."""
    state = models.run_one(tree, problem="a bridge")
    assert [len(state["plan"]), len(state["answer"]), len(state["score"])] == [WIDTH] * 3
    assert [len(answers) for answers in state["answer"]] == [WIDTH] * WIDTH
    assert [[len(scores) for scores in answers] for answers in state["score"]] == [[WIDTH] * WIDTH] * WIDTH
    assert all(score in "12345" for answers in state["score"] for scores in answers for score in scores)


def test_a_program_returns_a_list(models: Models) -> None:
    """Returning Python lists from the program."""

    @sglc.function
    def several(s):
        forks = s.fork(3)
        forks += lambda i: f"Number {i}:" + sglc.gen("n", max_tokens=2)
        return [fork["n"] for fork in forks] + [len(forks)]

    state = models.run_one(several)
    assert isinstance(state.ret_value, list)
    assert state.ret_value[3] == 3

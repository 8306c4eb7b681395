"""Case 21: a scratch copy of a state."""

import sglc
from tests.cases.models import Models


@sglc.function
def with_scratch(s, scratch):
    s += "The plan: "
    if scratch:
        with s.copy() as c:
            c += "(privately: " + sglc.gen("private", max_tokens=4) + ")"
            thought = c["private"]
    s += sglc.gen("public", max_tokens=4, temperature=0)
    return thought if scratch else None


def test_the_text_of_a_copy_does_not_leak(models: Models) -> None:
    """copy() scratch state whose text must not leak, neither into the text nor into what is generated next."""
    private, plain = models.run(with_scratch, [(True,), (False,)])
    assert private.text() == plain.text() == "The plan: " + plain["public"]
    assert private.get_meta_info("public")["prompt_tokens"] == plain.get_meta_info("public")["prompt_tokens"]


def test_the_variables_of_a_copy_come_back(models: Models) -> None:
    """What a copy sets is there afterwards, as the list of one that a join gives."""
    (state,) = models.run(with_scratch, [(True,)])
    assert state["private"] == [state.ret_value]

"""Programs that return their states: readable as after an eager run."""

import sglc
from sglc.language.group import ProgramStateGroup
from tests.cases.models import Models, outcome


@sglc.function
def drafts(s, topic):
    s += f"{topic}:" + sglc.gen("title", max_tokens=2)
    forks = s.fork(2)
    forks += [" one" + sglc.gen("draft", max_tokens=3), " two" + sglc.gen("draft", max_tokens=3)]
    forks[1]["note"] = "second"
    with s.user():
        s += "Thanks."
    return {"forks": forks, "last": [forks[1], s["title"]], "whole": s}


def test_a_fork_is_returned_as_its_branches(models_of_chat: Models) -> None:
    """Texts, variables, meta info and messages of each."""
    models = models_of_chat
    assert drafts.trace().tier == "captured"
    compiled = drafts.run(topic="Rain", backend=models.engine).ret_value
    eager = drafts.run(topic="Rain", backend=models.reference, eager=True).ret_value
    assert isinstance(compiled["forks"], ProgramStateGroup)
    for mine, theirs in zip(compiled["forks"], eager["forks"], strict=True):
        assert outcome(mine) == outcome(theirs)
        assert mine.get_meta_info("draft")["completion_tokens"] == theirs.get_meta_info("draft")["completion_tokens"]
        assert list(mine.text_iter("draft")) == list(theirs.text_iter("draft"))
    assert compiled["last"][0].variables() == eager["last"][0].variables()
    assert compiled["last"][1] == eager["last"][1]
    assert compiled["whole"].messages() == eager["whole"].messages() == [{"role": "user", "content": "Thanks."}]

"""Case 19: forks whose number of branches depends on data."""

import sglc
from tests.cases.models import Models


def test_as_many_branches_as_arguments(models: Models) -> None:
    """Fork with N data-dependent: `len(arg)`."""

    @sglc.function
    def expand(s, points):
        s += "An essay.\n"
        forks = s.fork(len(points))
        forks += [f"{point}:" + sglc.gen("detail", max_tokens=3) for point in points]
        forks.join()
        s += " ".join(s["detail"]) if points else "Nothing to say."

    lists = [["rain"], ["sun", "moon", "stars"], []]
    one, three, none = models.run(expand, [(points,) for points in lists])
    assert len(one["detail"]) == 1
    assert three.text() == "An essay.\n" + " ".join(three["detail"])
    assert none.text() == "An essay.\nNothing to say."
    assert "detail" not in none


def test_as_many_branches_as_generated_lines(models: Models) -> None:
    """Number of lines of a generated list."""

    @sglc.function
    def outline(s, topic):
        s += f"Points about {topic}:\n" + sglc.gen("outline", regex="([a-e]\n){1,4}")
        lines = s["outline"].splitlines()
        forks = s.fork(len(lines))
        forks += [f"More on {line}:" + sglc.gen("more", max_tokens=2) for line in lines]
        forks.join()
        s += "\n".join(s["more"])

    topics = ["tea", "law", "ice", "sand", "wool", "glass"]
    states = models.run(outline, [(topic,) for topic in topics])
    counts = [state["outline"].count("\n") for state in states]
    assert len(set(counts)) > 1
    for count, state in zip(counts, states, strict=True):
        assert len(state["more"]) == count
        assert state.text().endswith(state["outline"] + "\n".join(state["more"]))

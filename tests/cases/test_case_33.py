"""Case 33: images and videos, which are refused where the program has them."""

import pytest

import sglc
from sglc.language.function import SglFunction
from tests.cases.models import Models, line_marked


def expect_refusal(models: Models, program: SglFunction, missing: str) -> None:
    """Check that a program fails with Unsupported that names what is missing, at the line marked `here`."""
    with pytest.raises(sglc.Unsupported, match=missing) as caught:
        program.run()
    assert str(caught.value).startswith(f"{line_marked(program, 'here')}: found ")
    (state,) = models.run(program, [{}], failing=True)
    assert isinstance(state.error, sglc.Unsupported)


def test_an_image(models: Models) -> None:
    """Image placeholder."""

    @sglc.function
    def look(s):
        s += "What is this? "
        s += sglc.image("cat.png") + sglc.gen("x", max_tokens=2)  # here

    expect_refusal(models, look, r"image\('cat.png'\); sglc has no image processor yet")


def test_a_video(models: Models) -> None:
    """Video placeholder."""

    @sglc.function
    def watch(s):
        s += sglc.user(sglc.video("cat.mp4", num_frames=4))  # here

    expect_refusal(models, watch, r"video\('cat.mp4'\); sglc has no video processor yet")


def test_two_images(models: Models) -> None:
    """Two images: the first is refused."""

    @sglc.function
    def compare(s):
        s += "Left: " + sglc.image("left.png") + ", right: " + sglc.image("right.png")  # here

    expect_refusal(models, compare, "left.png")


def test_an_image_in_a_fork(models: Models) -> None:
    """Image in a fork; a program may catch the refusal, and its other branches go on."""

    @sglc.function
    def branches(s):
        forks = s.fork(2)
        forks[0] += "Text:" + sglc.gen("x", max_tokens=2)
        forks[1] += sglc.image("cat.png")  # here

    @sglc.function
    def careful(s):
        forks = s.fork(2)
        forks[0] += "Text:" + sglc.gen("x", max_tokens=2)
        try:
            forks[1] += sglc.image("cat.png")
        except sglc.Unsupported:
            forks[1] += "(no picture)"
        return [fork.text() for fork in forks]

    expect_refusal(models, branches, "image processor")
    text, replaced = models.run_one(careful).ret_value
    assert text.startswith("Text:")
    assert replaced == "(no picture)"

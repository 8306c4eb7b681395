"""The page of a graph needs nothing else, and drawing, text and source lead to each other in a browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from sglc.errors import Location
from sglc.ir.graph import Case, Graph, Op, Value
from sglc.ir.layout import layout
from sglc.ir.page import Tab, to_page
from sglc.ir.sketch import sketch
from sglc.ir.types import Type
from tests.ir import sample_graphs
from tests.ir.sample_graphs import judge, linear, react
from tests.ir.test_draw import nasty, wholly_eager

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --enable-logging=stderr --virtual-time-budget=3000"
)


class Elements(HTMLParser):
    """All elements of a page, each as its name and attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def of(self, *classes: str) -> list[dict[str, str]]:
        """Return the attributes of the elements that have all of these classes."""
        return [attrs for _, attrs in self.found if {*classes} <= {*attrs.get("class", "").split()}]


def places(attributes: dict[str, str]) -> set[int]:
    """Return the operations that an element shows."""
    return {int(place) for place in attributes["data-ops"].split()}


def test_it_needs_nothing_from_elsewhere() -> None:
    page = to_page([Tab("judge", judge())], title="judge.py")
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|<link|@import|src=|url\((?!#)", page)
    assert "prefers-color-scheme: dark" in page
    assert "{{" not in page


def test_every_operation_is_on_both_sides() -> None:
    graph = react()
    elements = Elements(to_page([Tab("agent", graph)], title="t"))
    every = set(range(len(list(graph.ops()))))
    assert set().union(*map(places, elements.of("box"))) == every
    assert [places(line) for line in elements.of("op")] == [{place} for place in sorted(every)]
    assert len(elements.of("box")) == len(sketch(graph).boxes)
    assert len(elements.of("frame")) == 6
    assert all(box["tabindex"] == "0" and box["aria-label"] for box in elements.of("box"))


def test_counts_are_of_tokens_where_something_counts_them() -> None:
    tab = Tab("qa", linear())
    characters = to_page([tab], title="t")
    assert "27 characters of fixed text" in characters and '<span class="count">+24 ch</span>' in characters
    tokens = to_page([tab], title="t", count=lambda text: len(text.split()))
    assert "6 tokens of fixed text" in tokens and '<span class="count">+5 tok</span>' in tokens
    assert '<span class="count">≤ 32 tok</span>' in tokens


def test_the_head_says_what_was_taken_for_granted_and_what_is_eager() -> None:
    page = to_page([Tab("agent", react(), "partly eager", ("len(%docs) == 3 < 4",))], title="t")
    assert "@travel_agent" in page and "(question: text)" in page
    assert '<span class="tier partly-eager">partly eager</span>' in page
    assert "<code>len(%docs) == 3 &lt; 4</code>" in page
    assert "sample.py:17: the loop goes on while a generated text says so" in page
    assert "bound it: for turn in range(8)" in page


def test_regions_of_one_cause_are_named_once() -> None:
    end = Op("eager", attributes={"cause": "a cause", "mend": ""}, location=Location("p.py", 4))
    test = Value("b", Type.BOOL)
    cases = tuple(Case(label, (replace(end),)) for label in (True, False))
    branching = Graph("g", (test,), (Op("branch", (test,), cases=cases),))
    page = to_page([Tab("g", branching)], title="t")
    assert '<button class="jump" data-ops="1 2">p.py:4: a cause</button> <span class="times">in 2 cases</span>' in page


@pytest.mark.parametrize("graph", [nasty(), wholly_eager()], ids=["nasty", "eager"])
def test_odd_graphs_have_a_page(graph: Graph) -> None:
    page = to_page([Tab(graph.name, graph, "eager")], title="<title> & more")
    page.encode()
    assert len(Elements(page).of("box")) == len(sketch(graph).boxes)
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert data is not None and len(json.loads(data[1])[0]) == len(list(graph.ops()))


@pytest.mark.parametrize("make", [linear, judge, react, nasty, lambda: judge(7)])
def test_boxes_do_not_overlap(make: object) -> None:
    drawn = sketch(make())  # type: ignore[operator]
    plan = layout(drawn, lambda box: (80.0 + box.place % 7 * 20, 30.0 + 10 * len(box.lines)), lambda box, line: 5.0)
    boxes = list(plan.boxes.values())
    for i, a in enumerate(boxes):
        assert a.x >= 0 and a.right <= plan.width and a.y >= 0 and a.bottom <= plan.height
        for b in boxes[:i]:
            assert a.right <= b.x or b.right <= a.x or a.bottom <= b.y or b.bottom <= a.y
    for number, frame in plan.frames.items():
        for place in drawn.regions[number].boxes:
            box = plan.boxes[place]
            assert frame.x <= box.x and box.right <= frame.right and frame.y <= box.y and box.bottom <= frame.bottom
    assert plan.paths.keys() == set(drawn.arrows)


def test_prompts_go_down() -> None:
    drawn = sketch(judge())
    plan = layout(drawn, lambda box: (100.0, 40.0), lambda box, line: 5.0)
    for arrow in drawn.arrows:
        assert plan.boxes[arrow.source].bottom < plan.boxes[arrow.target].y
    trunk = [place for place in drawn.regions[0].boxes if drawn.boxes[place].kind in ("start", "select", "return")]
    assert len({plan.boxes[place].middle for place in trunk}) == 1
    forks = [plan.boxes[place] for place, box in drawn.boxes.items() if box.kind == "gen"]
    assert len({fork.y for fork in forks}) == 1 and len({fork.x for fork in forks}) == 3


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of two tabs whose source is there."""
    folder = tmp_path_factory.mktemp("page")
    source = folder / "sample.py"
    source.write_text("".join(f"line {number}\n" for number in range(1, 30)), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample_graphs, "FILE", str(source))
        tabs = [Tab("qa", linear(), "captured"), Tab("agent", react(), "partly eager")]
    file = folder / "page.html"
    file.write_text(to_page(tabs, title="sample.py"), encoding="utf-8")
    return file


def test_the_source_leads_to_its_operations(page: Path) -> None:
    elements = Elements(page.read_text(encoding="utf-8"))
    lines = [attrs for _, attrs in elements.found if attrs.get("data-at", "").endswith("sample.py:13")]
    ops = list(react().ops())
    assert {ops[place].location.line for place in places(lines[-1])} == {13}  # type: ignore[union-attr]
    assert len(places(lines[-1])) == sum(op.location is not None and op.location.line == 13 for op in ops)


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
@pytest.mark.parametrize(("place", "tab", "chosen"), [("", 0, None), ("#t0-o6", 0, 6), ("#t1-o23", 1, 23)])
def test_a_browser_shows_it(page: Path, tmp_path: Path, place: str, tab: int, chosen: int | None) -> None:
    command = [str(CHROMIUM), *FLAGS.split(), f"--user-data-dir={tmp_path}", "--dump-dom", page.as_uri() + place]
    said = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "CONSOLE" not in said.stderr
    elements = Elements(said.stdout)
    panels = elements.of("panel")
    assert ["hidden" in panel for panel in panels] == [number != tab for number in range(2)]
    assert len(elements.of("box")) == sum(len(sketch(graph).boxes) for graph in (linear(), react()))
    marked = [places(each) for each in elements.of("chosen")]
    if chosen is None:
        assert marked == []
        return
    assert all(chosen in each for each in marked)
    kinds = [len(elements.of("box", "chosen")), len(elements.of("line", "chosen")), len(elements.of("op", "chosen"))]
    assert kinds == [1, 1, 2]  # in the text and in the source
    assert len(elements.of("arrow", "lit")) >= 1
    detail = re.findall(r'<div class="detail" aria-live="polite">(.*?)</div>', said.stdout, re.S)[tab]
    op = list((linear() if tab == 0 else react()).ops())[chosen]
    assert f"<b>{op.name}</b>" in detail and f"<code>line {op.location.line}</code>" in detail  # type: ignore[union-attr]

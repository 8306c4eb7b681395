"""Where the boxes of a drawing stand: prompts go straight down, forks beside them, cases of branches in frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter

from sglc.ir.sketch import Arrow, Box, Sketch

GAP_X = 30.0
GAP_Y = 30.0
PAD = 16.0
LABEL = 22.0
"""Room between columns, between rows, inside a frame, and for a frame's label, in pixels."""


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A place on the page, in pixels; y grows downward."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        """The x of the middle."""
        return self.x + self.width / 2

    @property
    def right(self) -> float:
        """The x of the right side."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """The y of the lower side."""
        return self.y + self.height


@dataclass(frozen=True, slots=True)
class Layout:
    """Boxes by place, a frame for each region but the first, a path of SVG for each arrow, and the size of it all."""

    width: float
    height: float
    boxes: Mapping[int, Rectangle]
    frames: Mapping[int, Rectangle]
    paths: Mapping[Arrow, str]


def layout(
    drawn: Sketch, size_of: Callable[[Box], tuple[float, float]], line_of: Callable[[Box, int], float]
) -> Layout:
    """Return where everything stands. `size_of` is a box's width and height, `line_of` the y of a line in its box."""
    at = {place: number for number, region in enumerate(drawn.regions) for place in region.boxes}
    plots = [_Plot(list(region.boxes)) for region in drawn.regions]
    for number, region in enumerate(drawn.regions):
        if region.parent is not None:
            plots[region.parent].inner.append(number)
    for arrow in drawn.arrows:
        if at[arrow.source] == at[arrow.target]:
            plots[at[arrow.source]].arrows.append(arrow)
    sizes = {place: size_of(box) for place, box in drawn.boxes.items()}
    for plot in reversed(plots):  # the inner ones are behind those around them
        plot.arrange(sizes, plots)

    boxes: dict[int, Rectangle] = {}
    frames: dict[int, Rectangle] = {}
    floors: dict[int, float] = {}
    plots[0].origin = (PAD, PAD)
    for plot in plots:
        x, y = plot.origin
        for place, (box_x, box_y) in plot.places.items():
            boxes[place] = Rectangle(x + box_x, y + box_y, *sizes[place])
            floors[place] = y + plot.floors[place]
        for number, (frame_x, frame_y) in zip(plot.inner, plot.frames, strict=True):
            inner = plots[number]
            frames[number] = Rectangle(x + frame_x, y + frame_y, inner.width + 2 * PAD, inner.height + LABEL + PAD)
            inner.origin = (x + frame_x + PAD, y + frame_y + LABEL)
    straight = {arrow for plot in plots for arrow in plot.trunks}
    paths = {
        arrow: _prompt_path(boxes, floors, arrow, at[arrow.source] != at[arrow.target] or arrow in straight)
        if arrow.is_prompt
        else _value_path(boxes[arrow.source], boxes[arrow.target], line_of(drawn.boxes[arrow.target], arrow.line))
        for arrow in drawn.arrows
    }
    return Layout(plots[0].width + 2 * PAD, plots[0].height + 2 * PAD, boxes, frames, paths)


@dataclass(slots=True)
class _Plot:
    """The boxes of one region on a grid of rows and columns, then in pixels from its own corner."""

    boxes: list[int]
    arrows: list[Arrow] = field(default_factory=list)
    inner: list[int] = field(default_factory=list)  # regions of the cases that its last box branches into
    trunks: set[Arrow] = field(default_factory=set)  # arrows to a box from the one it stands below
    places: dict[int, tuple[float, float]] = field(default_factory=dict)
    floors: dict[int, float] = field(default_factory=dict)  # where the row of a box ends
    frames: list[tuple[float, float]] = field(default_factory=list)
    width: float = 0.0
    height: float = 0.0
    trunk: float = 0.0  # the x of the middle of its first column
    origin: tuple[float, float] = (0.0, 0.0)

    def arrange(self, sizes: Mapping[int, tuple[float, float]], plots: Sequence[_Plot]) -> None:
        """Set everything but the origin; the inner regions are arranged already."""
        rows = self._rows()
        columns = self._columns(rows)
        widths = [max(sizes[p][0] for p in self.boxes if columns[p] == c) for c in range(max(columns.values()) + 1)]
        lefts = [sum(widths[:c]) + GAP_X * c for c in range(len(widths))]
        top = 0.0
        for row in range(max(rows.values()) + 1):
            here = [place for place in self.boxes if rows[place] == row]
            tallest = max(sizes[place][1] for place in here)
            for place in here:
                column = columns[place]
                self.places[place] = lefts[column] + (widths[column] - sizes[place][0]) / 2, top
                self.floors[place] = top + tallest
            top += tallest + GAP_Y
        self.trunk = widths[0] / 2
        self.width, self.height = lefts[-1] + widths[-1], top - GAP_Y
        if self.inner:
            self._frame(plots)

    def _frame(self, plots: Sequence[_Plot]) -> None:
        """Put the cases beside each other below the branch: one that branches again first, right under it."""
        self.inner.sort(key=lambda number: not plots[number].inner)
        shift = plots[self.inner[0]].trunk + PAD - self.trunk
        if shift > 0:
            self.places = {place: (x + shift, y) for place, (x, y) in self.places.items()}
            self.trunk += shift
            self.width += shift
        x = max(-shift, 0.0)
        for number in self.inner:
            self.frames.append((x, self.height + GAP_Y))
            x += plots[number].width + 2 * PAD + GAP_X
        self.width = max(self.width, x - GAP_X)
        self.height += GAP_Y + LABEL + PAD + max(plots[number].height for number in self.inner)

    def _rows(self) -> dict[int, int]:
        """Return every box's row: below all that it depends on; a value right above its users, the end last of all."""
        order: TopologicalSorter[int] = TopologicalSorter(dict.fromkeys(self.boxes, ()))
        before: dict[int, list[int]] = {place: [] for place in self.boxes}
        for arrow in self.arrows:
            order.add(arrow.target, arrow.source)
            before[arrow.target].append(arrow.source)
        rows: dict[int, int] = {}
        ordered = list(order.static_order())
        for place in ordered:
            rows[place] = max((rows[other] + 1 for other in before[place]), default=0)
        users: dict[int, list[int]] = {place: [] for place in self.boxes}
        prompts = {place for arrow in self.arrows if arrow.is_prompt for place in (arrow.source, arrow.target)}
        for arrow in self.arrows:
            users[arrow.source].append(arrow.target)
        for place in reversed(ordered):
            if place not in prompts and users[place]:
                rows[place] = max(rows[place], min(rows[user] for user in users[place]) - 1)
        rows[self.boxes[-1]] = max((row + 1 for place, row in rows.items() if place != self.boxes[-1]), default=0)
        return rows

    def _columns(self, rows: Mapping[int, int]) -> dict[int, int]:
        """Return every box's column: prompts that go on stay in theirs, forks and values take the next free ones."""
        parents: dict[int, int] = {}
        for arrow in self.arrows:
            if arrow.is_prompt and rows[arrow.source] >= rows.get(parents.get(arrow.target, -1), -1):
                parents[arrow.target] = arrow.source
        self.trunks = {arrow for arrow in self.arrows if parents.get(arrow.target) == arrow.source and arrow.is_prompt}
        children: dict[int, list[int]] = {}
        for place in self.boxes:
            if place in parents:
                children.setdefault(parents[place], []).append(place)
        main = _line(self.boxes[-1], parents)
        grid = _Grid(rows)
        values = {p for p in self.boxes if p not in parents and p not in children and p not in main}
        roots = [p for p in self.boxes if p not in parents and p not in values]
        starts: list[tuple[int, int | None]] = [(root, None) for root in sorted(roots, key=lambda p: p in main)]
        while starts:
            start, parent = starts.pop()
            chain = [start]
            while inner := children.get(chain[-1]):
                chain.append(next((child for child in inner if child in main), inner[0]))
            if parent is None:
                grid.settle(chain, rows[start], 0)
            else:
                grid.settle(chain, rows[parent] + 1, grid.columns[parent] + 1)
            straight = set(chain)
            forks = [(fork, place) for place in chain for fork in children.get(place, ()) if fork not in straight]
            starts += reversed(forks)
        for place in sorted(values, key=lambda place: rows[place]):
            sources = [arrow.source for arrow in self.arrows if arrow.target == place]
            lowest = max((grid.columns[s] + (s not in values) for s in sources), default=0)
            grid.settle([place], rows[place], lowest)
        return grid.columns


@dataclass(slots=True)
class _Grid:
    """Columns of boxes whose rows are known."""

    rows: Mapping[int, int]
    columns: dict[int, int] = field(default_factory=dict)
    taken: dict[int, list[tuple[int, int]]] = field(default_factory=dict)

    def settle(self, chain: Sequence[int], first: int, lowest: int) -> None:
        """Give a chain the lowest column that is free from row `first`, where its arrow comes in, to its last row."""
        last = self.rows[chain[-1]]
        column = lowest
        while any(first <= end and start <= last for start, end in self.taken.get(column, ())):
            column += 1
        self.taken.setdefault(column, []).append((first, last))
        self.columns.update((place, column) for place in chain)


def _line(place: int, parents: Mapping[int, int]) -> set[int]:
    """Return a box and all that it goes on from."""
    line = {place}
    while place in parents:
        place = parents[place]
        line.add(place)
    return line


def _prompt_path(
    boxes: Mapping[int, Rectangle], floors: Mapping[int, float], arrow: Arrow, leaves_at_once: bool
) -> str:
    """Return a path that goes down, aside right below its source (or right above its target), and down."""
    source, target = boxes[arrow.source], boxes[arrow.target]
    x, y, to_x, to_y = source.middle, source.bottom, target.middle, target.y
    if abs(x - to_x) < 1:
        return f"M{x:.1f} {y:.1f}V{to_y:.1f}"
    turn = floors[arrow.source] + GAP_Y / 2 if leaves_at_once else to_y - GAP_Y / 2
    side = 1 if to_x > x else -1
    round_off = min(8.0, abs(to_x - x) / 2)
    return (
        f"M{x:.1f} {y:.1f}V{turn - round_off:.1f}q0 {round_off:.1f} {side * round_off:.1f} {round_off:.1f}"
        f"H{to_x - side * round_off:.1f}q{side * round_off:.1f} 0 {side * round_off:.1f} {round_off:.1f}V{to_y:.1f}"
    )


def _value_path(source: Rectangle, target: Rectangle, line: float) -> str:
    """Return a curve from the side of its source to the line of its target that uses it, or to its top."""
    to_y = target.y + line
    y = source.y + source.height / 2
    if abs(source.middle - target.middle) < 1:
        out = max(source.right, target.right) + GAP_X * 0.8
        return f"M{source.right:.1f} {y:.1f}C{out:.1f} {y:.1f} {out:.1f} {to_y:.1f} {target.right:.1f} {to_y:.1f}"
    if target.middle > source.middle and target.y > source.bottom:
        x = target.x + min(target.width / 2, 40.0)
        if x > source.right:
            return f"M{source.right:.1f} {y:.1f}Q{x:.1f} {y:.1f} {x:.1f} {target.y:.1f}"
    x, side = (source.middle, target.right) if target.middle < source.middle else (source.middle, target.x)
    if to_y <= source.bottom:
        return (
            f"M{x:.1f} {source.bottom:.1f}C{x:.1f} {source.bottom + 40:.1f} {side:.1f} {to_y:.1f} {side:.1f} {to_y:.1f}"
        )
    return f"M{x:.1f} {source.bottom:.1f}C{x:.1f} {to_y:.1f} {x:.1f} {to_y:.1f} {side:.1f} {to_y:.1f}"

"""Made-up tables with the shapes of those that prompts are made from, row by row: movies, products and beers.

They stand for the tables of the same names that GGR was measured on (Liu et al., MLSys 2025): the same columns, which
of them depend on which, and texts about as long. How many movies, products and beers there are is an assumption.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from benchmarks.workloads.synthetic import words

Table = list[list[str]]


def table(name: str, rows: int, seed: int = 1) -> Table:
    """Return a table: each cell is a line with the name of its column and the value, as it stands in a prompt."""
    columns = TABLES[name](np.random.default_rng(seed), rows)
    cells = [[f'"{column}": "{value}"\n' for value in values] for column, values in columns.items()]
    return [list(row) for row in zip(*cells, strict=True)]


def _movies(source: np.random.Generator, rows: int) -> Mapping[str, Sequence[str]]:
    """Return reviews of movies, 25 of each: what is said of a movie depends on its link."""
    movies = rows // 25
    titles = _texts(source, movies, 8, 40)
    of = _often(source, movies, rows, 0.5)
    return {
        "reviewcontent": _texts(source, rows, 40, 220),
        "movietitle": _at(titles, of),
        "reviewtype": _at(["Fresh", "Rotten"], _often(source, 2, rows, 0.6)),
        "movieinfo": _at(_texts(source, movies, 200, 900), of),
        "genres": _at(_at(_texts(source, 60, 8, 40), _often(source, 60, movies, 1.0)), of),
        "topcritic": _at(["False", "True"], _often(source, 2, rows, 1.2)),
        "productioncompany": _at(_at(_texts(source, movies // 4, 8, 30), _often(source, movies // 4, movies, 0.8)), of),
        "rottentomatoeslink": _at([f"m/{title.lower().replace(' ', '_')}" for title in titles], of),
    }


def _products(source: np.random.Generator, rows: int) -> Mapping[str, Sequence[str]]:
    """Return reviews of products, 12 of each: title and description depend on the product."""
    products, users = rows // 12, rows // 3
    of = _often(source, products, rows, 0.7)
    headings = ["Great", "Five Stars", "Good", "Love it", "OK"]
    return {
        "rating": _at(["5.0", "4.0", "1.0", "3.0", "2.0"], _often(source, 5, rows, 1.0)),
        "review_title": _mixed(source, _at(headings, _often(source, 5, rows, 0.5)), _texts(source, rows, 10, 50), 0.3),
        "text": _texts(source, rows, 60, 500),
        "parent_asin": _at([f"B{number:09}" for number in source.choice(10**9, products, False)], of),
        "product_title": _at(_texts(source, products, 40, 160), of),
        "description": _at(_mixed(source, ["[]"] * products, _texts(source, products, 300, 1500), 0.2), of),
        "user_id": _at([f"A{number:012}" for number in range(users)], _often(source, users, rows, 0.4)),
        "verified_purchase": _at(["true", "false"], _often(source, 2, rows, 3.0)),
    }


def _beers(source: np.random.Generator, rows: int) -> Mapping[str, Sequence[str]]:
    """Return reviews of beers, 20 of each, short ones: name and style depend on the beer."""
    beers, users = rows // 20, rows // 10
    of = _often(source, beers, rows, 0.9)
    return {
        "beer/beerId": _at([str(number) for number in source.choice(100_000, beers, False)], of),
        "beer/name": _at(_texts(source, beers, 10, 40), of),
        "beer/style": _at(_at(_texts(source, 90, 8, 30), _often(source, 90, beers, 1.0)), of),
        "review/appearance": [f"{score}/5" for score in source.integers(2, 6, rows)],
        "review/overall": [f"{score}/20" for score in source.integers(2, 21, rows)],
        "review/palate": [f"{score}/5" for score in source.integers(2, 6, rows)],
        "review/profileName": _at(_texts(source, users, 6, 14), _often(source, users, rows, 0.9)),
        "review/taste": [f"{score}/10" for score in source.integers(2, 11, rows)],
    }


TABLES: Mapping[str, Callable[[np.random.Generator, int], Mapping[str, Sequence[str]]]] = {
    "movies": _movies,
    "products": _products,
    "beers": _beers,
}


def _texts(source: np.random.Generator, count: int, shortest: int, longest: int) -> list[str]:
    """Return made-up texts of about these lengths."""
    sizes = source.integers(shortest, longest, count).tolist()
    return [words(source.bytes(size // 2 + 1))[:size].strip().capitalize() for size in sizes]


def _often(source: np.random.Generator, things: int, count: int, skew: float) -> Sequence[int]:
    """Return numbers of things, some more often than others: the k-th 1/k^skew times as often as the first."""
    shares = 1 / np.arange(1, things + 1) ** skew
    chosen: list[int] = source.choice(things, count, p=shares / shares.sum()).tolist()
    return chosen


def _at(values: Sequence[str], places: Sequence[int]) -> list[str]:
    return [values[place] for place in places]


def _mixed(source: np.random.Generator, ones: Sequence[str], others: Sequence[str], share: float) -> list[str]:
    """Return `ones` for about this share of the places, `others` for the rest."""
    draws = source.random(len(ones))
    return [one if draw < share else other for one, other, draw in zip(ones, others, draws, strict=True)]

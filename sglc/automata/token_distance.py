"""How many tokens a text still needs: the fewest from each state to a final one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

NEVER = np.iinfo(np.int32).max
"""The distance of a state from which no tokens lead to the end."""


def token_distances(
    rows: npt.NDArray[np.unsignedinteger], row_of_state: npt.NDArray[np.unsignedinteger], final: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int32]:
    """Return the distance of each state [states], breadth first from the final ones backwards.

    `rows` [R, classes] has the states that each class of tokens leads to, 0 for none; `row_of_state` [states] the row.
    """
    distance = np.full(len(final), NEVER, dtype=np.int32)
    distance[final] = 0
    sources = [np.unique(row) for row in rows]
    lengths = [len(after) for after in sources]
    after = np.concatenate(sources) if sources else np.zeros(0, np.int64)
    row_of_edge = np.repeat(np.arange(len(rows)), lengths)
    done = final.copy()
    done[0] = False
    row_done = np.zeros(len(rows), dtype=np.bool_)
    new = done.copy()
    steps = 0
    while new.any():
        steps += 1
        row_done[:] = False
        row_done[row_of_edge[new[after]]] = True
        new = row_done[row_of_state] & ~done
        done |= new
        distance[new] = steps
    return distance

"""Rotary embeddings whose angles depend on a sequence's length: refused, or kept to lengths where they don't.

A cached key is rotated once, when its token is computed; a rotation that changes as the sequence grows, or with the
longest row of a batch, would make the cache wrong.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from sglc.errors import Unsupported

_log = logging.getLogger(__name__)


def steady_length(rope: Mapping[str, Any] | None, longest: int) -> int:
    """Return the most positions, at most `longest`, at which the rotation of a position never changes.

    `rope` is a configuration's `rope_parameters`, for all layers or by layer type. Raises Unsupported.
    """
    for parameters in _settings(rope or {}):
        kind = parameters.get("rope_type", "default")
        if "dynamic" in kind:
            raise Unsupported(
                f"found RoPE scaling {kind!r}, whose angles change as a sequence grows; wanted a fixed one"
            )
        if kind == "longrope":
            short = int(parameters.get("original_max_position_embeddings") or longest)
            if short < longest:
                _log.warning(
                    "longrope: sequences are kept to %d of %d positions, where the angles are fixed", short, longest
                )
            longest = min(longest, short)
    return longest


def _settings(rope: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the settings of every layer type."""
    nested = [value for value in rope.values() if isinstance(value, Mapping)]
    yield from nested or [rope]

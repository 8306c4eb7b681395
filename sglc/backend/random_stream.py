"""Random numbers by counting: a draw is a function of (seed, input row, sampling site, position), nothing else."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from sglc.backend.step import Floats

Keys = npt.NDArray[np.uint64]

_HALF = np.uint64(32)
_MANTISSA_SHIFT = np.uint64(11)


def stream_key(seed: int, row: int, site: str) -> int:
    """Return the odd 64-bit key of one sampling site's stream."""
    digest = blake2b(f"{seed}:{row}:{site}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") | 1


def uniforms(keys: Keys, positions: Keys) -> Floats:
    """Return one number in [0, 1) for each (key, position) [S].

    Squares64 of Widynski (arXiv 2004.06278): five rounds of squaring mod 2**64, cheap on every device.
    """
    x = positions * keys
    y = x.copy()
    z = y + keys
    for addend in (y, z, y):
        x = x * x + addend
        x = (x >> _HALF) | (x << _HALF)
    x = x * x + z
    t = x.copy()
    x = (x >> _HALF) | (x << _HALF)
    bits = t ^ ((x * x + y) >> _HALF)
    fractions: Floats = (bits >> _MANTISSA_SHIFT).astype(np.float64)
    return fractions * 2.0**-53

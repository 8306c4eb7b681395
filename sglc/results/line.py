"""One line of the results: what a finished row has to say, as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from sglc.errors import Location


def encode_result(result: Mapping[str, Any]) -> bytes:
    """Return a result as one line of UTF-8 JSON; a value JSON has no word for becomes its `str`."""
    text = json.dumps(_plain(result), ensure_ascii=False, separators=(", ", ": "))
    # Half of a surrogate pair is no Unicode text; backslashreplace spells it \udXXX, which is what JSON calls it.
    return text.encode("utf-8", errors="backslashreplace") + b"\n"


def decode_result(line: bytes) -> dict[str, Any] | None:
    """Return a whole line of results as an object, or None."""
    if not line.endswith(b"\n"):
        return None
    try:
        result = json.loads(line)
    except ValueError:
        return None
    return result if isinstance(result, dict) and type(result.get("index")) is int else None


def error_object(error: BaseException, program_file: str | None = None) -> dict[str, Any]:
    """Return an error as a result holds it: its type, message, file and line, the last two None where unknown.

    An error that carries no place gets the innermost line of `program_file` it went through, else where it was raised.
    """
    place = getattr(error, "location", None) or _raised_at(error, program_file)
    message = getattr(error, "message", None)
    return {
        "type": type(error).__name__,
        "message": message if isinstance(message, str) else str(error),
        "file": place.file if place else None,
        "line": place.line if place else None,
    }


def _raised_at(error: BaseException, program_file: str | None) -> Location | None:
    """Return the innermost line of `program_file` in the traceback, else the innermost line, else None."""
    places = []
    traceback = error.__traceback__
    while traceback is not None:
        places.append(Location(traceback.tb_frame.f_code.co_filename, traceback.tb_lineno))
        traceback = traceback.tb_next
    own = [place for place in places if place.file == program_file]
    return next(reversed(own or places), None)


def _plain(value: Any) -> Any:
    """Return a value made only of what JSON has words for."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value)

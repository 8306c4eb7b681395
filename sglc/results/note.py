"""The note beside a file of results: what they depend on, so that no other run goes on with them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sglc.errors import InputError


def note_path(path: Path) -> Path:
    """Return where the note of a results file lives: beside it."""
    return path.with_name(path.name + ".meta")


def write_note(path: Path, note: Mapping[str, Any]) -> None:
    """Write, whole or not at all, what the results in `path` depend on. Raises InputError."""
    target = note_path(path)
    fresh = target.with_name(target.name + ".new")
    try:
        with fresh.open("w", encoding="utf-8") as file:
            file.write(json.dumps(note, indent=2, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(target)
    except OSError as error:
        raise InputError(f"{target}: found {error.strerror}; wanted a file that can be written") from error


def check_note(path: Path, note: Mapping[str, Any]) -> None:
    """Raise InputError, naming what differs, unless the results in `path` were made under an equal note."""
    target = note_path(path)
    try:
        earlier = json.loads(target.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{target}: found no readable note of the earlier run; wanted one to resume it") from error
    for name, now in note.items():
        before = earlier.get(name) if isinstance(earlier, dict) else None
        if before != now:
            raise InputError(
                f"{path}: found results of another {name} ({_shown(before)}); wanted {_shown(now)} to resume, "
                "or --overwrite to begin anew"
            )


def _shown(value: object) -> str:
    """Return a value of a note, short enough for a message."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else text[:117] + "…"

"""Loading a program: from `PROGRAM.py[:function]` on the command line to the function it names."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from sglc.errors import InputError, Location
from sglc.language.function import SglFunction


@dataclass(frozen=True, slots=True)
class LoadedProgram:
    """A program, the file it came from, and the SHA-256 of that file."""

    function: SglFunction
    path: Path
    sha256: str

    @property
    def identity(self) -> str:
        """A text that is equal for the same function of an equal file."""
        return f"{self.function.name} of sha256:{self.sha256}"


def load_program(target: str) -> LoadedProgram:
    """Run the file that `target` names and return the program in it. Raises InputError.

    The file's folder goes to the front of `sys.path`, as Python does for a script, so that the file can import its
    neighbours. A file with several programs needs `:function`.
    """
    path, name = _split(target)
    module, sha256 = _load_file(path)
    return LoadedProgram(_pick(module, path, name), path, sha256)


def load_programs(target: str) -> list[LoadedProgram]:
    """Run the file that `target` names and return all programs it defines, or the one named. Raises InputError."""
    path, name = _split(target)
    module, sha256 = _load_file(path)
    own = _own(module, path) if name is None else {}
    return [LoadedProgram(each, path, sha256) for each in own.values() or [_pick(module, path, name)]]


def _load_file(path: Path) -> tuple[ModuleType, str]:
    """Run a program file and return its module and its SHA-256. Raises InputError."""
    try:
        source = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"{path}: found {reason}; wanted a program file, PROGRAM.py[:function]") from error
    return _run_file(path), hashlib.sha256(source).hexdigest()


def _split(target: str) -> tuple[Path, str | None]:
    """Return the file and the function's name, which is None where none is given."""
    file, colon, name = target.rpartition(":")
    if colon and name.isidentifier() and not Path(target).exists():
        return Path(file), name
    return Path(target), None


def _run_file(path: Path) -> ModuleType:
    """Import a file under a name of its own. Raises InputError at the line of the file that failed."""
    spec = importlib.util.spec_from_file_location(f"sglc_program_{path.stem}", path.resolve())
    if spec is None or spec.loader is None:
        raise InputError(f"{path}: found no Python file; wanted PROGRAM.py[:function]")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        place = Location(error.filename or str(path), error.lineno or 1)
        raise InputError(f"found a syntax error: {error.msg}; wanted a Python file", place) from error
    except (Exception, SystemExit) as error:
        place = _failing_line(error, str(path.resolve())) or Location(str(path), 1)
        problem = f"found {type(error).__name__}: {error}" if str(error) else f"found {type(error).__name__}"
        raise InputError(f"{problem}; wanted a program file that can be imported", place) from error
    return module


def _failing_line(error: BaseException, file: str) -> Location | None:
    """Return the innermost line of `file` in the traceback."""
    line = None
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == file:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return Location(file, line) if line is not None else None


def _pick(module: ModuleType, path: Path, name: str | None) -> SglFunction:
    """Return the function asked for, or the only one that the file itself defines. Raises InputError."""
    if name is not None:
        programs = _programs(module)
        if name in programs:
            return programs[name]
        raise InputError(f"{path}: found no program {name!r}; wanted {_choice(list(programs))}")
    own = _own(module, path)
    if len(own) == 1:
        return next(iter(own.values()))
    if not own:
        raise InputError(f"{path}: found no function decorated with @sglc.function; wanted one")
    raise InputError(f"{path}: found {len(own)} programs; wanted {path}:FUNCTION, {_choice(list(own))}")


def _programs(module: ModuleType) -> dict[str, SglFunction]:
    """Return every program of a module by its names."""
    return {key: value for key, value in vars(module).items() if isinstance(value, SglFunction)}


def _own(module: ModuleType, path: Path) -> dict[str, SglFunction]:
    """Return the programs that the file itself defines, each by its first name."""
    own = {key: value for key, value in _programs(module).items() if value.file == str(path.resolve())}
    distinct = {id(value): (key, value) for key, value in reversed(own.items())}
    return dict(reversed(distinct.values()))


def _choice(names: list[str]) -> str:
    """Return the names found, as a choice."""
    if not names:
        return "a function decorated with @sglc.function, and the file has none"
    return "one of " + ", ".join(names) if len(names) > 1 else names[0]

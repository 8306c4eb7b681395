"""What states offer to programs in the same words, whether they run or are traced."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from sglc.errors import caller_location
from sglc.language.primitives import Expression, RoleBegin, RoleEnd, parts_of


class StateSurface:
    """Roles by call and by scope, variables by index."""

    def __iadd__(self, other: Any) -> Any:
        """Append text or an expression."""
        raise NotImplementedError

    def scope_of(self, begin: RoleBegin, end: RoleEnd) -> AbstractContextManager[None]:
        """Open a message for a `with` block."""
        raise NotImplementedError

    def get_var(self, name: str) -> Any:
        """Return a variable."""
        raise NotImplementedError

    def set_var(self, name: str, value: Any) -> None:
        """Set a variable."""
        raise NotImplementedError

    def system(self, expr: Any = None) -> AbstractContextManager[None] | None:
        """Append a system message, or open one for a `with` block."""
        return self._message("system", expr)

    def user(self, expr: Any = None) -> AbstractContextManager[None] | None:
        """Append a user message, or open one for a `with` block."""
        return self._message("user", expr)

    def assistant(self, expr: Any = None) -> AbstractContextManager[None] | None:
        """Append an assistant message, or open one for a `with` block."""
        return self._message("assistant", expr)

    def _message(self, role: str, expr: Any) -> AbstractContextManager[None] | None:
        location = caller_location()
        begin, end = RoleBegin(role, location), RoleEnd(role, location)
        if expr is None:
            return self.scope_of(begin, end)
        self.__iadd__(Expression(begin, *parts_of(expr), end))
        return None

    def __getitem__(self, name: str) -> Any:
        return self.get_var(name)

    def __setitem__(self, name: str, value: Any) -> None:
        self.set_var(name, value)

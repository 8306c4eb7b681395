"""A JSON schema as a document: its places as JSON pointers, what its references name, and which draft it follows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urljoin

from sglc.automata.schema_keywords import malformed, pointer_step, unsupported

_OLD_DRAFTS = ("draft-03", "draft-04", "draft-06", "draft-07")
_MAPS_OF_SCHEMAS = frozenset(
    ["properties", "patternProperties", "$defs", "definitions", "dependencies", "dependentSchemas"]
)
_DATA = frozenset(["enum", "const", "default", "examples", "example"])  # what stands there is no schema


class SchemaDocument:
    """One schema, read once. A place is a JSON pointer in fragment form, `#/properties/name`; `#` is the whole."""

    def __init__(self, root: Any) -> None:
        self._values: dict[str, Any] = {"#": root}
        self._bases: dict[str, str] = {"#": ""}
        self._named: dict[str, str] = {"": "#"}  # URI, with an anchor as its fragment → place
        self.ignores_beside_ref = False
        """Drafts up to 7 ignore what stands beside a `$ref`."""
        if isinstance(root, Mapping):
            dialect = root.get("$schema")
            self.ignores_beside_ref = isinstance(dialect, str) and any(name in dialect for name in _OLD_DRAFTS)
            self._read_names(root)

    def value(self, place: str) -> Any:
        """Return what stands at a place; KeyError where nothing does."""
        if place in self._values:
            return self._values[place]
        parent, _, step = place.rpartition("/")
        if not parent:
            raise KeyError(place)
        holder, name = self.value(parent), step.replace("~1", "/").replace("~0", "~")
        if isinstance(holder, list) and name.isdecimal() and int(name) < len(holder):
            found = holder[int(name)]
        elif isinstance(holder, Mapping) and name in holder:
            found = holder[name]
        else:
            raise KeyError(place)
        self._values[place] = found
        return found

    def resolve(self, reference: Any, at: str) -> str:
        """Return the place that a `$ref` at the place `at` names. Raises ProgramError or Unsupported if none does."""
        if not isinstance(reference, str):
            raise malformed(f"{at}/$ref", reference, "a JSON pointer")
        address, _, fragment = reference.partition("#")
        base = self._base(at)
        address = urljoin(base, address) if address else base
        fragment = unquote(fragment)
        if fragment and not fragment.startswith("/"):
            if f"{address}#{fragment}" not in self._named:
                raise malformed(f"{at}/$ref", reference, "a reference to something that is there")
            return self._named[f"{address}#{fragment}"]
        if address not in self._named:
            raise unsupported(at, f"the `$ref` {reference!r}", "a reference into this schema, `#/…`")
        place = self._named[address] + fragment
        try:
            self.value(place)
        except KeyError:
            raise malformed(f"{at}/$ref", reference, "a reference to something that is there") from None
        return place

    def _base(self, place: str) -> str:
        while place not in self._bases:
            place = place.rpartition("/")[0]
        return self._bases[place]

    def _read_names(self, root: Mapping[str, Any]) -> None:
        """Walk all places once for `$id` and `$anchor`; not by recursion, because a schema may be deep."""
        pending: list[tuple[str, Any, str, bool]] = [("#", root, "", False)]
        while pending:
            place, value, base, is_map = pending.pop()
            if isinstance(value, Mapping) and not is_map:
                base = self._read_name(place, value, base)
            for step, part in _parts(value):
                if not isinstance(part, Mapping | list) or (step in _DATA and not is_map):
                    continue
                within_map = step in _MAPS_OF_SCHEMAS and not is_map and isinstance(value, Mapping)
                pending.append((f"{place}/{pointer_step(step)}", part, base, within_map))

    def _read_name(self, place: str, schema: Mapping[str, Any], base: str) -> str:
        if "$ref" in schema and self.ignores_beside_ref:
            return base
        name = schema.get("$id", schema.get("id") if self.ignores_beside_ref or place == "#" else None)
        if isinstance(name, str):
            address, _, fragment = name.partition("#")
            if address:
                base = urljoin(base, address)
                self._named.setdefault(base, place)
                self._bases[place] = base
            if fragment:
                self._named.setdefault(f"{base}#{fragment}", place)
        for keyword in ("$anchor", "$dynamicAnchor"):
            if isinstance(schema.get(keyword), str):
                self._named.setdefault(f"{base}#{schema[keyword]}", place)
        return base


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, list):
        yield from ((str(index), part) for index, part in enumerate(value))

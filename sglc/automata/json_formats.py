"""The values of JSON Schema's `format` that are enforced, each as a regular language of strings."""

from __future__ import annotations

from functools import lru_cache

from sglc.automata.regex_syntax import parse_regex
from sglc.automata.regular import Regular

REFUSED_FORMATS = frozenset(["idn-email", "idn-hostname", "regex"])
"""Formats of the standard that no table here can follow; any other unknown name is an annotation."""

_FOURTH = "(?:0[48]|[2468][048]|[13579][26])"
_YEAR_DAYS = (
    r"(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    r"|02-(?:0[1-9]|1[0-9]|2[0-8]))"
)
_YEAR = "(?:000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})"  # year 0 is in no calendar of Python's
_DATE = f"(?:{_YEAR}-{_YEAR_DAYS}|(?:[0-9]{{2}}{_FOURTH}|{_FOURTH}00)-02-29)"
_OFFSET = "(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
_LEAP_SECOND = r"23:59:60(?:\.[0-9]+)?(?:[Zz]|[+-]00:00)"
_TIME = rf"(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?{_OFFSET}|{_LEAP_SECOND})"
_DATE_TIME = rf"{_DATE}[Tt]{_TIME}"
_CLOCK = "(?:T(?:[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?|[0-9]+M(?:[0-9]+S)?|[0-9]+S))"
_DAYS = "(?:[0-9]+Y(?:[0-9]+M(?:[0-9]+D)?)?|[0-9]+M(?:[0-9]+D)?|[0-9]+D)"
_DURATION = f"P(?:[0-9]+W|{_DAYS}{_CLOCK}?|{_CLOCK})"


def _label(longest: int) -> str:
    """Return a host name's label; no hyphen at either end, nor at both the third and the fourth place."""
    edge, inner = "[A-Za-z0-9]", "[A-Za-z0-9-]"
    short = f"{edge}(?:{inner}?{edge})?"
    third = f"(?:[A-Za-z0-9]{inner}|-[A-Za-z0-9])"
    return f"(?:{short}|{edge}{inner}{third}{inner}{{0,{longest - 5}}}{edge}|{edge}{inner}{{2}}{edge})"


# At most 253 characters in all: three labels of any length, or sixteen short ones.
_HOSTNAME = rf"(?:(?:{_label(63)}\.){{0,2}}{_label(63)}|(?:{_label(15)}\.){{0,15}}{_label(14)})"
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = rf"(?:{_OCTET}\.){{3}}{_OCTET}"
_GROUP = "[0-9a-fA-F]{1,4}"
_TAIL = f"(?:{_GROUP}:{_GROUP}|{_IPV4})"
_IPV6 = "|".join(
    [
        f"(?:{_GROUP}:){{6}}{_TAIL}",
        *(f"(?:(?:{_GROUP}:){{0,{n - 1}}}{_GROUP})?::(?:{_GROUP}:){{{5 - n}}}{_TAIL}" for n in range(1, 6)),
        f"::(?:{_GROUP}:){{5}}{_TAIL}",
        f"(?:(?:{_GROUP}:){{0,5}}{_GROUP})?::{_GROUP}",
        f"(?:(?:{_GROUP}:){{0,6}}{_GROUP})?::",
    ]
)
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_QUOTED = r'"(?:[!#-\[\]-~ ]|\\[ -~])*"'
_EMAIL = rf"(?:{_ATOM}(?:\.{_ATOM})*|{_QUOTED})@(?:{_HOSTNAME}|\[(?:{_IPV4}|IPv6:(?:{_IPV6}))\])"
_ENCODED = "%[0-9A-Fa-f]{2}"
_PLAIN = r"A-Za-z0-9\-._~!$&'()*+,;="
_WIDE = "\xa0-\ud7ff\uf900-\ufdcf\ufdf0-\uffef\U00010000-\U0001fffd\U00020000-\U0002fffd"


def _uri(others: str, relative: bool) -> str:
    """Return RFC 3986's syntax, or with other characters beside the plain ones RFC 3987's."""
    char = f"(?:[{_PLAIN}:@{others}]|{_ENCODED})"
    name = f"(?:[{_PLAIN}{others}]|{_ENCODED})*"
    user = f"(?:[{_PLAIN}:{others}]|{_ENCODED})*"
    host = rf"(?:\[(?:{_IPV6}|[vV][0-9A-Fa-f]+\.[{_PLAIN}:]+)\]|{name})"
    path = f"(?:/{char}*)*"
    authority = f"//(?:{user}@)?{host}(?::[0-9]*)?{path}"
    rooted = f"/(?:{char}+{path})?"
    tail = rf"(?:\?(?:{char}|[/?])*)?(?:#(?:{char}|[/?])*)?"
    absolute = f"[A-Za-z][A-Za-z0-9+.-]*:(?:{authority}|{rooted}|{char}+{path}|){tail}"
    if not relative:
        return absolute
    first = f"(?:[{_PLAIN}@{others}]|{_ENCODED})+"
    return f"(?:{absolute}|(?:{authority}|{rooted}|{first}{path}|){tail})"


_POINTER = "(?:/(?:[^/~]|~[01])*)*"
_VARIABLE = rf"(?:[A-Za-z0-9_]|{_ENCODED})(?:\.?(?:[A-Za-z0-9_]|{_ENCODED}))*(?::[1-9][0-9]{{0,3}}|\*)?"
_EXPRESSION = rf"\{{[+#./;?&]?{_VARIABLE}(?:,{_VARIABLE})*\}}"

_PATTERNS = {
    "date": _DATE,
    "time": _TIME,
    "date-time": _DATE_TIME,
    "duration": _DURATION,
    "email": _EMAIL,
    "hostname": _HOSTNAME,
    "ipv4": _IPV4,
    "ipv6": _IPV6,
    "uuid": "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
    "uri": _uri("", relative=False),
    "uri-reference": _uri("", relative=True),
    "iri": _uri(_WIDE, relative=False),
    "iri-reference": _uri(_WIDE, relative=True),
    "uri-template": rf"(?:[!#$&(-;=?-\[\]_a-z~{_WIDE}]|{_ENCODED}|{_EXPRESSION})*",
    "json-pointer": _POINTER,
    "relative-json-pointer": rf"(?:0|[1-9][0-9]*)(?:#|{_POINTER})",
}


@lru_cache(maxsize=64)
def format_language(name: str) -> Regular | None:
    """Return the strings of a format, as characters; None for a name that is an annotation."""
    pattern = _PATTERNS.get(name)
    return None if pattern is None else parse_regex(pattern)

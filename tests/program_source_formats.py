"""Formatted texts of random programs: f-strings, `%` and `.format`."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.program_source_library import Library

FILLERS = ("", " ", ": ", "; ", "<", "{", "}", "好", "\n", "50% ", "'", '"')
TEXT_SPECS = ("", ">6", "<4", "^5", "*^7", ".2", "-<5.3", "s")
INTEGER_SPECS = ("03d", "+", ",", ">4", "x", "b", "05", " d")
NUMBER_SPECS = (".2f", "8.1f", "+.0f", ".1%", "e", "g")


class Formats(Library):
    """Draws formatted texts."""

    def formatted(self, depth: int, generated: bool) -> str:
        """Return the code of a formatted text."""
        return self.random.choices([self.f_string, self._adjacent, self._percent, self._format], [11, 1, 4, 4])[0](
            depth, generated
        )

    # f-strings

    def f_string(self, depth: int, generated: bool) -> str:
        """Return an f-string of one to three fields."""
        self.use("f-string")
        count = self.random.randint(1, 3)
        parts = [(self.pick(FILLERS), self._field(depth, generated)) for _ in range(count)]
        end = self.pick(FILLERS)
        fields = "".join(inner for _, inner in parts)
        quote = '"' if '"' not in fields else "'" if "'" not in fields else '"""'
        escaped = "".join(_escaped(text, quote) + inner for text, inner in parts) + _escaped(end, quote)
        return f"f{quote}{escaped}{quote}"

    def _adjacent(self, depth: int, generated: bool) -> str:
        self.use("adjacent literals")
        return f"({self.constant()} {self.f_string(depth, generated)} {self.constant()})"

    def _field(self, depth: int, generated: bool) -> str:
        form = self.random.randint(0, 9)
        if form <= 4:
            return self._text_field(depth, generated)
        if form == 5:
            self.use("f-string with a format spec")
            return f"{{{self._plain(lambda: self.integer(depth, generated), '3')}:{self.pick(INTEGER_SPECS)}}}"
        if form == 6:
            self.use("f-string with a format spec")
            return f"{{{self._plain(lambda: self.number(depth, generated), '0.5')}:{self.pick(NUMBER_SPECS)}}}"
        if form == 7:
            self.use("f-string of any value")
            return self._braces(self._plain(lambda: self.thing(0, generated), "None"), self.pick(("", "!r", "!s")))
        if form == 8:
            self.use("f-string of a number or truth value")
            draw = self.pick((self.integer, self.truth))
            return self._braces(self._plain(lambda: draw(depth, generated), "1"), "")
        return self._nested_spec(generated)

    def _text_field(self, depth: int, generated: bool) -> str:
        code = self._plain(lambda: self.text(depth, generated), "LIMIT")
        conversion = self.pick(("", "", "", "!r", "!s", "!a"))
        if conversion:
            self.use(f"f-string with {conversion}")
        spec = self.pick(TEXT_SPECS) if code != "LIMIT" and self.chance(0.3) else ""
        if spec:
            self.use("f-string with a format spec")
        if "(" in code and "[" not in code[:1]:
            self.use("f-string of a call or compound")
        return self._braces(code, conversion + (f":{spec}" if spec else ""))

    def _nested_spec(self, generated: bool) -> str:
        self.use("f-string with a nested format spec")
        code = self._plain(lambda: self.text(0, generated), "NAMES[0]")
        width = self._plain(lambda: self.integer(0, generated), "4")
        align = self.pick((">", "<", "^", '{"*"}>', "{'-'}^"))
        return self._braces(code, f":{align}{{{width} + 1}}" if self.chance(0.8) else f"!r:{{{width}}}.{{LIMIT}}")

    def _braces(self, code: str, end: str) -> str:
        return "{" + (" " if code.startswith("{") else "") + code + end + "}"

    def _plain(self, draw: Callable[[], str], otherwise: str) -> str:
        """Return code that Python 3.11 allows between the braces of an f-string."""
        for _ in range(3):
            uses, met, paths = self.uses.copy(), self.met, self._paths
            code = draw()
            both = '"' in code and "'" in code
            if not ("\\" in code or "#" in code or '"""' in code or (both and "f'" in code)):
                return code
            self.uses, self.met, self._paths = uses, met, paths
        return otherwise

    # Older ways

    def _percent(self, depth: int, generated: bool) -> str:
        self.use("% formatting")
        form = self.random.randint(0, 3)
        if form == 0:
            return f'("<%s>" % {self.text(depth, generated)})'
        if form == 1:
            self.use("% with a tuple")
            return f'("%s is %d%% (%r)" % ({self.text(depth, generated)}, {self.integer(depth, generated)}, LIMIT))'
        if form == 2:
            self.use("% with a dict")
            entries = f'{{"name": {self.text(depth, generated)}, "n": {self.integer(0, generated)}}}'
            return f'("%(name)s: %(n)03d" % {entries})'
        return f'("%-5s|%6.2f" % ({self.text(depth, generated)}, {self.number(0, generated)}))'

    def _format(self, depth: int, generated: bool) -> str:
        self.use(".format")
        form = self.random.randint(0, 4)
        if form == 0:
            return f'"{{}} and {{}}".format({self.text(depth, generated)}, {self.integer(depth, generated)})'
        if form == 1:
            return f'"{{1}}-{{0!r}}-{{1}}".format({self.text(depth, generated)}, {self.text(0, generated)})'
        if form == 2:
            self.use(".format with names")
            return f'"{{name:>7}} {{n:+d}}".format(n={self.integer(0, generated)}, name={self.text(depth, generated)})'
        if form == 3:
            self.use(".format with a nested spec")
            return f'"{{:{{}}{{}}}}".format({self.text(depth, generated)}, {self.pick(("chr(62)", repr("^")))}, 5)'
        records = self.readable("record", False)
        if not records:
            return f'"[{{}}]".format({self.text(depth, generated)})'
        self.use(".format with an index")
        return f'"{{0[name]}} has {{0[tags]}}{{1}}".format({self.pick(records).code}, {self.text(0, generated)})'


def _escaped(text: str, quote: str) -> str:
    """Return a text as it stands in an f-string of these quotes."""
    escaped = json.dumps(text, ensure_ascii=False)[1:-1].replace("{", "{{").replace("}", "}}")
    return escaped.replace("'", "\\'") if quote == "'" else escaped

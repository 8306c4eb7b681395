"""What Python's library does with the texts of random programs, and ways of asking for a value's type."""

from __future__ import annotations

from tests.program_source_expressions import Expressions

OF_TEXT = (
    ("json.dumps({})", "json.dumps"),
    ('re.sub("[aeiou0-4]", "_", {})', "re.sub"),
    ('"+".join(re.findall("[a-m]", {}))', "re.findall"),
    ('format({}, ">6")', "format()"),
    ("str.upper({})", "unbound method"),
    ("type({}).__name__", "name of a type"),
    ("{}.__class__.__name__", "name of a type"),
    ('{}.encode("utf-8").decode()', "encode and decode"),
    ('"".join(filter(None, [{}, "", "b"]))', "filter"),
    ('", ".join(map(str, [1, {}, None]))', "map"),
    ("ascii({})", "ascii()"),
    ('textwrap.shorten({}, 8, placeholder="…")', "textwrap.shorten"),
    ('{}.translate({{97: "4", 101: None}})', "text.translate"),
    ('"".join(dict.fromkeys({}))', "dict.fromkeys"),
    ('(lambda *given: "|".join(given))(*[{}, "b"])', "call with unpacked arguments"),
    ("dict(said={})['said']", "dict()"),
    ('"".join(sorted({}))', "sorted letters"),
    ("next(iter([{}]))", "next and iter"),
    ('functools.reduce(lambda a, b: a + "·" + b, [{}, "x"])', "functools.reduce"),
    ("getattr({}, 'upper')()", "getattr"),
)
"""Code of a text in which another stands, and what it is called."""

OF_NUMBER = (
    ('chr(ord("a") + {} % 26)', "chr/ord"),
    ("NAMES[{} % 3]", "index by a number"),
    ('("odd", "even")[{} % 2 == 0]', "index by a truth value"),
    ("str(divmod({}, 3))", "divmod"),
    ("hex({})", "hex()"),
    ("str(-{})", "negation"),
    ("str(round(float({}), 1))", "float()"),
    ("str(bool({}))", "bool()"),
)
"""Code of a text in which a number stands."""

OF_LIST = (
    ('", ".join(sorted(set({})))', "sorted set"),
    ('"".join(f"{{k}}{{v}}" for k, v in dict(zip(NAMES, {})).items())', "dict of zip"),
    ("str(list(enumerate({})))", "list of enumerate"),
    ("str({} * 2)", "list * number"),
    ('"".join(itertools.chain(NAMES[:1], {}))', "itertools.chain"),
    ('str(("b" in {}, {}.count("b")))', "list.count"),
    ("str(tuple({}))", "tuple()"),
    ("str([*map(len, {})])", "map"),
    ("str({{item: len(item) for item in {}}})", "dict comprehension"),
    ("str(max({}, default='none'))", "max with a default"),
    ("str([a + b for a in {} for b in 'xy'])", "nested comprehension"),
    ("(lambda first='none', *rest: first + str(len(rest)))(*{})", "call with unpacked arguments"),
)
"""Code of a text in which a list of texts stands."""


class Library(Expressions):
    """Draws calls of the library. On what a model has said only where the program may be eager."""

    def library(self, depth: int, generated: bool) -> str:
        """Return the code of a text made with the library."""
        generated = generated and (self.breaking or self.chance(0.3))
        draw, forms = self.pick(
            ((self.text, OF_TEXT), (self.text, OF_TEXT), (self.integer, OF_NUMBER), (self.texts, OF_LIST))
        )
        form, use = self.pick(forms)
        self.use(use)
        inner = draw(min(depth, 1), generated)
        before, *after = form.split("{}")
        return _unescaped(before) + "".join(inner + _unescaped(part) for part in after)


def _unescaped(code: str) -> str:
    """Return code with its doubled braces as they are meant."""
    return code.replace("{{", "{").replace("}}", "}")

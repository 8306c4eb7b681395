"""The source of a running function: its syntax tree, with the line numbers of its file."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import CodeType, FunctionType

FunctionNode = ast.FunctionDef | ast.Lambda


def function_node(function: FunctionType) -> FunctionNode | None:
    """Return the syntax tree of a function, or None where its source is missing or no longer what runs."""
    code = function.__code__
    lines = tuple(linecache.getlines(code.co_filename, function.__globals__))
    tree = _module_tree(code.co_filename, lines)
    if tree is None or not any(
        _same(each, code)
        for split in (False, True)
        for each in _module_codes(code.co_filename, lines, split).get(code.co_name, ())
    ):
        return None
    return next((node for node in ast.walk(tree) if _is_node_of(node, code)), None)  # type: ignore[return-value]


@lru_cache(maxsize=64)
def _module_tree(filename: str, lines: tuple[str, ...]) -> ast.Module | None:
    if not lines:
        return None
    try:
        return ast.parse("".join(lines), filename)
    except (SyntaxError, ValueError):
        return None


@lru_cache(maxsize=64)
def _module_codes(filename: str, lines: tuple[str, ...], split: bool) -> Mapping[str, Sequence[CodeType]]:
    """Return the code of all functions in a file by their names, compiled anew: as a whole, or as notebooks do it.

    A notebook compiles the statements of a cell one by one (`split`), and code may depend on what is imported above.
    """
    tree = ast.parse("".join(lines), filename)
    parts = [ast.Module([statement], []) for statement in tree.body] if split else [tree]
    found: dict[str, list[CodeType]] = {}
    stack = [compile(part, filename, "exec", dont_inherit=True) for part in parts]
    while stack:
        code = stack.pop()
        inner = [each for each in code.co_consts if isinstance(each, CodeType)]
        for each in inner:
            found.setdefault(each.co_name, []).append(each)
        stack += inner
    return found


def _is_node_of(node: ast.AST, code: CodeType) -> bool:
    if isinstance(node, ast.FunctionDef):
        first = node.decorator_list[0].lineno if node.decorator_list else node.lineno
        return node.name == code.co_name and code.co_firstlineno == first
    if not isinstance(node, ast.Lambda) or code.co_name != "<lambda>" or node.lineno != code.co_firstlineno:
        return False
    ends = [(line, column) for _, line, _, column in code.co_positions() if line is not None and column]
    return max(ends) == (node.body.end_lineno, node.body.end_col_offset)  # several lambdas may share a line


def bare(node: FunctionNode) -> FunctionNode:
    """Return a function node without what is evaluated outside of it: decorators and annotations."""
    if isinstance(node, ast.FunctionDef):
        node.decorator_list, node.returns = [], None
        for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
            argument.annotation = None
    return node


def compile_function(node: FunctionNode, code: CodeType, hooks: str | None = None) -> CodeType | None:
    """Compile a function node as `code` was: in the same class for private names, its variables free that were.

    `hooks` is the name of one more free variable.
    """
    body: list[ast.stmt] = [node] if isinstance(node, ast.FunctionDef) else [ast.Expr(node)]
    # What a class binds is not seen inside its functions: there the function's own name is what it was.
    body = [ast.ClassDef(name=_class_name(code), bases=[], keywords=[], body=body, decorator_list=[])]
    factory = ast.FunctionDef(
        name="_factory",
        args=ast.arguments(
            posonlyargs=[],
            args=[ast.arg(arg=name) for name in (*code.co_freevars, *([hooks] if hooks else []))],
            kwonlyargs=[],
            kw_defaults=[],
            defaults=[],
        ),
        body=body,
        decorator_list=[],
    )
    module = ast.fix_missing_locations(ast.Module(body=[factory], type_ignores=[]))
    try:
        compiled = compile(module, code.co_filename, "exec", dont_inherit=True, flags=code.co_flags & 0x1000000)
    except (SyntaxError, ValueError):
        return None
    return _find(compiled, code.co_name, node.lineno)


def _class_name(code: CodeType) -> str:
    """Return the name of the class a method is written in, else one that leaves private names as they are."""
    parts = code.co_qualname.split(".")
    return parts[-2] if len(parts) > 1 and parts[-2] != "<locals>" else "_"


def _find(code: CodeType, name: str, line: int) -> CodeType | None:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            if constant.co_name == name and constant.co_firstlineno == line:
                return constant
            found = _find(constant, name, line)
            if found is not None:
                return found
    return None


def _same(a: CodeType, b: CodeType) -> bool:
    if a.co_firstlineno != b.co_firstlineno or a.co_code != b.co_code or a.co_freevars != b.co_freevars:
        return False
    if (a.co_names, a.co_varnames) != (b.co_names, b.co_varnames):
        return False
    if len(a.co_consts) != len(b.co_consts):
        return False
    for mine, theirs in zip(a.co_consts, b.co_consts, strict=True):
        if isinstance(mine, CodeType) and isinstance(theirs, CodeType):
            if not _same(mine, theirs):
                return False
        elif type(mine) is not type(theirs) or mine != theirs:
            return False
    return True

"""Rewriting a function so that a trace sees what Python does not show a placeholder: each such place calls a hook.

    f"{x:>5}"     →  __sglc__.text((x, -1, ">5"))          x in y       →  __sglc__.contains(x, y)
    f(x)          →  __sglc__.call(f, x)                   x is None    →  __sglc__.identical(x, None)
    a % b         →  __sglc__.mod(a, b)                    y[i] = x     →  __sglc__.change(y)[i] = x
    for a, b in y →  for a, b in __sglc__.iterate(y, 2)    NAME         →  __sglc__.read_global("NAME", NAME)

Nothing else changes: scopes, control flow and line numbers are Python's own.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

HOOKS = "__sglc__"

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@dataclass(slots=True)
class _Scope:
    """The names of a function, lambda, comprehension or class body."""

    bound: set[str]
    is_class: bool = False
    declared_global: set[str] = field(default_factory=set)
    declared_nonlocal: set[str] = field(default_factory=set)


class Rewriter(ast.NodeTransformer):
    """Rewrites one function; `free` are the variables it takes from functions around it."""

    def __init__(self, free: Sequence[str]) -> None:
        self._free = frozenset(free)
        self._scopes: list[_Scope] = []

    # Names

    def _resolve(self, name: str) -> str:
        """Return where a name lives: "local" (to the rewritten function or one in it), "cell" or "global"."""
        for depth, scope in enumerate(reversed(self._scopes)):
            if name in scope.declared_global:
                return "global"
            if name in scope.bound and name not in scope.declared_nonlocal and (depth == 0 or not scope.is_class):
                return "local"
        return "cell" if name in self._free else "global"

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if not isinstance(node.ctx, ast.Load):
            return node
        place = self._resolve(node.id)
        if place == "local" or node.id == "__class__":
            return node
        return _hook(node, f"read_{place}", ast.Constant(node.id), node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        if self._scopes:  # not the function itself
            node.decorator_list = [_hook(each, "decorator", self.visit(each)) for each in node.decorator_list]
            self._visit_defaults(node.args)
        self._in_scope(node, [*_argument_names(node.args)], node.body)
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        if self._scopes:
            self._visit_defaults(node.args)
        self._scopes.append(_Scope({*_argument_names(node.args), *_bound_in([node.body])}))
        node.body = self.visit(node.body)
        self._scopes.pop()
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.decorator_list = [_hook(each, "decorator", self.visit(each)) for each in node.decorator_list]
        node.bases = [self.visit(base) for base in node.bases]
        self._in_scope(node, [], node.body, is_class=True)
        return node

    def _in_scope(self, node: Any, arguments: list[str], body: list[ast.stmt], is_class: bool = False) -> None:
        scope = _Scope({*arguments, *_bound_in(body)}, is_class)
        for each in _within(body):
            if isinstance(each, ast.Global):
                scope.declared_global.update(each.names)
            elif isinstance(each, ast.Nonlocal):
                scope.declared_nonlocal.update(each.names)
        self._scopes.append(scope)
        node.body = self._statements(body)
        self._scopes.pop()

    def _visit_defaults(self, arguments: ast.arguments) -> None:
        arguments.defaults = [self.visit(default) for default in arguments.defaults]
        arguments.kw_defaults = [None if each is None else self.visit(each) for each in arguments.kw_defaults]

    def _comprehension(self, node: Any) -> Any:
        names = {name for generator in node.generators for name in _names_stored(generator.target)}
        first = node.generators[0]
        first_iter = self.visit(first.iter)  # evaluated in the scope around
        self._scopes.append(_Scope(names))
        for generator in node.generators:
            source = first_iter if generator is first else self.visit(generator.iter)
            generator.iter = _hook(source, "iterate", source, ast.Constant(_count(generator.target)))
            generator.ifs = [self.visit(test) for test in generator.ifs]
        if isinstance(node, ast.DictComp):
            node.key, node.value = self.visit(node.key), self.visit(node.value)
        else:
            node.elt = self.visit(node.elt)
        self._scopes.pop()
        return node

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension  # noqa: N815 - ast's names

    # Statements

    def _statements(self, body: list[ast.stmt]) -> list[ast.stmt]:
        rewritten: list[ast.stmt] = []
        for statement in body:
            for name in self._outer_stores(statement):
                effect = _hook(statement, "effect", ast.Constant(f"assigns {name}, which outlives the program"))
                rewritten.append(ast.copy_location(ast.Expr(effect), statement))
            result = self.visit(statement)
            rewritten.extend(result if isinstance(result, list) else [result])
        return rewritten

    def generic_visit(self, node: ast.AST) -> ast.AST:
        for name, value in ast.iter_fields(node):
            if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                setattr(node, name, self._statements(value))
            elif isinstance(value, list):
                setattr(node, name, [self.visit(each) if isinstance(each, ast.AST) else each for each in value])
            elif isinstance(value, ast.AST):
                setattr(node, name, self.visit(value))
        return node

    def _outer_stores(self, statement: ast.stmt) -> list[str]:
        """Return the names a statement itself assigns that live outside the rewritten function."""
        if isinstance(statement, (*_SCOPES,)):
            names = [statement.name]
        else:
            names = [
                node.id
                for node in _within(_heads(statement))
                if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)
            ]
        declared = self._scopes[-1].declared_global | self._scopes[-1].declared_nonlocal
        return [name for name in dict.fromkeys(names) if name in declared and self._resolve(name) != "local"]

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.target = self.visit(node.target)
        node.value = node.value and self.visit(node.value)
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        node.value = self.visit(node.value)
        if len(node.targets) == 1 and (count := _count(node.targets[0])):
            node.value = _hook(node, "unpack", node.value, ast.Constant(count))
        node.targets = [self.visit(target) for target in node.targets]
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        operation, value, target = ast.Constant(_in_place(node.op)), self.visit(node.value), node.target
        if isinstance(target, ast.Name):
            read = self.visit_Name(ast.copy_location(ast.Name(target.id, ast.Load()), target))
            changed = _hook(node, "augmented", operation, read, value)
            return ast.copy_location(ast.Assign([target], changed), node)
        owner = self.visit(target.value)
        if isinstance(target, ast.Subscript):
            call = _hook(node, "augment_item", owner, self._key(target.slice), operation, value)
        else:
            call = _hook(node, "augment_attribute", owner, ast.Constant(target.attr), operation, value)
        return ast.copy_location(ast.Expr(call), node)

    def visit_For(self, node: ast.For) -> ast.AST:
        source = self.visit(node.iter)
        node.iter = _hook(node.iter, "iterate", source, ast.Constant(_count(node.target)))
        node.target = self.visit(node.target)
        node.body, node.orelse = self._statements(node.body), self._statements(node.orelse)
        return node

    def visit_With(self, node: ast.With) -> ast.AST:
        for item in node.items:
            item.context_expr = _hook(item.context_expr, "context", self.visit(item.context_expr))
            item.optional_vars = item.optional_vars and self.visit(item.optional_vars)
        node.body = self._statements(node.body)
        return node

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        if node.exc is not None:
            node.exc = _hook(node.exc, "raised", self.visit(node.exc))
        node.cause = node.cause and self.visit(node.cause)
        return node

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        node.type = node.type and self.visit(node.type)
        node.body = [ast.copy_location(ast.Expr(_hook(node, "handling")), node), *self._statements(node.body)]
        return node

    def visit_Match(self, node: ast.Match) -> ast.AST:
        node.subject = _hook(node, "subject", self.visit(node.subject))
        for case in node.cases:
            case.guard = case.guard and self.visit(case.guard)
            case.body = self._statements(case.body)
        return node

    # Expressions

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id == "super" and not node.args:
            return node
        arguments = [self.visit(each) for each in node.args]
        keywords = [ast.keyword(each.arg, self.visit(each.value)) for each in node.keywords]
        call = _hook(node, "call", self.visit(node.func), *arguments)
        call.keywords = keywords
        return call

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        return self._text(node, node.values)

    def _text(self, at: ast.AST, values: Sequence[ast.expr]) -> ast.Call:
        parts: list[ast.expr] = []
        for each in values:
            if isinstance(each, ast.FormattedValue):
                spec = each.format_spec
                inner = self._text(each, spec.values) if isinstance(spec, ast.JoinedStr) else ast.Constant("")
                parts.append(ast.Tuple([self.visit(each.value), ast.Constant(each.conversion), inner], ast.Load()))
            else:
                parts.append(each)
        return _hook(at, "text", *parts)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        node.left, node.right = self.visit(node.left), self.visit(node.right)
        return _hook(node, "mod", node.left, node.right) if isinstance(node.op, ast.Mod) else node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        left, rights = self.visit(node.left), [self.visit(each) for each in node.comparators]
        hooks = {ast.In: "contains", ast.NotIn: "lacks", ast.Is: "identical", ast.IsNot: "distinct"}
        name = hooks.get(type(node.ops[0]))
        if len(node.ops) == 1 and name is not None:
            return _hook(node, name, left, rights[0])
        node.left, node.comparators = left, rights
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        owner = self.visit(node.value)
        if isinstance(node.ctx, ast.Load):
            return _hook(node, "item", owner, self._key(node.slice))
        node.value, node.slice = _hook(node.value, "change", owner), self._key(node.slice)
        return node

    def _key(self, node: ast.expr) -> ast.expr:
        if isinstance(node, ast.Slice):
            ends = [
                ast.Constant(None) if end is None else self.visit(end) for end in (node.lower, node.upper, node.step)
            ]
            return _hook(node, "slice", *ends)
        result: ast.expr = self.visit(node)
        return result

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        owner = self.visit(node.value)
        private = node.attr.startswith("__") and not node.attr.endswith("__")  # mangled by the compiler
        if not isinstance(node.ctx, ast.Load):
            node.value = _hook(node.value, "change", owner)
            return node
        node.value = owner
        return node if private else _hook(node, "attribute", owner, ast.Constant(node.attr))


def _hook(at: ast.AST, name: str, *arguments: ast.expr) -> ast.Call:
    function = ast.Attribute(ast.Name(HOOKS, ast.Load()), name, ast.Load())
    call = ast.Call(function, list(arguments), [])
    for node in (call, function, function.value, *arguments):
        if not hasattr(node, "lineno"):
            ast.copy_location(node, at)
    return ast.copy_location(call, at)


def _in_place(operator: ast.operator) -> str:
    names = {"Add": "iadd", "Sub": "isub", "Mult": "imul", "Div": "itruediv", "FloorDiv": "ifloordiv", "Mod": "imod"}
    names |= {"Pow": "ipow", "LShift": "ilshift", "RShift": "irshift", "BitOr": "ior", "BitXor": "ixor"}
    names |= {"BitAnd": "iand", "MatMult": "imatmul"}
    return names[type(operator).__name__]


def _count(target: ast.expr) -> int:
    """Return how many values a target unpacks; 0 for a single one, or a number that is open."""
    if isinstance(target, ast.Tuple | ast.List) and not any(isinstance(each, ast.Starred) for each in target.elts):
        return len(target.elts)
    return 0


def _argument_names(arguments: ast.arguments) -> Iterator[str]:
    for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg):
        if each is not None:
            yield each.arg


def _heads(statement: ast.stmt) -> list[ast.AST]:
    """Return the parts of a statement that are not statements themselves."""
    fields = [value if isinstance(value, list) else [value] for _, value in ast.iter_fields(statement)]
    whole = (ast.stmt, ast.ExceptHandler, ast.match_case)
    return [each for field in fields for each in field if isinstance(each, ast.AST) and not isinstance(each, whole)]


def _within(nodes: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """Yield nodes and what is in them, without looking into the scopes they open."""
    stack = list(reversed(nodes))
    while stack:
        node = stack.pop()
        yield node
        if isinstance(node, _SCOPES):
            continue
        stack.extend(ast.iter_child_nodes(node))


def _names_stored(node: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}


def _bound_in(body: Sequence[ast.AST]) -> set[str]:
    """Return the names that a body binds in its own scope."""
    names: set[str | None] = set()
    comprehended: set[int] = set()
    for node in _within(body):
        match node:
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                comprehended.update(id(each) for part in node.generators for each in ast.walk(part.target))
            case ast.Name() if not isinstance(node.ctx, ast.Load) and id(node) not in comprehended:
                names.add(node.id)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names.add(node.name)
            case ast.ExceptHandler() | ast.MatchAs() | ast.MatchStar():
                names.add(node.name)
            case ast.MatchMapping():
                names.add(node.rest)
            case ast.Import() | ast.ImportFrom():
                names.update((alias.asname or alias.name).partition(".")[0] for alias in node.names)
    return {name for name in names if name is not None}

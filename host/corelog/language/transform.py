"""Gives `with parallel:` its meaning in ordinary Python functions.

Every statement written directly in the body of such a block starts at the block's start. A context manager cannot see
where statements begin, so the function is compiled again with each of them in a `with` of its own. Nothing else
changes: globals, closure, defaults, file name and line numbers are the original's.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import types
from collections.abc import Callable
from typing import Any

BRANCH = "branch"
"""Attribute of the block's context manager under which the one of a single statement is found."""

_BLOCK = "$block"  # not an identifier, so no variable of the user's can have such a name


def with_parallel_blocks(function: Callable[..., Any], parallel: object) -> Callable[..., Any]:
    """The function with its parallel blocks compiled, or the function itself if it has none.

    `parallel` is the object that the user's `with` names, under whatever name. Raises RuntimeError if the function
    seems to use it and its source cannot be had (an interactive prompt, or a file changed since).
    """
    if not isinstance(function, types.FunctionType) or not _mentions(function.__code__, function, parallel):
        return function
    definition = _definition(function)
    rewriter = _Rewriter(lambda expression: _value(expression, function) is parallel)
    rewriter.visit(definition)
    if not rewriter.found:
        return function
    code = _compile(definition, function)
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    closure = tuple(cells[name] for name in code.co_freevars)
    new = types.FunctionType(code, function.__globals__, function.__name__, function.__defaults__, closure)
    new.__kwdefaults__ = function.__kwdefaults__
    new.__dict__.update(function.__dict__)
    new.__doc__, new.__module__, new.__qualname__ = function.__doc__, function.__module__, function.__qualname__
    new.__annotations__ = function.__annotations__
    return new


def _lookup(name: str, function: types.FunctionType) -> object:
    if name in function.__code__.co_freevars and function.__closure__:
        cell = function.__closure__[function.__code__.co_freevars.index(name)]
        try:
            return cell.cell_contents
        except ValueError:  # not assigned yet
            return None
    return function.__globals__.get(name, getattr(builtins, name, None))


def _value(expression: ast.expr, function: types.FunctionType) -> object:
    """What a name or a name in a module stands for; None for anything else."""
    if isinstance(expression, ast.Name):
        return _lookup(expression.id, function)
    if isinstance(expression, ast.Attribute):
        owner = _value(expression.value, function)
        return getattr(owner, expression.attr, None) if isinstance(owner, types.ModuleType) else None
    return None


def _mentions(code: types.CodeType, function: types.FunctionType, parallel: object) -> bool:
    """Whether the code, or code nested in it, loads a name that stands for `parallel`."""
    for name in code.co_names + code.co_freevars:
        value = _lookup(name, function)
        if value is parallel:
            return True
        if isinstance(value, types.ModuleType) and any(getattr(value, n, None) is parallel for n in code.co_names):
            return True
    return any(_mentions(c, function, parallel) for c in code.co_consts if isinstance(c, types.CodeType))


def _definition(function: types.FunctionType) -> ast.FunctionDef:
    where = f"{function.__qualname__} ({function.__code__.co_filename}:{function.__code__.co_firstlineno})"
    try:
        lines, first = inspect.getsourcelines(function.__code__)
        # Indented source keeps its columns, and strings over several lines their text, under an `if` of our own.
        indented = lines[0][:1].isspace()
        tree = ast.parse(("if 1:\n" if indented else "") + "".join(lines))
    except (OSError, TypeError, SyntaxError) as error:
        raise RuntimeError(f"{where} contains `with parallel:`, for which its source is needed, and the source cannot "
                           f"be read ({error}): put it into a file") from None
    ast.increment_lineno(tree, first - (2 if indented else 1))
    body = tree.body[0].body if indented and isinstance(tree.body[0], ast.If) else tree.body
    definition = body[0] if body else None
    if not isinstance(definition, ast.FunctionDef) or definition.name != function.__code__.co_name:
        raise RuntimeError(f"{where}: the file no longer holds the function that was loaded from it; start again")
    return definition


class _Rewriter(ast.NodeTransformer):
    def __init__(self, is_parallel: Callable[[ast.expr], bool]):
        self._is_parallel = is_parallel
        self._blocks = 0

    @property
    def found(self) -> bool:
        return self._blocks > 0

    def visit_With(self, node: ast.With) -> ast.stmt:
        self.generic_visit(node)
        index = next((i for i, item in enumerate(node.items) if self._is_parallel(item.context_expr)), None)
        if index is None:
            return node
        name = f"{_BLOCK}{self._blocks}"
        self._blocks += 1
        before, context, after = node.items[:index], node.items[index].context_expr, node.items[index + 1:]
        body = node.body
        if after:  # `with a, parallel, b:` holds a single statement, `with b:`, which may be parallel again
            body = [self.visit_With(self._at(node, ast.With(items=after, body=node.body)))]
        enter = self._at(context, ast.Call(
            func=self._at(context, ast.Attribute(value=context, attr="block", ctx=ast.Load())), args=[], keywords=[]))
        target = self._at(context, ast.Name(id=name, ctx=ast.Store()))
        block = self._at(node, ast.With(items=[ast.withitem(context_expr=enter, optional_vars=target)],
                                        body=[self._branch(name, statement) for statement in body]))
        return self._at(node, ast.With(items=before, body=[block])) if before else block

    def _branch(self, block: str, statement: ast.stmt) -> ast.stmt:
        name = self._at(statement, ast.Name(id=block, ctx=ast.Load()))
        branch = self._at(statement, ast.Attribute(value=name, attr=BRANCH, ctx=ast.Load()))
        return self._at(statement, ast.With(items=[ast.withitem(context_expr=branch)], body=[statement]))

    @staticmethod
    def _at(near: ast.AST, node: Any) -> Any:
        return ast.copy_location(node, near)


def _compile(definition: ast.FunctionDef, function: types.FunctionType) -> types.CodeType:
    definition.decorator_list = []
    definition.returns = None
    arguments = definition.args
    arguments.defaults = []
    arguments.kw_defaults = [None] * len(arguments.kwonlyargs)
    for argument in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]:
        if argument is not None:
            argument.annotation = None
    # Inside a class, since the scope of a class is invisible to its functions: the function's own name stays what it
    # was. A leading underscore more changes no name private to the class (`self.__x`), and a name of underscores only
    # makes none private.
    owner = function.__qualname__.split(".")[-2:-1]
    name = f"___{owner[0]}" if owner and owner[0] != "<locals>" else "___"
    nest = ast.ClassDef(name=name, bases=[], keywords=[], body=[definition], decorator_list=[])
    free = ast.arguments(posonlyargs=[], args=[ast.arg(arg=name) for name in function.__code__.co_freevars],
                         kwonlyargs=[], kw_defaults=[], defaults=[])
    outer = ast.FunctionDef(name="_", args=free, body=[nest], decorator_list=[])
    module = ast.fix_missing_locations(ast.Module(body=[outer], type_ignores=[]))
    filename = function.__code__.co_filename
    code = _find(compile(module, filename, "exec", dont_inherit=True, flags=_future_flags(function)), definition.name)
    return code.replace(co_qualname=function.__code__.co_qualname)


def _future_flags(function: types.FunctionType) -> int:
    import __future__
    features = (getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)
    return function.__code__.co_flags & sum(set(features))


def _find(code: types.CodeType, name: str) -> types.CodeType:
    """The function's code inside `def _: [class X:] def name`."""
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            return constant if constant.co_name == name else _find(constant, name)
    raise AssertionError("compiled function not found")

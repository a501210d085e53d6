"""Walk a tree and write its output: scopes, fields and calls, all paid for.

Errors say where and which name; they never hold a value: values are secrets. Of names only those are shown that stand
in the template's text, or that the caller allows.

Semantics: https://pkg.go.dev/text/template, with ``missingkey=error`` as External Secrets sets it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from keyless.gotemplate.account import Account, LimitMet, Limits
from keyless.gotemplate.arguments import check_count, checked, expected, literal
from keyless.gotemplate.builtins import BUILTINS
from keyless.gotemplate.errors import Problem, TemplateError
from keyless.gotemplate.functions import FUNCTIONS
from keyless.gotemplate.functions.function import Function as Implementation
from keyless.gotemplate.nodes import (
    Action,
    Branch,
    Call,
    Chain,
    Command,
    Constant,
    Dot,
    Function,
    Jump,
    Node,
    Number,
    Operand,
    Pipeline,
    Text,
    Variable,
)
from keyless.gotemplate.parser import Tree
from keyless.gotemplate.printing import shown
from keyless.gotemplate.values import List, Map, Struct, decoded, encoded, truth, type_of, weight_of

_MISSING = object()
KNOWN: Mapping[str, Implementation] = {**BUILTINS, **FUNCTIONS}
# What a function may raise for values that it was not made for; anything else is a fault of ours.
_UNFIT = (TypeError, ValueError, AttributeError, LookupError, ArithmeticError)


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


class Evaluator:
    """Renders one tree once."""

    def __init__(self, tree: Tree, limits: Limits, named: Collection[str]) -> None:
        self._tree, self._limits, self._named = tree, limits, named
        self._account = Account(limits)
        self._out: list[bytes] = []
        self._written = self._calls = 0
        self._line = 1
        self._scope: list[tuple[str, Any]] = []

    def render(self, data: Any) -> bytes:
        """Return the output for ``data``; raises ``TemplateError``."""
        self._scope = [("$", data)]
        try:
            self._walk(self._tree.nodes, data)
        except RecursionError:
            raise self._fault("nested too deeply") from None
        except MemoryError:
            raise self._fault("it needs more memory than there is", limit=True) from None
        except LimitMet as met:
            raise self._fault(str(met), limit=True) from None
        return b"".join(self._out)

    def _fault(self, problem: str, *, limit: bool = False) -> TemplateError:
        return TemplateError(self._tree.name, self._line, problem, limit=limit)

    # nodes

    def _walk(self, nodes: Sequence[Node], dot: Any) -> None:
        for node in nodes:
            self._line = node.line
            self._account.step()
            match node:
                case Text():
                    self._write(node.text)
                case Action():
                    value = self._pipeline(node.pipeline, dot)
                    if not node.pipeline.variables:
                        self._line = node.line
                        self._print(value)
                case Branch():
                    self._branch(node, dot)
                case Call():
                    self._call_template(node, dot)
                case Jump():
                    raise _Break if node.kind == "break" else _Continue

    def _branch(self, node: Branch, dot: Any) -> None:
        mark = len(self._scope)
        if node.kind == "range":
            self._range(node, dot)
        else:
            value = self._pipeline(node.pipeline, dot)
            if truth(value):
                self._walk(node.body, value if node.kind == "with" else dot)
            else:
                self._walk(node.otherwise, dot)
        del self._scope[mark:]

    def _range(self, node: Branch, dot: Any) -> None:
        bare = Pipeline(node.pipeline.line, node.pipeline.commands)
        value = self._pipeline(bare, dot)
        items = self._items(value, node.pipeline)
        mark, empty = len(self._scope), True
        for key, item in items:
            empty = False
            self._account.step()
            self._bind_range(node.pipeline, key, item)
            try:
                self._walk(node.body, item)
            except _Continue:
                continue
            except _Break:
                break
            finally:
                del self._scope[mark:]
        if empty:
            for name in node.pipeline.variables:
                self._set(name, value, assigns=node.pipeline.assigns)
            self._walk(node.otherwise, dot)

    def _bind_range(self, pipeline: Pipeline, key: Any, item: Any) -> None:
        values = (item,) if len(pipeline.variables) == 1 else (key, item)
        for name, value in zip(pipeline.variables, values, strict=False):
            self._set(name, value, assigns=pipeline.assigns)

    def _items(self, value: Any, pipeline: Pipeline) -> Iterator[tuple[Any, Any]]:
        match value:
            case None:
                return iter(())
            case Map():
                self._account.copy(value)
                return iter([(key, value[key]) for key in sorted(value)])
            case List():
                return iter(enumerate(value))
            case bool():
                pass
            case int():
                if len(pipeline.variables) > 1:
                    raise self._fault("range over a number has one variable")
                # Lazily: the steps end it, however large the number is.
                return ((None, type(value)(number)) for number in range(value))
        raise self._fault(f"range can't iterate over a {type_of(value)}")

    def _call_template(self, node: Call, dot: Any) -> None:
        nodes = self._tree.defined.get(node.name)
        if nodes is None:
            raise self._fault(f"template {decoded(node.name)!r} is not defined")
        value = self._pipeline(node.pipeline, dot) if node.pipeline else None
        self._calls += 1
        if self._calls > self._limits.calls:
            raise self._fault(f"templates call one another more than {self._limits.calls} deep", limit=True)
        scope, self._scope = self._scope, [("$", value)]
        self._walk(nodes, value)
        self._scope = scope
        self._calls -= 1

    # pipelines

    def _pipeline(self, pipeline: Pipeline, dot: Any) -> Any:
        self._line = pipeline.line
        value: Any = _MISSING
        for command in pipeline.commands:
            value = self._command(command, dot, value)
        for name in pipeline.variables:
            self._set(name, value, assigns=pipeline.assigns)
        return value

    def _command(self, command: Command, dot: Any, piped: Any) -> Any:
        first, *rest = command.operands
        self._line = command.line
        if isinstance(first, Function):
            return self._call(first, rest, dot, piped)
        if rest or piped is not _MISSING:
            raise self._fault(f"can't give an argument to {_written(first)}: it is no function")
        if isinstance(first, Constant) and first.value is None:
            raise self._fault("nil is not a command")
        return self._operand(first, dot)

    def _operand(self, operand: Operand, dot: Any) -> Any:
        match operand:
            case Chain():
                value = self._operand(operand.operand, dot)
                for name in operand.fields:
                    value = self._field(value, name)
                return value
            case Dot():
                return dot
            case Variable():
                return self._variable(operand.name)
            case Constant():
                return operand.value
            case Pipeline():
                return self._pipeline(operand, dot)
            case Function():
                return self._call(operand, [], dot, _MISSING)
            case Number():
                if operand.value is None:
                    raise self._fault("a number overflows int")
                return operand.value

    def _field(self, value: Any, name: str) -> Any:
        if isinstance(value, Map):
            key = encoded(name)
            if key not in value:
                raise self._fault(f"map has no entry for key {name!r}{_near(name, value, self._named)}")
            return value[key]
        if isinstance(value, Struct) and name in (members := value.members()):
            return members[name]
        if value is None:
            raise self._fault(f"nil has no entry for key {name!r}")
        raise self._fault(
            f"can't evaluate field {name} in type {type_of(value)}; parse it first, for example with fromJson"
        )

    def _variable(self, name: str) -> Any:
        self._account.step(len(self._scope) // 64)
        for known, value in reversed(self._scope):
            if known == name:
                return value
        raise self._fault(f"undefined variable {name!r}")

    def _set(self, name: str, value: Any, *, assigns: bool) -> None:
        if not assigns:
            self._scope.append((name, value))
            return
        self._account.step(len(self._scope) // 64)
        for index in range(len(self._scope) - 1, -1, -1):
            if self._scope[index][0] == name:
                self._scope[index] = (name, value)
                return
        raise self._fault(f"undefined variable {name!r}")

    # calls

    def _call(self, function: Function, operands: Sequence[Operand], dot: Any, piped: Any) -> Any:
        self._account.step()
        name = function.name
        if name in {"and", "or"}:
            return self._short_circuit(name, operands, dot, piped)
        implementation = KNOWN[name]
        arguments: list[Any] = []
        try:
            arguments = self._arguments(implementation, operands, dot, piped)
            self._line = function.line
            self._pay(implementation, arguments)
            value = implementation.run(*([self._account] if implementation.asks else []), *arguments)
            self._pay_result(value)
        except LimitMet as met:
            raise self._fault(f"{name}: {met}", limit=True) from None
        except Problem as problem:
            raise self._fault(f"{name}: {problem}") from None
        except _UNFIT:
            # Python's own text may quote a value; the shape of the call is all that may be told.
            shape = ", ".join(type_of(argument) for argument in arguments)
            raise TemplateError(self._tree.name, self._line, f"{name} does not take ({shape})") from None
        return value

    def _arguments(self, function: Implementation, operands: Sequence[Operand], dot: Any, piped: Any) -> list[Any]:
        check_count(function, len(operands) + (piped is not _MISSING))
        arguments = []
        for position, operand in enumerate(operands):
            letter = expected(function, position)
            if isinstance(operand, Constant | Number):
                arguments.append(literal(operand, letter, position))
            else:
                arguments.append(checked(self._operand(operand, dot), letter, position))
        if piped is not _MISSING:
            arguments.append(checked(piped, expected(function, len(operands)), len(operands)))
        return arguments

    def _pay(self, function: Implementation, arguments: Sequence[Any]) -> None:
        if function.cost == "walk":
            self._account.walk(*arguments)
        elif function.cost == "spell":
            self._account.spell(*arguments)
        elif function.cost == "copy":
            self._account.step(len(arguments))
            self._account.copy(*arguments)

    def _pay_result(self, value: Any) -> None:
        if isinstance(value, bytes):
            self._account.text(len(value))
        elif isinstance(value, List | Map):
            self._account.copy(value)

    def _short_circuit(self, name: str, operands: Sequence[Operand], dot: Any, piped: Any) -> Any:
        if not operands and piped is _MISSING:
            raise self._fault(f"{name} takes at least 1 argument, found 0")
        value: Any = None
        for operand in operands:
            value = self._operand(operand, dot)
            if truth(value) == (name == "or"):
                return value
        return value if piped is _MISSING else piped

    # output

    def _print(self, value: Any) -> None:
        if isinstance(value, List | Map):
            self._account.step(weight_of(value) // 64)
        self._write(shown(value))

    def _write(self, text: bytes) -> None:
        self._written += len(text)
        if self._written > self._limits.output_bytes:
            raise self._fault(f"the output is longer than {self._limits.output_bytes} bytes", limit=True)
        self._account.text(len(text))
        self._out.append(text)


def _written(operand: Operand) -> str:
    match operand:
        case Chain():
            return "." + ".".join(operand.fields)
        case Variable():
            return operand.name
        case Dot():
            return "."
        case _:
            return "a constant"


def _near(name: str, known: Map, named: Collection[str]) -> str:
    """Name what the author may have meant, of the names that may be shown: a key may itself be a secret."""
    wanted = _folded(name)
    here = sorted(key for key in named if encoded(key) in known)
    close = [key for key in here if _folded(key) == wanted]
    if close:
        return f'; did you mean {close[0]!r}? (a key with a dash or dot is read with: index . "{close[0]}")'
    return f"; known names: {', '.join(here[:10])}" if here else ""


def _folded(name: str) -> str:
    return name.replace("_", "").replace("-", "").replace(".", "").lower()

"""Walk a tree and write its output: scopes, fields, calls and the limits that keep a template from running away.

Errors say where and which name; they never hold a value: values are secrets.

Semantics: https://pkg.go.dev/text/template, with ``missingkey=error`` as External Secrets sets it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keyless.gotemplate.builtins import COMPARISONS_AND_MORE, truth
from keyless.gotemplate.errors import Problem, TemplateError
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
    Operand,
    Pipeline,
    Text,
    Variable,
)
from keyless.gotemplate.parser import Tree
from keyless.gotemplate.printing import text_of, type_of

_MISSING = object()


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a rendering may go."""

    output_characters: int = 1 << 20
    calls: int = 100
    steps: int = 200_000


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


class Evaluator:
    """Renders one tree once."""

    def __init__(self, tree: Tree, functions: Mapping[str, Callable[..., Any]], limits: Limits) -> None:
        self._tree = tree
        self._functions = {**COMPARISONS_AND_MORE, **functions}
        self._limits = limits
        self._out: list[str] = []
        self._written = self._steps = self._calls = 0
        self._line = 1
        self._scope: list[tuple[str, Any]] = []

    def render(self, data: Any) -> str:
        """Return the output for ``data``; raises ``TemplateError``."""
        self._scope = [("$", data)]
        try:
            self._walk(self._tree.nodes, data)
        except RecursionError:
            raise self._fault("nested too deeply") from None
        return "".join(self._out)

    def _fault(self, problem: str) -> TemplateError:
        return TemplateError(self._tree.name, self._line, problem)

    # nodes

    def _walk(self, nodes: Sequence[Node], dot: Any) -> None:
        for node in nodes:
            self._line = node.line
            self._step()
            match node:
                case Text():
                    self._write(node.text)
                case Action():
                    value = self._pipeline(node.pipeline, dot)
                    if not node.pipeline.variables:
                        self._line = node.line
                        self._write("<no value>" if value is None else text_of(value))
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
        items = list(self._items(self._pipeline(bare, dot)))
        mark = len(self._scope)
        for key, item in items:
            self._step()
            self._bind_range(node.pipeline, key, item)
            try:
                self._walk(node.body, item)
            except _Continue:
                continue
            except _Break:
                break
            finally:
                del self._scope[mark:]
        if not items:
            self._walk(node.otherwise, dot)

    def _bind_range(self, pipeline: Pipeline, key: Any, item: Any) -> None:
        values = (item,) if len(pipeline.variables) == 1 else (key, item)
        for name, value in zip(pipeline.variables, values, strict=False):
            if pipeline.assigns:
                self._assign(name, value)
            else:
                self._scope.append((name, value))

    def _items(self, value: Any) -> Iterator[tuple[Any, Any]]:
        if value is None:
            return iter(())
        if isinstance(value, dict):
            return iter([(key, value[key]) for key in sorted(value)])
        if isinstance(value, list):
            return iter(list(enumerate(value)))
        if isinstance(value, int) and not isinstance(value, bool):
            return iter([(number, number) for number in range(min(value, self._limits.steps))])
        raise self._fault(f"range can't iterate over a {type_of(value)}")

    def _call_template(self, node: Call, dot: Any) -> None:
        nodes = self._tree.defined.get(node.name)
        if nodes is None:
            raise self._fault(f"template {node.name!r} is not defined")
        value = self._pipeline(node.pipeline, dot) if node.pipeline else None
        self._calls += 1
        if self._calls > self._limits.calls:
            raise self._fault(f"templates call one another more than {self._limits.calls} deep")
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
            if pipeline.assigns:
                self._assign(name, value)
            else:
                self._scope.append((name, value))
        return value

    def _command(self, command: Command, dot: Any, piped: Any) -> Any:
        first, *rest = command.operands
        self._line = command.line
        if isinstance(first, Function):
            return self._call(first, rest, dot, piped)
        if rest or piped is not _MISSING:
            raise self._fault(f"can't give an argument to {_shown(first)}: it is no function")
        return self._operand(first, dot)

    def _operand(self, operand: Operand, dot: Any) -> Any:
        match operand:
            case Constant():
                return operand.value
            case Dot():
                return dot
            case Variable():
                return self._variable(operand.name)
            case Function():
                return self._call(operand, [], dot, _MISSING)
            case Pipeline():
                return self._pipeline(operand, dot)
            case Chain():
                value = self._operand(operand.operand, dot)
                for name in operand.fields:
                    value = self._field(value, name)
                return value

    def _field(self, value: Any, name: str) -> Any:
        if isinstance(value, dict):
            if name not in value:
                raise self._fault(f"map has no entry for key {name!r}{_near(name, value)}")
            return value[name]
        if value is None:
            raise self._fault(f"nil has no entry for key {name!r}")
        raise self._fault(
            f"can't evaluate field {name} in type {type_of(value)}; parse it first, for example with fromJson"
        )

    def _variable(self, name: str) -> Any:
        for known, value in reversed(self._scope):
            if known == name:
                return value
        raise self._fault(f"undefined variable {name!r}")

    def _assign(self, name: str, value: Any) -> None:
        for index in range(len(self._scope) - 1, -1, -1):
            if self._scope[index][0] == name:
                self._scope[index] = (name, value)
                return
        raise self._fault(f"undefined variable {name!r}")

    def _call(self, function: Function, operands: Sequence[Operand], dot: Any, piped: Any) -> Any:
        self._step()
        name = function.name
        if name in {"and", "or"}:
            return self._short_circuit(name, operands, dot, piped)
        implementation = self._functions.get(name)
        if implementation is None:
            raise self._fault(f"function {name!r} is not defined{_near(name, self._functions)}")
        arguments = [self._operand(operand, dot) for operand in operands]
        if piped is not _MISSING:
            arguments.append(piped)
        self._line = function.line
        try:
            value = implementation(*arguments)
        except Problem as problem:
            raise self._fault(f"{name}: {problem}") from None
        except (TypeError, ValueError, AttributeError, LookupError, ArithmeticError, MemoryError):
            # Python's own text may quote a value; the shape of the call is all that may be told.
            shape = ", ".join(type_of(argument) for argument in arguments)
            raise TemplateError(self._tree.name, self._line, f"{name} does not take ({shape})") from None
        if isinstance(value, str) and len(value) > self._limits.output_characters:
            raise self._fault(f"{name}: the result is longer than {self._limits.output_characters} characters")
        return value

    def _short_circuit(self, name: str, operands: Sequence[Operand], dot: Any, piped: Any) -> Any:
        if not operands and piped is _MISSING:
            raise self._fault(f"{name} needs an argument")
        value: Any = None
        for operand in operands:
            value = self._operand(operand, dot)
            if truth(value) == (name == "or"):
                return value
        return value if piped is _MISSING else piped

    # limits

    def _write(self, text: str) -> None:
        self._written += len(text)
        if self._written > self._limits.output_characters:
            raise self._fault(f"the output is longer than {self._limits.output_characters} characters")
        self._out.append(text)

    def _step(self) -> None:
        self._steps += 1
        if self._steps > self._limits.steps:
            raise self._fault(f"more than {self._limits.steps} steps")


def _shown(operand: Operand) -> str:
    match operand:
        case Chain():
            return "." + ".".join(operand.fields)
        case Variable():
            return operand.name
        case Dot():
            return "."
        case _:
            return "a constant"


def _near(name: str, known: Mapping[str, Any]) -> str:
    """Name what the author may have meant: what they wrote but for dashes and dots. Others may be values."""
    wanted = name.replace("_", "").replace("-", "").lower()
    close = sorted(k for k in known if k.replace("_", "").replace("-", "").replace(".", "").lower() == wanted)
    if close:
        return f'; did you mean {close[0]!r}? (a key with a dash or dot is read with: index . "{close[0]}")'
    return ""

"""The most that a rule can cost, for the largest value that its schema lets in. Pure.

Each step adds what it costs itself; a loop costs its step as often as its list can be long. Units and
factors are those of CEL's own estimate: docs/reference/facts/cel-cost.md.
"""

from __future__ import annotations

from keyless.local.cluster.schema.costs.calls import call_cost
from keyless.local.cluster.schema.costs.declarations import DYN, STRING, Decl
from keyless.local.cluster.schema.costs.ranges import MOST, NOTHING, ONE, Range, exactly
from keyless.local.cluster.schema.costs.syntax import (
    Call,
    Expr,
    Fold,
    Ident,
    ListLiteral,
    Literal,
    MapLiteral,
    Select,
)
from keyless.local.cluster.schema.costs.values import Entry, Path, Value, joined

LIST_COST, MAP_COST = exactly(10), exactly(30)


def estimated(expression: Expr, root: Decl, *, optional_old: bool = False) -> Range:
    """Cost of a rule about values of type ``root``; ``optional_old``: ``oldSelf`` is an optional of them."""
    old = Decl("optional", element=root) if optional_old else root
    return _Estimate(root, {"self": root, "oldSelf": old}).value(expression).cost


class _Estimate:
    def __init__(self, root: Decl, variables: dict[str, Decl]) -> None:
        self.root = root
        self.variables = variables
        self.scopes: dict[str, list[Value]] = {}

    def value(self, expr: Expr) -> Value:
        match expr:
            case Literal():
                return Value(type=Decl(expr.kind), known=exactly(expr.size), literal=expr.number)
            case Ident():
                return self._ident(expr.name)
            case Select():
                return self._select(expr)
            case Call():
                return self._call(expr)
            case ListLiteral():
                return self._list(expr)
            case MapLiteral():
                return self._map(expr)
            case Fold():
                return self._bind(expr) if expr.is_bind else self._fold(expr)

    def _call(self, expr: Call) -> Value:
        args = [self.value(arg) for arg in expr.args]
        for arg in args:
            _ = arg.size
        target = None if expr.target is None else self.value(expr.target)
        made = call_cost(expr.function, target, args)
        if expr.function == "_[_]":
            # ``list[0]`` and ``map[key]`` have a place in the schema, as fields have.
            made.path = self._below(args[0], "@items" if args[0].type.kind == "list" else "@values")
            _ = made.size
        return made

    def _ident(self, name: str) -> Value:
        known = self.scopes.get(name)
        if known:
            found = known[-1]
            return Value(ONE, found.type, found.path, None, found.entry, found.assigned)
        # Also the name of a type: the server, too, takes a name that is no variable for the root.
        return Value(ONE, self.variables.get(name, DYN), Path.of(self.root, name))

    def _select(self, expr: Select) -> Value:
        operand = self.value(expr.operand)
        if expr.is_test:
            return Value(operand.cost, Decl("bool"))
        own = ONE if operand.type.kind in {"map", "object"} else NOTHING
        path = self._below(operand, expr.field)
        return Value(operand.cost.plus(own), _field_type(operand.type, expr.field), path)

    def _below(self, operand: Value, name: str) -> Path:
        # A value without a place makes one whose first name stands for the root: so does the server.
        return Path.of(self.root, name) if operand.path is None else operand.path.below(name)

    def _list(self, expr: ListLiteral) -> Value:
        items = [self.value(item) for item in expr.items]
        kind = items[0].type if items else None
        for item in items[1:]:
            kind = joined(kind or DYN, item.type)
        entry = Entry("list", ONE, _either([item.extent for item in items]))
        cost = _sum([item.cost for item in items]).plus(LIST_COST)
        return Value(cost, Decl("list", element=kind), None, exactly(len(items)), entry)

    def _map(self, expr: MapLiteral) -> Value:
        pairs = [(self.value(key), self.value(value)) for key, value in expr.entries]
        kind = pairs[0][1].type if pairs else None
        for _, value in pairs[1:]:
            kind = joined(kind or DYN, value.type)
        keys, values = (_either([pair[side].extent for pair in pairs]) for side in (0, 1))
        cost = _sum([side.cost for pair in pairs for side in pair]).plus(MAP_COST)
        made = Decl("map", element=kind, key=STRING)
        return Value(cost, made, None, exactly(len(pairs)), Entry("map", keys, values))

    def _bind(self, expr: Fold) -> Value:
        over, start = self.value(expr.over), self.value(expr.start)
        self._push(expr.result_name, _variable(start))
        result = self.value(expr.result)
        self.scopes[expr.result_name].pop()
        cost = over.cost.plus(start.cost).plus(result.cost)
        return Value(cost, result.type, None, result.size, result.entry)

    def _fold(self, expr: Fold) -> Value:
        over, start = self.value(expr.over), self.value(expr.start)
        self._push(expr.result_name, _variable(start))
        self._push(expr.item, self._item(over))
        condition, step = self.value(expr.condition), self.value(expr.step)
        self.scopes[expr.item].pop()
        # Of a list that grows from nothing the step alone tells the items' type.
        self.scopes[expr.result_name][-1].type = step.type
        result = self.value(expr.result)
        self.scopes[expr.result_name].pop()
        looped = over.extent.times(step.cost.plus(condition.cost))
        cost = over.cost.plus(start.cost).plus(result.cost).plus(looped)
        if isinstance(expr.start, Literal):
            return Value(cost, result.type, None, start.known)
        return Value(cost, result.type, None, over.extent, step.entry)

    def _item(self, over: Value) -> Value:
        entry = over.entry
        if (entry.container if entry is not None else over.type.kind) == "list":
            size = entry.value if entry is not None else None
            return Value(type=over.type.element or DYN, path=self._below(over, "@items"), assigned=size)
        size = entry.key if entry is not None else None
        return Value(type=over.type.key or DYN, path=self._below(over, "@keys"), assigned=size)

    def _push(self, name: str, value: Value) -> None:
        self.scopes.setdefault(name, []).append(value)


def _field_type(kind: Decl, name: str) -> Decl:
    """The type of a field; dynamic where the schema does not tell."""
    if kind.kind == "optional" and kind.element is not None:
        return Decl("optional", element=_field_type(kind.element, name))
    if kind.kind == "map":
        return kind.element or DYN
    return kind.fields.get(name, DYN)


def _variable(bound: Value) -> Value:
    return Value(type=bound.type, path=bound.path, assigned=bound.size, entry=bound.entry)


def _sum(costs: list[Range]) -> Range:
    total = NOTHING
    for cost in costs:
        total = total.plus(cost)
    return total


def _either(sizes: list[Range]) -> Range:
    found = Range(MOST, 0) if sizes else NOTHING
    for size in sizes:
        found = found.or_(size)
    return found

"""What a call costs beside its arguments, how large its result is and of which type. Pure.

One table for each: what is not in it costs one unit. Figures: docs/reference/facts/cel-cost.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from keyless.local.cluster.schema.costs.declarations import BOOL, BYTES, DOUBLE, DYN, INT, STRING, Decl
from keyless.local.cluster.schema.costs.ranges import MOST, NOTHING, ONE, Range
from keyless.local.cluster.schema.costs.values import Entry, Value, joined

STRING_FACTOR, REGEX_FACTOR = 0.1, 0.25
"""A character looked at; a character of a regular expression, for each character that it is tried on."""
ADDRESS = Range(4, 16)
"""Bytes of an IPv4 and of an IPv6 address."""
OPAQUE_EQUALS = frozenset({"ip", "cidr", "quantity"})
TEXTS = frozenset({"string", "bytes", "dyn"})


@dataclass(frozen=True, slots=True)
class Made:
    """A call's own cost, and what its result is known to be."""

    cost: Range = ONE
    size: Range | None = None
    entry: Entry | None = None


def call_cost(function: str, target: Value | None, args: list[Value]) -> Value:
    """The call with its target and arguments."""
    kind = result_type(function, target, args)
    before = target.cost if target is not None else NOTHING
    if function in {"_&&_", "_||_"}:
        left, right = args
        return Value(Range(left.cost.least, left.cost.plus(right.cost).most), kind)
    if function == "_?_:_":
        return _conditional(args, kind)
    if function == "dyn":
        return Value(args[0].cost.plus(ONE), DYN, None, args[0].size, args[0].entry)
    made = _made(function, target, args)
    for arg in args:
        before = before.plus(arg.cost)
    return Value(before.plus(made.cost), kind, None, made.size, made.entry)


def _conditional(args: list[Value], kind: Decl) -> Value:
    asked, one, other = args
    entry = one.entry.or_(other.entry) if one.entry is not None else None
    return Value(asked.cost.plus(one.cost.or_(other.cost)), kind, None, one.extent.or_(other.extent), entry)


def _made(function: str, target: Value | None, args: list[Value]) -> Made:
    if function in OPERATORS and len(args) == 2:
        return OPERATORS[function](args[0], args[1])
    if target is not None and function in METHODS:
        return METHODS[function](target, args)
    if target is None and args and function in FUNCTIONS:
        return FUNCTIONS[function](args)
    return Made()


# Operators.


def _equal(left: Value, right: Value) -> Made:
    if left.type.kind == right.type.kind:
        if left.type.kind in OPAQUE_EQUALS:
            return Made()
        if left.type.kind == "url":
            size = right.size if right.size is not None else ONE
            return Made(Range(1, size.most).scaled(STRING_FACTOR))
    return _compared(left, right)


def _compared(left: Value, right: Value) -> Made:
    most = min(left.extent.most, right.extent.most)
    return Made(Range(1 if most else 0, most).scaled(STRING_FACTOR))


def _ordered(left: Value, right: Value) -> Made:
    """Texts are looked through; what may be a text or a number costs the dearer of both."""
    kinds = {left.type.kind, right.type.kind}
    if not kinds <= TEXTS:
        return Made()
    made = _compared(left, right)
    return made if "dyn" not in kinds else Made(made.cost.or_(ONE))


def _added(left: Value, right: Value) -> Made:
    size = left.extent.plus(right.extent)
    entry = left.entry.or_(right.entry) if left.entry is not None else None
    kinds = {left.type.kind, right.type.kind}
    if kinds <= {"string", "bytes"}:
        return Made(size.scaled(STRING_FACTOR), size, entry)
    if kinds == {"list"}:
        return Made(ONE, size, entry)
    if kinds <= TEXTS:
        return Made(size.scaled(STRING_FACTOR).or_(ONE), size, entry)
    return Made(ONE, size if "list" in kinds else None, entry)


def _contained(_: Value, right: Value) -> Made:
    if right.type.kind == "map":
        return Made()
    return Made(right.extent if right.type.kind == "list" else right.extent.or_(ONE))


def _at(left: Value, _: Value) -> Made:
    return Made(ONE, left.entry.value if left.entry is not None else None)


OPERATORS: dict[str, Callable[[Value, Value], Made]] = {
    "_==_": _equal,
    "_!=_": _compared,
    "_<_": _ordered,
    "_<=_": _ordered,
    "_>_": _ordered,
    "_>=_": _ordered,
    "_+_": _added,
    "@in": _contained,
    "_[_]": _at,
}

# Methods of texts and lists.


def _searched(target: Value, _: list[Value]) -> Made:
    if target.type.kind != "list" or target.type.element is None:
        return Made(target.extent.scaled(STRING_FACTOR))
    cost = ONE
    if target.type.element.kind in {"string", "bytes"}:
        # The items' length is told by the schema alone: that of a list which the rule made is not known.
        place = target.path.decl.element if target.path is not None and target.path.decl is not None else None
        size = Range(0, place.most) if place is not None else Range(0, MOST)
        cost = cost.plus(size.scaled(STRING_FACTOR))
    return Made(target.extent.times(cost))


def _traversed(target: Value, _: list[Value]) -> Made:
    return Made(target.extent.scaled(STRING_FACTOR), target.extent)


def _affix(_: Value, args: list[Value]) -> Made:
    return Made(args[0].extent.scaled(STRING_FACTOR))


def _pattern(target: Value, args: list[Value]) -> Range:
    text = target.extent.plus(ONE).scaled(STRING_FACTOR)
    return text.times(args[0].extent.scaled(REGEX_FACTOR))


def _replaced(target: Value, args: list[Value]) -> Made:
    size, old, new = target.extent, args[0].extent, args[1].extent
    most = _replacements(size.most, old.least, grows=new.most > old.least)
    least = _replacements(size.least, old.most, grows=old.most > new.least)
    longest = Range(0, most[0]).times(Range(0, new.most)).most
    shortest = min(least[0] * new.least, MOST)
    found = Range(min(shortest + least[1], MOST), min(longest + most[1], MOST))
    return Made(size.scaled(2 * STRING_FACTOR), found)


def _replacements(size: int, replaced: int, *, grows: bool) -> tuple[int, int]:
    """How many there are at most, and how many of the characters stay beside them."""
    if replaced == 0:
        return min(size + 1, MOST), size
    return (-(-size // replaced), 0) if grows else (0, size)


def _split(target: Value, args: list[Value]) -> Made:
    limit = args[1].literal if len(args) > 1 else None
    most = target.extent.most if limit is None else limit % (MOST + 1)
    return Made(target.extent.scaled(2 * STRING_FACTOR), Range(0, most))


def _joined(target: Value, args: list[Value]) -> Made:
    count, size = target.extent, NOTHING
    if target.type.element is not None:
        place = target.path.decl.element if target.path is not None and target.path.decl is not None else None
        size = count.times(Range(0, place.most) if place is not None else Range(0, MOST))
    if args:
        between = Range(max(count.least - 1, 0), max(count.most - 1, 0))
        size = size.plus(args[0].extent.times(between))
    return Made(size.scaled(STRING_FACTOR), size)


def _contains_text(target: Value, args: list[Value]) -> Made:
    return Made(target.extent.scaled(STRING_FACTOR).times(args[0].extent.scaled(STRING_FACTOR)))


def _in_network(*, masked: bool) -> Callable[[Value, list[Value]], Made]:
    def made(_: Value, args: list[Value]) -> Made:
        cost = ADDRESS.plus(ADDRESS).scaled(STRING_FACTOR)
        if masked:
            cost = cost.plus(ADDRESS.scaled(STRING_FACTOR)).plus(ONE)
        if args[0].type.kind in {"string", "dyn"}:
            cost = cost.plus(args[0].extent.scaled(STRING_FACTOR))
        return Made(cost)

    return made


METHODS: dict[str, Callable[[Value, list[Value]], Made]] = {
    **dict.fromkeys(("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"), _searched),
    **dict.fromkeys(("lowerAscii", "upperAscii", "substring", "trim"), _traversed),
    **dict.fromkeys(("startsWith", "endsWith"), _affix),
    **dict.fromkeys(
        ("find", "findAll"), lambda target, args: Made(_pattern(target, args), Range(0, target.extent.most))
    ),
    "matches": lambda target, args: Made(_pattern(target, args)),
    "replace": _replaced,
    "split": _split,
    "join": _joined,
    "contains": _contains_text,
    "format": lambda target, _: Made(target.extent.scaled(STRING_FACTOR)),
    "containsIP": _in_network(masked=False),
    "containsCIDR": _in_network(masked=True),
}

# Functions.


def _parsed(factor: float, *, keeps_size: bool = False) -> Callable[[list[Value]], Made]:
    def made(args: list[Value]) -> Made:
        size = args[0].extent
        return Made(size.scaled(factor), size if keeps_size else None)

    return made


def _sets(factor: int) -> Callable[[list[Value]], Made]:
    return lambda args: Made(args[0].extent.times(args[1].extent).scaled(factor).plus(ONE))


def _bytes_of(args: list[Value]) -> Made:
    size = args[0].extent
    if args[0].type.kind not in {"string", "dyn"}:
        return Made()
    return Made(size.scaled(STRING_FACTOR), Range(size.least, min(size.most * 4, MOST)))


def _string_of(args: list[Value]) -> Made:
    size = args[0].extent
    if args[0].type.kind != "bytes":
        return Made()
    return Made(size.scaled(STRING_FACTOR), Range(size.least // 4, size.most))


def _quoted(args: list[Value]) -> Made:
    size = args[0].extent
    return Made(size.scaled(STRING_FACTOR), Range(size.least + 2, min(size.most * 2 + 2, MOST)))


FUNCTIONS: dict[str, Callable[[list[Value]], Made]] = {
    "url": _parsed(STRING_FACTOR, keeps_size=True),
    **dict.fromkeys(("cidr", "ip", "isIP", "isCIDR", "quantity", "isQuantity"), _parsed(STRING_FACTOR)),
    "ip.isCanonical": _parsed(2 * STRING_FACTOR),
    "bytes": _bytes_of,
    "string": _string_of,
    "strings.quote": _quoted,
    "sets.contains": _sets(1),
    "sets.intersects": _sets(1),
    "sets.equivalent": _sets(2),
}

# Types of results.

TEXT_LIST = Decl("list", element=STRING)
RESULTS: dict[str, Decl] = {
    **dict.fromkeys(
        ("_&&_", "_||_", "!_", "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "@in", "@not_strictly_false", "bool"), BOOL
    ),
    **dict.fromkeys(("startsWith", "endsWith", "matches", "contains", "isSorted", "hasValue", "isURL"), BOOL),
    **dict.fromkeys(("isIP", "isCIDR", "isQuantity", "isInteger", "isLessThan", "isGreaterThan"), BOOL),
    **dict.fromkeys(("containsIP", "containsCIDR", "ip.isCanonical", "isUnspecified", "isLoopback"), BOOL),
    **dict.fromkeys(("isLinkLocalMulticast", "isLinkLocalUnicast", "isGlobalUnicast"), BOOL),
    **dict.fromkeys(("sets.contains", "sets.intersects", "sets.equivalent"), BOOL),
    **dict.fromkeys(("size", "int", "indexOf", "lastIndexOf", "compareTo", "sign", "asInteger"), INT),
    **dict.fromkeys(("family", "prefixLength", "_%_"), INT),
    **dict.fromkeys(("getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear"), INT),
    **dict.fromkeys(("getHours", "getMinutes", "getSeconds", "getMilliseconds"), INT),
    **dict.fromkeys(("double", "asApproximateFloat"), DOUBLE),
    **dict.fromkeys(("string", "charAt", "lowerAscii", "upperAscii", "replace", "substring", "trim"), STRING),
    **dict.fromkeys(("format", "join", "strings.quote", "find", "reverse"), STRING),
    **dict.fromkeys(("getScheme", "getHost", "getHostname", "getPort", "getEscapedPath"), STRING),
    **dict.fromkeys(("split", "findAll"), TEXT_LIST),
    "getQuery": Decl("map", element=TEXT_LIST, key=STRING),
    "bytes": BYTES,
    "uint": Decl("uint"),
    "timestamp": Decl("timestamp"),
    "duration": Decl("duration"),
    "url": Decl("url"),
    "ip": Decl("ip"),
    "cidr": Decl("cidr"),
    "masked": Decl("cidr"),
    **dict.fromkeys(("quantity", "add", "sub"), Decl("quantity")),
}


def result_type(function: str, target: Value | None, args: list[Value]) -> Decl:
    """The type of what the call returns; dynamic where it is not known."""
    if function in RESULTS:
        return RESULTS[function]
    if function == "_?_:_":
        return joined(args[1].type, args[2].type)
    if function in {"_+_", "_-_", "_*_", "_/_"}:
        return _sum_type(args)
    if function in {"-_", "optional.of", "optional.ofNonZeroValue"}:
        return args[0].type if function == "-_" else Decl("optional", element=args[0].type)
    if function in {"_[_]", "_[?_]", "_?._"}:
        return _part_type(function, args)
    if target is not None and function in {"sum", "min", "max", "value", "orValue"}:
        return target.type.element or DYN
    return target.type if target is not None and function == "or" else DYN


def _sum_type(args: list[Value]) -> Decl:
    kinds = [arg.type for arg in args]
    if all(kind.kind == "list" for kind in kinds):
        return joined(*kinds)
    return next((kind for kind in kinds if kind.kind not in {"dyn", "duration"}), kinds[0])


def _part_type(function: str, args: list[Value]) -> Decl:
    kind = args[0].type
    inner = kind.element if kind.kind == "optional" and kind.element is not None else kind
    found = inner.element or DYN
    return found if function == "_[_]" else Decl("optional", element=found)

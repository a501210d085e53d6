"""What the estimate knows of an expression: its cost, its type, where in the schema it comes from, how large it is."""

from __future__ import annotations

from dataclasses import dataclass, field

from keyless.local.cluster.schema.costs.declarations import DYN, Decl
from keyless.local.cluster.schema.costs.ranges import NOTHING, ONE, UNKNOWN, Range

SCALARS = frozenset({"bool", "double", "duration", "int", "timestamp", "uint"})


class Path:
    """Where in the schema a value comes from: names below a variable, ``@items``, ``@keys`` and ``@values`` among them.

    The server keeps these names in slices that share their memory: two names that are added to one path take one place,
    and the later is what both paths end with from then on. What it estimates of a rule that names two fields of an item
    follows from that, so it is the same here; room doubles as that of Go's slices does.
    """

    __slots__ = ("_length", "_names", "_root")

    def __init__(self, root: Decl, names: list[str], length: int) -> None:
        self._root, self._names, self._length = root, names, length

    @classmethod
    def of(cls, root: Decl, name: str) -> Path:
        """A path of one name."""
        return cls(root, [name], 1)

    def below(self, name: str) -> Path:
        """This path and one name more."""
        if self._length == len(self._names):
            room = [""] * (self._length - 1)
            return Path(self._root, [*self._names, name, *room], self._length + 1)
        self._names[self._length] = name
        return Path(self._root, self._names, self._length + 1)

    @property
    def decl(self) -> Decl | None:
        """What the schema says there; None where it says nothing. The first name is the variable's, whichever it is."""
        found: Decl | None = self._root
        for name in self._names[1 : self._length]:
            if found is None:
                return None
            if name in {"@items", "@values"}:
                found = found.element
            else:
                found = found.key if name == "@keys" else found.fields.get(name)
        return found


@dataclass(frozen=True, slots=True)
class Entry:
    """How large the keys and the values of a list or map are that the rule itself makes."""

    container: str
    key: Range
    value: Range

    def or_(self, other: Entry | None) -> Entry | None:
        """Either; nothing is known where it is not of both."""
        if other is None:
            return None
        return Entry(self.container, self.key.or_(other.key), self.value.or_(other.value))


@dataclass(slots=True)
class Value:
    """An expression, estimated."""

    cost: Range = NOTHING
    type: Decl = field(default=DYN)
    path: Path | None = None
    known: Range | None = None
    """The size, where it follows from the expression itself."""
    entry: Entry | None = None
    assigned: Range | None = None
    """The size of the variable's value, asked last."""
    literal: int | None = None

    @property
    def size(self) -> Range | None:
        """From the expression, else from the schema, else from the type, else from the variable."""
        if self.known is not None:
            return self.known
        place = self.path.decl if self.path is not None else None
        if place is not None:
            # Found once, and kept: what the path ends with may change.
            self.known = Range(0, place.most)
            return self.known
        return ONE if is_scalar(self.type) else self.assigned

    @property
    def extent(self) -> Range:
        """The size, without bound where nothing tells it."""
        found = self.size
        return UNKNOWN if found is None else found


def is_scalar(kind: Decl) -> bool:
    """Whether all values of the type are of one size."""
    if kind.kind == "optional" and kind.element is not None:
        return is_scalar(kind.element)
    return kind.kind in SCALARS


def joined(one: Decl, other: Decl) -> Decl:
    """The type of what is one or the other."""
    if one.kind != other.kind:
        return other if one.kind == "null" else one if other.kind == "null" else DYN
    return one if one.element is not None else other

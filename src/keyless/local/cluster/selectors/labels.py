"""Label selectors, as text (``a=b,c in (d,e),!f``) and as objects (``matchLabels``, ``matchExpressions``).

Grammar: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keyless.api.numbers import whole_number
from keyless.local.cluster.faults import Malformed

TOKEN = re.compile(r"\s*(?:(?P<operator>==|!=|=|!|<|>|\(|\)|,)|(?P<word>[^\s=!<>(),]+))")
NAME = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)")
PREFIX = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?")
EXPRESSIONS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "absent"}


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label; ``operator`` is in, notin, exists, absent, gt or lt."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the labels fulfil it; ``notin`` also holds where the label is missing."""
        found = labels.get(self.key)
        if self.operator == "in":
            return found in self.values
        if self.operator == "notin":
            return found not in self.values
        if self.operator == "exists":
            return found is not None
        if self.operator == "absent":
            return found is None
        return self._compares(found)

    def _compares(self, found: str | None) -> bool:
        try:
            left, right = whole_number(found or ""), whole_number(next(iter(self.values)))
        except ValueError:
            return False
        return left > right if self.operator == "gt" else left < right


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """All requirements must hold; none selects everything."""

    requirements: tuple[Requirement, ...] = ()

    @classmethod
    def parse(cls, text: str) -> LabelSelector:
        """Read the query parameter; raises ``Malformed``."""
        return cls(tuple(_Parser(text).requirements()))

    @classmethod
    def from_object(cls, selector: Mapping[str, Any] | None) -> LabelSelector:
        """Read a ``metav1.LabelSelector``; ``None`` selects nothing, an empty one everything."""
        if selector is None:
            return NOTHING
        found = [
            Requirement(key, "in", frozenset([value])) for key, value in (selector.get("matchLabels") or {}).items()
        ]
        for expression in selector.get("matchExpressions") or ():
            operator = EXPRESSIONS.get(expression.get("operator", ""))
            if operator is None:
                raise Malformed(f'"{expression.get("operator", "")}" is not a valid label selector operator')
            found.append(Requirement(expression.get("key", ""), operator, frozenset(expression.get("values") or ())))
        return cls(tuple(found))

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        """Whether an object with these labels is selected."""
        present = labels or {}
        return all(requirement.matches(present) for requirement in self.requirements)


NOTHING = LabelSelector((Requirement("", "in"),))


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens: list[str] = []
        end = len(text.rstrip())
        position = 0
        while position < end:
            match = TOKEN.match(text, position)
            if match is None:
                raise Malformed(f"unable to parse requirement: found '{text[position:]}'")
            self.tokens.append(match["operator"] or match["word"])
            position = match.end()
        self.position = 0

    def requirements(self) -> list[Requirement]:
        found: list[Requirement] = []
        while self.position < len(self.tokens):
            found.append(self._requirement())
            if self.position < len(self.tokens):
                self._expect(",")
                if self.position == len(self.tokens):
                    raise Malformed("found '', expected: identifier after ','")
        return found

    def _next(self) -> str:
        token = self.tokens[self.position] if self.position < len(self.tokens) else ""
        self.position += 1
        return token

    def _peek(self) -> str:
        return self.tokens[self.position] if self.position < len(self.tokens) else ""

    def _expect(self, token: str) -> None:
        found = self._next()
        if found != token:
            raise Malformed(f"unable to parse requirement: found '{found}', expected: '{token}'")

    def _requirement(self) -> Requirement:
        if self._peek() == "!":
            self._next()
            return Requirement(self._key(), "absent")
        key = self._key()
        operator = self._peek()
        if operator in {"", ","}:
            return Requirement(key, "exists")
        self._next()
        if operator in {"=", "=="}:
            return Requirement(key, "in", frozenset([self._value()]))
        if operator == "!=":
            return Requirement(key, "notin", frozenset([self._value()]))
        if operator in {"in", "notin"}:
            return Requirement(key, operator, self._values())
        if operator in {"<", ">"}:
            return Requirement(key, "gt" if operator == ">" else "lt", frozenset([self._value()]))
        raise Malformed(f"unable to parse requirement: found '{operator}', expected: in, notin, =, ==, !=, gt, lt")

    def _key(self) -> str:
        key = self._next()
        prefix, slash, name = key.rpartition("/")
        if not NAME.fullmatch(name) or (slash and not PREFIX.fullmatch(prefix)):
            raise Malformed(
                f'unable to parse requirement: <nil>: Invalid value: "{key}": name part must consist of '
                "alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
                "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
                "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
            )
        return key

    def _value(self) -> str:
        if self._peek() in {"", ","}:
            return ""
        value = self._next()
        if not NAME.fullmatch(value):
            raise Malformed(
                f'unable to parse requirement: <nil>: Invalid value: "{value}": a valid label must be an '
                "empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
                "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex "
                "used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
            )
        return value

    def _values(self) -> frozenset[str]:
        self._expect("(")
        found: set[str] = set()
        while True:
            word = self._next()
            if word == ")" and not found:
                return frozenset([""])
            if word in {"", "(", ")", ","}:
                found.add("")
                self.position -= 1
            else:
                self.position -= 1
                found.add(self._value())
            closing = self._next()
            if closing == ")":
                return frozenset(found)
            if closing != ",":
                raise Malformed(f"unable to parse requirement: found '{closing}', expected: ',' or ')'")

"""As much of PromQL as the chart's alerts are written in, over what a scrape reads from our own registries.

Instant vectors, ranges, label matchers, the functions and operators of the table below; whatever else an expression
says is refused, so that no alert is taken for evaluated. Rules: https://prometheus.io/docs/prometheus/latest/querying/
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

Labels = tuple[tuple[str, str], ...]
Vector = dict[Labels, float]
Value = Vector | float
LOOKBACK = 300.0
"""Seconds for which the last value of a series counts."""
_TOKEN = re.compile(
    r'\s*(?:(?P<number>\d+(?:\.\d+)?)(?![\w.])|(?P<range>\[\d+[smhd]\])|(?P<word>[a-zA-Z_]\w*)|(?P<text>"[^"]*")'
    r"|(?P<sign>[=!<>]=|[-+*/<>=(){},]))"
)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne
}  # fmt: skip
_ARITHMETIC: dict[str, Callable[[float, float], float]] = {"+": operator.add, "-": operator.sub, "*": operator.mul}
# What binds loosest comes first.
_LEVELS: tuple[tuple[str, ...], ...] = (("or",), ("and",), tuple(_COMPARISONS), ("+", "-"), ("*",))


@dataclass
class Scraped:
    """What Prometheus keeps: series by their labels (``__name__`` among them), each with its samples in order."""

    series: dict[Labels, list[tuple[float, float]]] = field(default_factory=dict)

    def scrape(self, registry: CollectorRegistry, at: float, **target: str) -> None:
        """As a ServiceMonitor has it: a label that the target has, too, becomes ``exported_…``."""
        for family in text_string_to_metric_families(generate_latest(registry).decode()):
            for sample in family.samples:
                own = {f"exported_{name}" if name in target else name: value for name, value in sample.labels.items()}
                labels = _labels({**own, **target, "__name__": sample.name})
                self.series.setdefault(labels, []).append((at, sample.value))

    def evaluate(self, expression: str, at: float) -> Value:
        """The value of an expression at a time; raises ``ValueError`` where it says what is not known here."""
        parser = _Parser(_tokens(expression), self, at)
        found = parser.binary(0)
        if parser.left:
            raise ValueError(f"{expression}: not read from {parser.left[0]!r} on")
        return found


def _labels(named: dict[str, str]) -> Labels:
    return tuple(sorted(named.items()))


def _unnamed(labels: Labels) -> Labels:
    return tuple(pair for pair in labels if pair[0] != "__name__")


def _tokens(text: str) -> list[str]:
    found, at = [], 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"{text}: not read from {text[at:]!r} on")
        found.append(match[0].strip())
        at = match.end()
    return found


@dataclass
class _Parser:
    left: list[str]
    scraped: Scraped
    at: float

    def take(self, *expected: str) -> str:
        if not self.left or (expected and self.left[0] not in expected):
            raise ValueError(f"expected {' or '.join(expected) or 'more'}, found {self.left[:1]}")
        return self.left.pop(0)

    def binary(self, level: int) -> Value:
        if level == len(_LEVELS):
            return self.single()
        found = self.binary(level + 1)
        while self.left and self.left[0] in _LEVELS[level]:
            found = _combined(self.take(), found, self.binary(level + 1))
        return found

    def single(self) -> Value:
        word = self.take()
        if word == "(":
            found = self.binary(0)
            self.take(")")
            return found
        if word[0].isdigit():
            return float(word)
        if self.left[:1] in (["("], ["by"]):
            return self.function(word)
        series = self.selected(word)
        recent = {labels: samples[-1] for labels, samples in series.items() if samples}
        return {labels: value for labels, (at, value) in recent.items() if self.at - at < LOOKBACK}

    def function(self, word: str) -> Value:
        by: list[str] = []
        if self.left[0] == "by":
            self.take("by")
            by = self.listed()
        self.take("(")
        if word in _OF_RANGES:
            name = self.take()
            ranged = self.selected(name, of_range=True)
            self.take(")")
            made = {_unnamed(labels): _OF_RANGES[word](samples) for labels, samples in ranged.items()}
            return {labels: value for labels, value in made.items() if value is not None}
        arguments = [] if self.left[0] == ")" else [self.binary(0)]
        self.take(")")
        return self.called(word, arguments, by)

    def called(self, word: str, arguments: list[Value], by: list[str]) -> Value:
        if word == "time" and not arguments:
            return self.at
        (argument,) = arguments
        if word == "vector" and isinstance(argument, float):
            return {(): argument}
        if not isinstance(argument, dict):
            raise ValueError(f"{word}: expected a vector")
        if word == "abs":
            return {_unnamed(labels): abs(value) for labels, value in argument.items()}
        if word not in ("sum", "max"):
            raise ValueError(f"{word}: not known here")
        groups: dict[Labels, list[float]] = {}
        for labels, value in argument.items():
            groups.setdefault(tuple(pair for pair in labels if pair[0] in by), []).append(value)
        return {labels: (sum if word == "sum" else max)(values) for labels, values in groups.items()}

    def listed(self) -> list[str]:
        self.take("(")
        found = [self.take()]
        while self.take(",", ")") == ",":
            found.append(self.take())
        return found

    def selected(self, name: str, *, of_range: bool = False) -> dict[Labels, list[tuple[float, float]]]:
        matchers = [("__name__", "=", name)]
        if self.left[:1] == ["{"]:
            self.take("{")
            while True:
                matchers.append((self.take(), self.take("=", "!="), self.take().strip('"')))
                if self.take(",", "}") == "}":
                    break
        since = -float("inf")
        if of_range:
            told = self.take()
            since = self.at - int(told[1:-2]) * _SECONDS[told[-2]]
        return {
            labels: [sample for sample in samples if since < sample[0] <= self.at]
            for labels, samples in self.scraped.series.items()
            if all((dict(labels).get(key, "") == value) is (sign == "=") for key, sign, value in matchers)
        }


def _rate(samples: list[tuple[float, float]]) -> float | None:
    """Of a counter, which begins anew from 0. Not extrapolated: Prometheus does, alike for all series of a target."""
    if len(samples) < 2:
        return None
    more = sum(after - before if after >= before else after for (_, before), (_, after) in pairwise(samples))
    return more / (samples[-1][0] - samples[0][0])


def _most(samples: list[tuple[float, float]]) -> float | None:
    return max((value for _, value in samples), default=None)


_OF_RANGES: dict[str, Callable[[list[tuple[float, float]]], float | None]] = {"rate": _rate, "max_over_time": _most}


def _combined(sign: str, one: Value, other: Value) -> Value:
    if sign in ("or", "and"):
        assert isinstance(one, dict)
        assert isinstance(other, dict)
        there = {_unnamed(labels) for labels in (one if sign == "or" else other)}
        if sign == "or":
            return {**one, **{labels: value for labels, value in other.items() if _unnamed(labels) not in there}}
        return {labels: value for labels, value in one.items() if _unnamed(labels) in there}
    pairs = _pairs(one, other)
    if sign in _COMPARISONS:
        # A comparison keeps the left side, or the vector where the left is a number.
        return {labels: (a if isinstance(one, dict) else b) for labels, a, b in pairs if _COMPARISONS[sign](a, b)}
    return {_unnamed(labels): _ARITHMETIC[sign](a, b) for labels, a, b in pairs}


def _pairs(one: Value, other: Value) -> list[tuple[Labels, float, float]]:
    if isinstance(one, dict) and isinstance(other, dict):
        right = {_unnamed(labels): value for labels, value in other.items()}
        matched = [(labels, _unnamed(labels), value) for labels, value in one.items()]
        return [(labels, value, right[bare]) for labels, bare, value in matched if bare in right]
    if isinstance(one, dict) and isinstance(other, float):
        return [(labels, value, other) for labels, value in one.items()]
    if isinstance(one, float) and isinstance(other, dict):
        return [(labels, one, value) for labels, value in other.items()]
    raise ValueError("two numbers: no alert is about those")

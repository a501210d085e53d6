"""sprig's ``semver`` and ``semverCompare``, as github.com/Masterminds/semver v3 reads versions and constraints.

Rules: https://github.com/Masterminds/semver#checking-version-constraints
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keyless.api.numbers import is_digits
from keyless.gotemplate.errors import Problem
from keyless.gotemplate.functions.function import Function
from keyless.gotemplate.values import Struct, decoded

_IDS = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
_VERSION = re.compile(rf"v?([0-9]+)(?:\.([0-9]+))?(?:\.([0-9]+))?(?:-({_IDS}))?(?:\+({_IDS}))?")
_PART = r"[0-9xX*|]+"
_LOOSE = rf"v?{_PART}(?:\.{_PART})?(?:\.{_PART})?(?:-{_IDS})?(?:\+{_IDS})?"
_ONE = re.compile(
    rf"\s*(!=|>=|=>|<=|=<|~>|=|>|<|~|\^|)\s*v?({_PART})(?:\.({_PART}))?(?:\.({_PART}))?((?:-{_IDS})?(?:\+{_IDS})?)\s*",
    re.ASCII,
)
_RANGE = re.compile(rf"\s*({_LOOSE})\s+-\s+({_LOOSE})\s*", re.ASCII)
_SIGN = r"\s*(?:!=|>=|=>|<=|=<|~>|[=><~^]|)\s*"
_SEVERAL = re.compile(rf"{_SIGN}{_LOOSE}\s*(?:[\s,]{_SIGN}{_LOOSE}\s*)*", re.ASCII)
_WILD = frozenset({"x", "X", "*"})


@dataclass(frozen=True, slots=True)
class Version(Struct):
    """Three numbers, a pre-release and metadata."""

    numbers: tuple[int, int, int]
    pre: str = ""
    metadata: str = ""
    original: str = ""
    go_type, kind = "*semver.Version", "ptr"

    def text(self) -> str:
        """Return the version with all three numbers."""
        core = ".".join(map(str, self.numbers))
        return core + (f"-{self.pre}" if self.pre else "") + (f"+{self.metadata}" if self.metadata else "")

    def members(self) -> Mapping[str, Any]:
        """Return what Go's methods without arguments answer."""
        major, minor, patch = self.numbers
        return {
            "Major": major,
            "Minor": minor,
            "Patch": patch,
            "Prerelease": self.pre.encode(),
            "Metadata": self.metadata.encode(),
            "Original": self.original.encode(),
            "String": self.text().encode(),
        }

    def identity(self) -> Any:
        """Return what tells two apart."""
        return (self.numbers, self.pre, self.metadata, self.original)

    def order(self) -> tuple[Any, ...]:
        """Return what versions are sorted by: a pre-release comes before its release, numbers before words."""
        parts = self.pre.split(".") if self.pre else []
        return (self.numbers, not parts, [(0, int(p), "") if is_digits(p) else (1, 0, p) for p in parts])


def version_of(text: str) -> Version:
    """Read a version; raises ``Problem``."""
    match = _VERSION.fullmatch(text)
    if not match or len(text) > 256:
        raise Problem("the text is no semantic version")
    numbers = tuple(int(number or 0) for number in match.groups()[:3])
    pre = match[4] or ""
    if max(numbers) >= 1 << 64 or any(is_digits(p) and p[0] == "0" and len(p) > 1 for p in pre.split(".")):
        raise Problem("the text is no semantic version")
    return Version((numbers[0], numbers[1], numbers[2]), pre, match[5] or "", text)


@dataclass(frozen=True, slots=True)
class _Constraint:
    sign: str
    version: Version
    wild: bool = False
    wild_minor: bool = False
    wild_patch: bool = False

    def admits(self, found: Version) -> bool:
        # A pre-release is admitted by a constraint alone that names one itself.
        if found.pre and not self.version.pre and self.sign != "!=":
            return False
        if self.sign == "!=":
            return self._differs(found)
        return bool(_SIGNS[self.sign](self, found))

    def _differs(self, found: Version) -> bool:
        if not self.wild:
            return found.order() != self.version.order()
        if found.pre and not self.version.pre:
            return False
        mine, other = self.version.numbers, found.numbers
        if mine[0] != other[0]:
            return True
        if mine[1] != other[1] and not self.wild_minor:
            return True
        if self.wild_minor:
            return False
        return mine[2] != other[2] and not self.wild_patch


def _greater(one: _Constraint, found: Version) -> bool:
    mine, other = one.version.numbers, found.numbers
    if not one.wild:
        return found.order() > one.version.order()
    if other[0] != mine[0]:
        return other[0] > mine[0]
    if one.wild_minor:
        return False
    return other[1] > mine[1] if one.wild_patch else True


def _at_most(one: _Constraint, found: Version) -> bool:
    mine, other = one.version.numbers, found.numbers
    if not one.wild:
        return found.order() <= one.version.order()
    if other[0] > mine[0]:
        return False
    return not (other[0] == mine[0] and other[1] > mine[1] and not one.wild_minor)


def _tilde(one: _Constraint, found: Version) -> bool:
    mine, other = one.version.numbers, found.numbers
    if found.order() < one.version.order():
        return False
    if mine == (0, 0, 0) and not one.wild_minor and not one.wild_patch:
        return True
    return mine[0] == other[0] and (mine[1] == other[1] or one.wild_minor)


def _caret(one: _Constraint, found: Version) -> bool:
    mine, other = one.version.numbers, found.numbers
    if found.order() < one.version.order():
        return False
    if mine[0] > 0 or one.wild_minor:
        return mine[0] == other[0]
    if other[0] > 0:
        return False
    if mine[1] > 0 or one.wild_patch:
        return mine[1] == other[1]
    return other[1] == 0 and mine[2] == other[2]


def _equal(one: _Constraint, found: Version) -> bool:
    return _tilde(one, found) if one.wild else found.order() == one.version.order()


_SIGNS: Mapping[str, Any] = {
    "": _equal,
    "=": _equal,
    ">": _greater,
    "<": lambda one, found: found.order() < one.version.order(),
    ">=": lambda one, found: found.order() >= one.version.order(),
    "=>": lambda one, found: found.order() >= one.version.order(),
    "<=": _at_most,
    "=<": _at_most,
    "~": _tilde,
    "~>": _tilde,
    "^": _caret,
}


def _constraint(match: re.Match[str]) -> _Constraint:
    sign, major, minor, patch, rest = match.groups()
    if major in _WILD:
        return _Constraint(sign, version_of("0.0.0" + rest), wild=True)
    if minor is None or minor in _WILD:
        return _Constraint(sign, version_of(f"{major}.0.0{rest}"), wild=True, wild_minor=True)
    if patch is None or patch in _WILD:
        return _Constraint(sign, version_of(f"{major}.{minor}.0{rest}"), wild=True, wild_patch=True)
    return _Constraint(sign, version_of(f"{major}.{minor}.{patch}{rest}"))


def _all_of(text: str) -> list[_Constraint]:
    text = _RANGE.sub(r">=\1,<=\2", text)
    if not _SEVERAL.fullmatch(text):
        raise Problem("the constraint is none such as ^1.2 or >=1.2, <3")
    return [_constraint(match) for match in _ONE.finditer(text)]


def _compare(constraint: bytes, text: bytes) -> bool:
    if len(constraint) > 1024:
        raise Problem("the constraint is longer than 1024 bytes")
    groups = [_all_of(group) for group in decoded(constraint).split("||")]
    found = version_of(decoded(text))
    return any(all(one.admits(found) for one in group) for group in groups)


VERSIONS: Mapping[str, Function] = {
    "semver": Function("s", lambda text: version_of(decoded(text))),
    "semverCompare": Function("ss", _compare, cost="spell"),
}

"""Kubernetes' own CEL functions: quantities, URLs, addresses, regular expressions, lists, sets.

Quantities, URLs and addresses are opaque to rules; here they are strings in one canonical form, so ``==`` compares
them. What cannot be parsed raises, which CEL turns into an error of the rule.
Spec: https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-cel-libraries
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import pairwise
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

import re2
from cel_expr_python.cel import CelExtension, FunctionDecl, Overload, Type

from keyless.local.cluster.builtin import quantity

STRING, BOOL, INT, DOUBLE, DYN = Type.STRING, Type.BOOL, Type.INT, Type.DOUBLE, Type.DYN
LIST = Type.List(DYN)
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Functions:
    """Collects overloads under their names."""

    def __init__(self) -> None:
        self.overloads: dict[str, list[Overload]] = {}

    def add(self, name: str, parameters: list[Type], result: Type, impl: Callable[..., Any], *, member: bool) -> None:
        """One way to call ``name``; a member's first parameter is its receiver."""
        found = self.overloads.setdefault(name, [])
        identity = f"keyless_{name.replace('.', '_')}_{'member' if member else 'global'}_{len(found)}"
        found.append(Overload(id=identity, return_type=result, parameters=parameters, is_member=member, impl=impl))

    def extension(self) -> CelExtension:
        """All of them, for an environment."""
        return CelExtension("keyless.kubernetes", [FunctionDecl(name, found) for name, found in self.overloads.items()])


def kubernetes_functions() -> CelExtension:
    """The extension."""
    functions = Functions()
    for part in (_quantities, _urls, _addresses, _networks, _expressions, _lists):
        part(functions)
    return functions.extension()


def _holds(parse: Callable[[str], object]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            parse(text)
        except ValueError:
            return False
        return True

    return check


# Quantities: the exact value as "numerator/denominator".


def _exact(text: str) -> str:
    return str(quantity.value(text))


def _whole(text: str) -> int:
    value = Fraction(text)
    if value.denominator != 1:
        raise ValueError("cannot convert value to integer")
    return int(value)


def _sign(value: Fraction) -> int:
    return (value > 0) - (value < 0)


def _amount(value: str | int) -> Fraction:
    return Fraction(value)


def _quantities(functions: Functions) -> None:
    functions.add("quantity", [STRING], STRING, _exact, member=False)
    functions.add("isQuantity", [STRING], BOOL, _holds(quantity.value), member=False)
    comparisons: dict[str, tuple[Type, Callable[[str, str], Any]]] = {
        "isLessThan": (BOOL, lambda a, b: _amount(a) < _amount(b)),
        "isGreaterThan": (BOOL, lambda a, b: _amount(a) > _amount(b)),
        "compareTo": (INT, lambda a, b: _sign(_amount(a) - _amount(b))),
    }
    for name, (result, impl) in comparisons.items():
        functions.add(name, [STRING, STRING], result, impl, member=True)
    for other in (STRING, INT):
        functions.add("add", [STRING, other], STRING, lambda a, b: str(_amount(a) + _amount(b)), member=True)
        functions.add("sub", [STRING, other], STRING, lambda a, b: str(_amount(a) - _amount(b)), member=True)
    functions.add("sign", [STRING], INT, lambda a: _sign(_amount(a)), member=True)
    functions.add("asInteger", [STRING], INT, _whole, member=True)
    functions.add("isInteger", [STRING], BOOL, lambda a: _amount(a).denominator == 1, member=True)
    functions.add("asApproximateFloat", [STRING], DOUBLE, lambda a: float(_amount(a)), member=True)


# URLs.


def _url(text: str) -> str:
    parts = urlsplit(text)
    if not parts.scheme and not text.startswith("/"):
        raise ValueError("URL parse error during conversion from string: invalid URI for request")
    _port(parts)
    return text


def _port(parts: SplitResult) -> str:
    return str(parts.port) if parts.port is not None else ""


def _host(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]


def _urls(functions: Functions) -> None:
    functions.add("url", [STRING], STRING, _url, member=False)
    functions.add("isURL", [STRING], BOOL, _holds(_url), member=False)
    parts: dict[str, Callable[[SplitResult], str]] = {
        "getScheme": lambda found: found.scheme,
        "getHost": _host,
        "getHostname": lambda found: found.hostname or "",
        "getPort": _port,
        "getEscapedPath": lambda found: found.path,
    }
    for name, part in parts.items():
        functions.add(name, [STRING], STRING, _of_url(part), member=True)
    functions.add("getQuery", [STRING], DYN, lambda text: parse_qs(urlsplit(text).query), member=True)


def _of_url(part: Callable[[SplitResult], str]) -> Callable[[str], str]:
    return lambda text: part(urlsplit(text))


# Addresses and networks.


def _address(text: str) -> Address:
    found = ipaddress.ip_address(text)
    if "%" in text or (isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped):
        raise ValueError("zones and IPv4-mapped addresses are not allowed")
    return found


def _network(text: str) -> Network:
    if "/" not in text:
        raise ValueError("no '/'")
    return ipaddress.ip_network(text, strict=False)


def _addresses(functions: Functions) -> None:
    functions.add("ip", [STRING], STRING, lambda text: str(_address(text)), member=False)
    functions.add("isIP", [STRING], BOOL, _holds(_address), member=False)
    functions.add("ip.isCanonical", [STRING], BOOL, lambda text: str(_address(text)) == text, member=False)
    functions.add("family", [STRING], INT, lambda text: _address(text).version, member=True)
    tests: dict[str, Callable[[Address], bool]] = {
        "isUnspecified": lambda found: found.is_unspecified,
        "isLoopback": lambda found: found.is_loopback,
        "isLinkLocalMulticast": lambda found: found in _network("224.0.0.0/24" if found.version == 4 else "ff02::/16"),
        "isLinkLocalUnicast": lambda found: found.is_link_local,
        "isGlobalUnicast": _is_global,
    }
    for name, test in tests.items():
        functions.add(name, [STRING], BOOL, _of_address(test), member=True)


def _is_global(found: Address) -> bool:
    special = found.is_unspecified or found.is_loopback or found.is_multicast or found.is_link_local
    return not special and str(found) != "255.255.255.255"


def _of_address(test: Callable[[Address], bool]) -> Callable[[str], bool]:
    return lambda text: test(_address(text))


def _contains(outer: Network, inner: Network) -> bool:
    return outer.version == inner.version and inner.subnet_of(outer)  # type: ignore[arg-type] # same version: just asked


def _networks(functions: Functions) -> None:
    functions.add("cidr", [STRING], STRING, lambda text: _network(text) and text, member=False)
    functions.add("isCIDR", [STRING], BOOL, _holds(_network), member=False)
    functions.add("containsIP", [STRING, STRING], BOOL, lambda net, ip: _address(ip) in _network(net), member=True)
    functions.add("containsCIDR", [STRING, STRING], BOOL, lambda a, b: _contains(_network(a), _network(b)), member=True)
    functions.add("ip", [STRING], STRING, lambda text: str(_address(text.split("/")[0])), member=True)
    functions.add("masked", [STRING], STRING, lambda text: str(_network(text)), member=True)
    functions.add("prefixLength", [STRING], INT, lambda text: _network(text).prefixlen, member=True)


# Regular expressions, always RE2.


def _find(text: str, pattern: str) -> str:
    found = re2.search(pattern, text)
    return found.group(0) if found else ""


def _all(text: str, pattern: str, limit: int = -1) -> list[str]:
    found: Iterator[Any] = re2.finditer(pattern, text)
    every = [match.group(0) for match in found]
    return every if limit < 0 else every[:limit]


def _expressions(functions: Functions) -> None:
    functions.add("find", [STRING, STRING], STRING, _find, member=True)
    functions.add("findAll", [STRING, STRING], Type.List(STRING), _all, member=True)
    functions.add("findAll", [STRING, STRING, INT], Type.List(STRING), _all, member=True)


# Lists and sets.


def _is_sorted(found: list[Any]) -> bool:
    return all(left <= right for left, right in pairwise(found))


def _index(found: list[Any], item: Any) -> int:
    return found.index(item) if item in found else -1


def _last_index(found: list[Any], item: Any) -> int:
    return len(found) - 1 - found[::-1].index(item) if item in found else -1


def _includes(outer: list[Any], inner: list[Any]) -> bool:
    return all(item in outer for item in inner)


def _lists(functions: Functions) -> None:
    functions.add("isSorted", [LIST], BOOL, _is_sorted, member=True)
    functions.add("sum", [LIST], DYN, sum, member=True)
    functions.add("min", [LIST], DYN, min, member=True)
    functions.add("max", [LIST], DYN, max, member=True)
    functions.add("indexOf", [LIST, DYN], INT, _index, member=True)
    functions.add("lastIndexOf", [LIST, DYN], INT, _last_index, member=True)
    functions.add("sets.contains", [LIST, LIST], BOOL, _includes, member=False)
    functions.add("sets.equivalent", [LIST, LIST], BOOL, lambda a, b: _includes(a, b) and _includes(b, a), member=False)
    functions.add("sets.intersects", [LIST, LIST], BOOL, lambda a, b: any(item in b for item in a), member=False)

"""sprig's conversions and arithmetic: int64 that wraps, floats added and multiplied as decimals.

List: https://masterminds.github.io/sprig/math.html
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from keyless.gotemplate.account import Account
from keyless.gotemplate.casting import divided, parse_int, remainder, to_float64, to_int64, wrapped
from keyless.gotemplate.errors import Problem
from keyless.gotemplate.functions.function import Function
from keyless.gotemplate.printing import text_of
from keyless.gotemplate.values import Int64

_EXACT = Context(prec=20_000, Emax=999_999, Emin=-999_999)
_QUOTIENT = Decimal(1).scaleb(-16)
MAX_DECIMALS = 50


def _added(*values: Any) -> Int64:
    return wrapped(sum(map(to_int64, values)))


def _multiplied(first: Any, *values: Any) -> Int64:
    product = wrapped(to_int64(first))
    for value in values:
        # After each factor: the whole product of many would be a number of any length.
        product = wrapped(product * to_int64(value))
    return product


def _decimals(values: tuple[Any, ...]) -> list[Decimal]:
    if len(values) > MAX_DECIMALS:
        # Exact products grow by every factor's digits.
        raise Problem(f"takes {MAX_DECIMALS} numbers at most")
    numbers = [to_float64(value) for value in values]
    if any(math.isnan(number) or math.isinf(number) for number in numbers):
        raise Problem("needs finite numbers")
    return [Decimal(repr(number)) for number in numbers]


def _folded(operation: Callable[[Decimal, Decimal], Decimal]) -> Callable[..., float]:
    def fold(*values: Any) -> float:
        first, *others = _decimals(values)
        for number in others:
            first = operation(first, number)
        return float(first)

    return fold


def _quotient(first: Decimal, second: Decimal) -> Decimal:
    if second == 0:
        raise Problem("division by zero")
    return _EXACT.quantize(_EXACT.divide(first, second), _QUOTIENT) if first else first


_EXACT.rounding = ROUND_HALF_UP


def _rounded(value: Any, places: int, *on: float) -> float:
    number, half = to_float64(value), on[0] if on else 0.5
    try:
        power = math.pow(10, places)
        digit = power * number
        up = math.modf(digit)[0] >= half
        return float(math.ceil(digit) if up else math.floor(digit)) / power
    except (OverflowError, ValueError, ZeroDivisionError):
        raise Problem("the number cannot be rounded to so many places") from None


def _whole(rounding: Callable[[float], int]) -> Callable[[Any], float]:
    def whole(value: Any) -> float:
        number = to_float64(value)
        if math.isnan(number) or math.isinf(number) or number == 0:
            return number
        return math.copysign(float(rounding(number)), number)

    return whole


def _extreme(choose: Callable[..., Any], convert: Callable[[Any], Any]) -> Callable[..., Any]:
    def extreme(*values: Any) -> Any:
        numbers = [convert(value) for value in values]
        return math.nan if any(number != number for number in numbers) else choose(numbers)

    return extreme


def _atoi(text: bytes) -> int:
    # Past the range sprig keeps the nearest number, for it drops the error alone.
    return parse_int(text, 10)[0]


def _to_decimal(value: Any) -> Int64:
    number, ok = parse_int(text_of(value), 8)
    return Int64(number if ok else 0)


def _counted(operation: Callable[..., Any]) -> Callable[..., Any]:
    def run(account: Account, *values: Any) -> Any:
        # A decimal of 300 digits is slower than a step.
        account.step(len(values) * 20)
        return operation(*values)

    return run


NUMBERS: Mapping[str, Function] = {
    "int": Function("a", to_int64),
    "int64": Function("a", lambda value: Int64(to_int64(value))),
    "float64": Function("a", to_float64),
    "atoi": Function("s", _atoi),
    "toDecimal": Function("a", _to_decimal),
    "add1": Function("a", lambda value: wrapped(to_int64(value) + 1)),
    "add": Function("*a", _added),
    "sub": Function("aa", lambda first, second: wrapped(to_int64(first) - to_int64(second))),
    "mul": Function("a*a", _multiplied),
    "div": Function("aa", lambda first, second: divided(to_int64(first), to_int64(second))),
    "mod": Function("aa", lambda first, second: remainder(to_int64(first), to_int64(second))),
    "max": Function("a*a", lambda *values: Int64(max(map(to_int64, values)))),
    "biggest": Function("a*a", lambda *values: Int64(max(map(to_int64, values)))),
    "min": Function("a*a", lambda *values: Int64(min(map(to_int64, values)))),
    "maxf": Function("a*a", _extreme(max, to_float64)),
    "minf": Function("a*a", _extreme(min, to_float64)),
    "ceil": Function("a", _whole(math.ceil)),
    "floor": Function("a", _whole(math.floor)),
    "round": Function("ai*f", _rounded),
    "add1f": Function("a", _counted(lambda value: _folded(_EXACT.add)(value, 1)), asks=True),
    "addf": Function("*a", _counted(lambda *values: _folded(_EXACT.add)(0, *values)), asks=True),
    "subf": Function("a*a", _counted(_folded(_EXACT.subtract)), asks=True),
    "mulf": Function("a*a", _counted(_folded(_EXACT.multiply)), asks=True),
    "divf": Function("a*a", _counted(_folded(_quotient)), asks=True),
}

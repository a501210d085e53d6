"""Kubernetes quantities (``500m``, ``1Gi``): their value, and the one way in which the API server writes each.

Spec: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from math import ceil

DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
BY_EXPONENT = {exponent: suffix for suffix, exponent in DECIMAL.items()}
NANO = Fraction(1, 10**9)
SHAPE = re.compile(r"([+-]?)([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(.*)")
POWER = re.compile(r"[eE]([+-]?[0-9]{1,3})")
REFUSAL = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


@lru_cache(maxsize=4096)
def parse(text: str) -> tuple[Fraction, str]:
    """The value and the family of its suffix: ``decimal``, ``binary`` or ``exponent``; raises ``ValueError``."""
    match = SHAPE.fullmatch(text)
    if match is None or len(text) > 64:
        raise ValueError(REFUSAL)
    sign, digits, suffix = match.groups()
    number = Fraction(digits if not digits.endswith(".") else digits[:-1])
    if sign == "-":
        number = -number
    if suffix in BINARY:
        family, number = "binary", number * 1024 ** BINARY[suffix]
    elif suffix in DECIMAL:
        family, number = "decimal", number * Fraction(10) ** DECIMAL[suffix]
    elif power := POWER.fullmatch(suffix):
        family, number = "exponent", number * Fraction(10) ** int(power[1])
    else:
        raise ValueError("unable to parse quantity's suffix")
    # Finer than nano is rounded away from zero, so that nothing asked for becomes nothing.
    units = number / NANO
    whole = ceil(units) if units >= 0 else -ceil(-units)
    return whole * NANO, family


def value(text: str | float) -> Fraction:
    """The amount; raises ``ValueError``."""
    return parse(str(text))[0]


@lru_cache(maxsize=4096)
def canonical(text: str) -> str:
    """The form that the API server stores; raises ``ValueError``."""
    number, family = parse(text)
    if number == 0:
        return "0"
    if family == "binary" and abs(number) >= 1024 and number.denominator == 1:
        return _binary(int(number))
    mantissa, exponent = _scaled(number)
    if family == "exponent":
        return f"{mantissa}e{exponent}" if exponent else str(mantissa)
    while exponent > 18:
        mantissa, exponent = mantissa * 1000, exponent - 3
    return f"{mantissa}{BY_EXPONENT[exponent]}"


def _binary(number: int) -> str:
    power = 0
    while number % 1024 == 0 and power < 6:
        number //= 1024
        power += 1
    return f"{number}{'' if power == 0 else 'KMGTPE'[power - 1] + 'i'}"


def _scaled(number: Fraction) -> tuple[int, int]:
    """An integer mantissa and an exponent that is a multiple of three."""
    mantissa, exponent = int(number / NANO), -9
    while mantissa % 1000 == 0:
        mantissa, exponent = mantissa // 1000, exponent + 3
    return mantissa, exponent

"""Go's durations, as ExternalSecrets write them (``1h0m0s``). Pure."""

from __future__ import annotations

import re
from decimal import Decimal

_UNITS = {"ns": "1e-9", "us": "1e-6", "µs": "1e-6", "μs": "1e-6", "ms": "1e-3", "s": "1", "m": "60", "h": "3600"}
# As Go counts: 64 bits of nanoseconds.
_MOST_SECONDS = Decimal(2**63 - 1) / 10**9
_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_WHOLE = re.compile(r"([+-]?)(0|(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+)")


def seconds_of(text: str) -> float:
    """Return the seconds in ``text``; raises ``ValueError`` that names the form."""
    whole = _WHOLE.fullmatch(text)
    if whole is None:
        raise ValueError(f"{text!r} is no duration: expected a form such as 1h30m or 45s")
    total = sum(Decimal(part[1]) * Decimal(_UNITS[part[2]]) for part in _PART.finditer(whole[2]))
    if total > _MOST_SECONDS:
        raise ValueError(f"{text!r} is no duration: more than 292 years")
    return float(-total if whole[1] == "-" else total)

"""Go's durations, as ExternalSecrets write them (``1h0m0s``). Pure."""

from __future__ import annotations

import re
from decimal import Decimal

_UNITS = {"ns": "1e-9", "us": "1e-6", "µs": "1e-6", "μs": "1e-6", "ms": "1e-3", "s": "1", "m": "60", "h": "3600"}
_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")


_WHOLE = re.compile(r"([+-]?)(0|(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+)")


def seconds_of(text: str) -> float:
    """Return the seconds in ``text``; raises ``ValueError`` that names the form."""
    whole = _WHOLE.fullmatch(text)
    if whole is None:
        raise ValueError(f"{text!r} is no duration: expected a form such as 1h30m or 45s")
    total = sum(Decimal(part[1]) * Decimal(_UNITS[part[2]]) for part in _PART.finditer(whole[2]))
    return float(-total if whole[1] == "-" else total)

"""The meter object as it is read back."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from keyless.billing.ledger.events import text_untrusted
from keyless.billing.ledger.meter_file import METER_VERSION, NUMBERS
from keyless.billing.ledger.metered import COLUMNS, dimensions_untrusted
from keyless.billing.ledger.meters import Row
from keyless.billing.ledger.model import Dimensions, Malformed, moment_untrusted


@dataclass(frozen=True, slots=True)
class MeterFile:
    """A meter object as it is read back. ``labels`` are the chosen labels, ``plane`` the control plane's own."""

    control_plane: str
    start: datetime
    end: datetime
    labels: tuple[str, ...]
    plane: dict[str, str]
    raw: list[list[Any]]
    """The rows as they are stored; :attr:`rows` are read from them."""
    limited: int

    @property
    def rows(self) -> tuple[tuple[Dimensions, Row], ...]:
        """Every combination with its numbers. Raises ``Malformed``."""
        return tuple(row_untrusted(row) for row in self.raw)


def meter_within_untrusted(key: str, meters: Any) -> MeterFile:
    """Read the meter object that a manifest holds, of its ``meters``; raises ``Malformed`` that names ``key``."""
    try:
        body = base64.b64decode(meters[0]["gzip"], validate=True)
    except (KeyError, IndexError) as error:
        raise Malformed(f"{key}: expected a meter object, found none: {error}") from None
    except (ValueError, TypeError) as error:
        raise Malformed(f"{key}: expected a meter object, found {type(error).__name__}: {str(error)[:200]}") from None
    return meter_untrusted(key, body)


def meter_untrusted(key: str, body: bytes) -> MeterFile:
    """Read a meter object; raises ``Malformed`` that names the key."""
    try:
        document = orjson.loads(text_untrusted(key, body))
        if int(document["version"]) > METER_VERSION:
            raise Malformed(
                f"version: expected {METER_VERSION} or older, found {int(document['version'])}: a newer collector"
                " wrote it; report with a newer keyless"
            )
        if document["columns"] != [*COLUMNS, *NUMBERS]:
            raise Malformed("columns: expected those of version 1")
        return MeterFile(
            str(document["controlPlane"]),
            moment_untrusted(document["from"]),
            moment_untrusted(document["to"]),
            tuple(str(name) for name in document["labels"]),
            {str(name): str(value) for name, value in document["planeLabels"].items()},
            _rows_untrusted(document["rows"]),
            int(document["limited"]),
        )
    except Malformed as error:
        text = str(error)
        raise Malformed(text if text.startswith(key) else f"{key}: {text}") from None
    except (KeyError, IndexError) as error:
        raise Malformed(f"{key}: expected a meter object, found one without {error}") from None
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise Malformed(f"{key}: expected a meter object, found {type(error).__name__}: {str(error)[:200]}") from None


def row_untrusted(row: list[Any]) -> tuple[Dimensions, Row]:
    """One combination with its numbers. Raises ``Malformed``."""
    try:
        return dimensions_untrusted(row[: len(COLUMNS)]), Row(*row[len(COLUMNS) :])
    except (ValueError, TypeError) as error:
        raise Malformed(f"rows: expected {', '.join(COLUMNS)}; found {str(error)[:200]}") from None


def _rows_untrusted(rows: Any) -> list[list[Any]]:
    width = len(COLUMNS) + len(NUMBERS)
    for row in rows:
        if len(row) != width or not isinstance(row[_LABELS], list):
            raise Malformed(f"rows: expected {width} values in each, with a list of labels")
        a, b, c, d = row[_NUMBERS:]
        # A month has millions of these: one expression, and no bool, which is an int to `isinstance`.
        if not (type(a) is type(b) is type(c) is type(d) is int and a >= 0 and b >= 0 and c >= 0 and d >= 0):
            raise Malformed("rows: expected four whole numbers that are not negative at the end of each")
    found: list[list[Any]] = rows
    return found


_LABELS = COLUMNS.index("labels")
_NUMBERS = len(COLUMNS)

"""The meter object as it is read back."""

from __future__ import annotations

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
    rows: tuple[tuple[Dimensions, Row], ...]
    limited: int


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
            tuple(_row_untrusted(row) for row in document["rows"]),
            int(document["limited"]),
        )
    except Malformed as error:
        text = str(error)
        raise Malformed(text if text.startswith(key) else f"{key}: {text}") from None
    except KeyError as error:
        raise Malformed(f"{key}: expected a meter object, found one without {error}") from None
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise Malformed(f"{key}: expected a meter object, found {type(error).__name__}: {str(error)[:200]}") from None


def _row_untrusted(row: Any) -> tuple[Dimensions, Row]:
    numbers = [int(number) for number in row[len(COLUMNS) :]]
    if len(numbers) != len(NUMBERS) or any(number < 0 for number in numbers):
        raise Malformed("rows: expected four numbers that are not negative at the end of each")
    return dimensions_untrusted(row[: len(COLUMNS)]), Row(*numbers)

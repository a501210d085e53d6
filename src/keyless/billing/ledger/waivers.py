"""Waivers: what somebody decided about usage that is missing or cannot be trusted, so that a period can be closed.

A waiver is a record in the bucket, ``waiver/account=A/ID.json``; its id comes from its content. It is never changed and
never deleted: taking one back is a second record beside it. Both lie outside ``account=``, where the peer reads every
object as events. A waiver changes no number: a stretch stays as it was measured, an object is left out unless the
waiver says that it counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from keyless.billing.ledger.model import Malformed, moment_untrusted, stamp
from keyless.billing.ledger.objects import StoredObject

VERSION = 1
WAIVER_LIMIT = 64 * 2**10
TEXT_LIMIT = 2000


@dataclass(frozen=True, slots=True)
class Waiver:
    """Either a stretch of a control plane (``control_plane``, ``start``, ``end``) or one object (``object_key``)."""

    account: str
    by: str
    why: str
    assumed: str
    made_at: datetime
    control_plane: str = ""
    start: datetime | None = None
    end: datetime | None = None
    object_key: str = ""
    counted: bool = False

    @property
    def id(self) -> str:
        """Sixteen hexadecimal digits of the record's SHA-256."""
        return hashlib.sha256(orjson.dumps(self.document())).hexdigest()[:16]

    def document(self) -> dict[str, Any]:
        """The record; fields that say nothing are left out."""
        what: dict[str, Any] = (
            {"object": self.object_key, "counted": self.counted}
            if self.object_key
            else {"controlPlane": self.control_plane, "from": _stamp(self.start), "to": _stamp(self.end)}
        )
        said = {"by": self.by, "why": self.why, "assumed": self.assumed, "at": stamp(self.made_at)}
        return {"version": VERSION, "account": self.account, **what, **said}


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A waiver taken back."""

    waiver: str
    by: str
    why: str
    made_at: datetime


def waiver_prefix(account: str) -> str:
    """Where an account's waivers are."""
    return f"waiver/account={account}/"


def waiver_object(waiver: Waiver) -> StoredObject:
    """The record as it lies in the bucket."""
    return StoredObject(f"{waiver_prefix(waiver.account)}{waiver.id}.json", orjson.dumps(waiver.document()))


def withdrawal_object(account: str, withdrawal: Withdrawal) -> StoredObject:
    """The record of taking a waiver back."""
    document = {
        "version": VERSION,
        "takenBack": withdrawal.waiver,
        "by": withdrawal.by,
        "why": withdrawal.why,
        "at": stamp(withdrawal.made_at),
    }
    return StoredObject(f"{waiver_prefix(account)}{withdrawal.waiver}.taken-back.json", orjson.dumps(document))


def record_untrusted(key: str, body: bytes) -> Waiver | Withdrawal:
    """Read a record; raises ``Malformed`` that names the key."""
    if len(body) > WAIVER_LIMIT:
        raise Malformed(f"{key}: expected at most {WAIVER_LIMIT} bytes, found {len(body)}")
    try:
        document = orjson.loads(body)
        if int(document["version"]) > VERSION:
            raise Malformed(f"version: expected {VERSION} or older: a newer keyless wrote it")
        if "takenBack" in document:
            return Withdrawal(
                _text(document["takenBack"]), _text(document["by"]), _text(document["why"]), _moment(document, "at")
            )
        return _waiver(document)
    except Malformed as error:
        raise Malformed(f"{key}: {error}") from None
    except KeyError as error:
        raise Malformed(f"{key}: expected a waiver, found one without {error}") from None
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise Malformed(f"{key}: expected a waiver, found {type(error).__name__}: {str(error)[:200]}") from None


def standing(records: Iterable[Waiver | Withdrawal]) -> tuple[Waiver, ...]:
    """The waivers that nobody took back, in the order in which they were made."""
    found = list(records)
    taken_back = {record.waiver for record in found if isinstance(record, Withdrawal)}
    waivers = [record for record in found if isinstance(record, Waiver) and record.id not in taken_back]
    return tuple(sorted(waivers, key=lambda waiver: (waiver.made_at, waiver.id)))


def touching(waivers: Iterable[Waiver], account: str, period: tuple[datetime, datetime]) -> tuple[Waiver, ...]:
    """Those that say something about ``period``: a stretch that reaches into it, or an object of one of its days."""
    return tuple(
        waiver
        for waiver in waivers
        if waiver.account == account
        and (
            _day_within(waiver.object_key, period)
            if waiver.object_key
            else waiver.start is not None
            and waiver.end is not None
            and waiver.start < period[1]
            and period[0] < waiver.end
        )
    )


def _day_within(key: str, period: tuple[datetime, datetime]) -> bool:
    day = key.partition("/date=")[2][:10]
    return f"{period[0]:%Y-%m-%d}" <= day < f"{period[1]:%Y-%m-%d}"


def _waiver(document: Any) -> Waiver:
    account, by, why, assumed = (_text(document[name]) for name in ("account", "by", "why", "assumed"))
    at = _moment(document, "at")
    if "object" in document:
        return Waiver(
            account, by, why, assumed, at, object_key=_text(document["object"]), counted=document["counted"] is True
        )
    start, end = _moment(document, "from"), _moment(document, "to")
    if start >= end:
        raise Malformed("to: expected a time after from")
    return Waiver(account, by, why, assumed, at, control_plane=_text(document["controlPlane"]), start=start, end=end)


def _moment(document: Any, name: str) -> datetime:
    return moment_untrusted(_text(document[name]))


def _stamp(moment: datetime | None) -> str | None:
    return None if moment is None else stamp(moment)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise Malformed("expected texts, found something else")
    return value

"""Waivers: what somebody decided about usage that is missing or cannot be trusted, so that a period can be closed.

A waiver is a record in the bucket, ``waiver/account=A/ID.json``; its id comes from its content. It is never changed and
never deleted: taking one back is a second record beside it, ``WAIVER.taken-back-ID.json``. Both lie outside
``account=``, where the peer reads every object as events. A waiver changes no number: a stretch stays as it was
measured, an object is left out unless the waiver says that it counts.

A record names those that it follows, so that none of them can vanish unseen once another was made after it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from keyless.billing.ledger.model import Malformed, Misnamed, moment_untrusted, stamp
from keyless.billing.ledger.objects import StoredObject

NEWEST_VERSION = 2
ID_DIGITS = 16
TAKEN_BACK = ".taken-back"
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
    after: tuple[str, ...] = ()
    """The records that nothing followed yet when this one was made, by their ids."""

    @property
    def id(self) -> str:
        """Sixteen hexadecimal digits of the record's SHA-256."""
        return _id(orjson.dumps(self.document()))

    def document(self) -> dict[str, Any]:
        """The record; fields that say nothing are left out."""
        what: dict[str, Any] = (
            {"object": self.object_key, "counted": self.counted}
            if self.object_key
            else {"controlPlane": self.control_plane, "from": _stamp(self.start), "to": _stamp(self.end)}
        )
        said = {"by": self.by, "why": self.why, "assumed": self.assumed, "at": stamp(self.made_at)}
        return {**_head(self.after), "account": self.account, **what, **said}


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A waiver taken back; ``waiver`` is its id."""

    waiver: str
    by: str
    why: str
    made_at: datetime
    after: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Sixteen hexadecimal digits of the record's SHA-256."""
        return _id(orjson.dumps(self.document()))

    def document(self) -> dict[str, Any]:
        """The record."""
        said = {"takenBack": self.waiver, "by": self.by, "why": self.why, "at": stamp(self.made_at)}
        return {**_head(self.after), **said}


def waiver_prefix(account: str) -> str:
    """Where an account's waivers are."""
    return f"waiver/account={account}/"


def waiver_object(waiver: Waiver) -> StoredObject:
    """The record as it lies in the bucket."""
    return StoredObject(f"{waiver_prefix(waiver.account)}{waiver.id}.json", orjson.dumps(waiver.document()))


def withdrawal_object(account: str, withdrawal: Withdrawal) -> StoredObject:
    """The record of taking a waiver back."""
    name = f"{withdrawal.waiver}{TAKEN_BACK}-{withdrawal.id}.json"
    return StoredObject(f"{waiver_prefix(account)}{name}", orjson.dumps(withdrawal.document()))


def record_untrusted(key: str, body: bytes) -> Waiver | Withdrawal:
    """Read a record; raises ``Malformed`` that names the key, ``Misnamed`` where the key is not of these bytes."""
    if len(body) > WAIVER_LIMIT:
        raise Malformed(f"{key}: expected at most {WAIVER_LIMIT} bytes, found {len(body)}")
    try:
        document = orjson.loads(body)
        if int(document["version"]) > NEWEST_VERSION:
            raise Malformed(f"version: expected {NEWEST_VERSION} or older: a newer keyless wrote it")
        record = _withdrawal(document) if "takenBack" in document else _waiver(document)
        _check_name(key, record, _id(body))
        return record
    except Malformed as error:
        raise type(error)(f"{key}: {error}") from None
    except KeyError as error:
        raise Malformed(f"{key}: expected a waiver, found one without {error}") from None
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise Malformed(f"{key}: expected a waiver, found {type(error).__name__}: {str(error)[:200]}") from None


def _check_name(key: str, record: Waiver | Withdrawal, found: str) -> None:
    name = key.rpartition("/")[2]
    if isinstance(record, Waiver):
        if not key.endswith(f"{waiver_prefix(record.account)}{record.id}.json") or found != record.id:
            raise Misnamed(f"expected the waiver of its name, found that of {found} of account {record.account!r}")
    # Version 1 did not put the record's own hash into its name: an edit of one is not seen.
    elif name != f"{record.waiver}{TAKEN_BACK}-{found}.json" and (name != f"{record.waiver}{TAKEN_BACK}.json"):
        raise Misnamed(f"expected the record of its name, found {record.waiver}{TAKEN_BACK}-{found}")


def tips(records: Iterable[Waiver | Withdrawal]) -> tuple[str, ...]:
    """The ids of the records that no other follows: what the next one names."""
    found = list(records)
    followed = {each for record in found for each in record.after}
    return tuple(sorted({record.id for record in found} - followed))


def vanished(records: Iterable[Waiver | Withdrawal]) -> tuple[str, ...]:
    """The ids that a record names and that none bears: records that were there once."""
    found = list(records)
    named = {each for record in found for each in (*record.after, *_taken_back(record))}
    return tuple(sorted(named - {record.id for record in found}))


def standing(records: Iterable[Waiver | Withdrawal]) -> tuple[Waiver, ...]:
    """The waivers that nobody took back, in the order in which they were made."""
    found = list(records)
    taken_back = {record.waiver for record in found if isinstance(record, Withdrawal)}
    waivers = [record for record in found if isinstance(record, Waiver) and record.id not in taken_back]
    return tuple(sorted(waivers, key=lambda waiver: (waiver.made_at, waiver.id)))


def touching(waivers: Iterable[Waiver], account: str, period: tuple[datetime, datetime]) -> tuple[Waiver, ...]:
    """Those that say something about ``period``: a stretch in it, an object of one of its days, or another record."""
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
    # A waiver's own record is of no day: it matters to every report.
    return not day or f"{period[0]:%Y-%m-%d}" <= day < f"{period[1]:%Y-%m-%d}"


def _taken_back(record: Waiver | Withdrawal) -> tuple[str, ...]:
    return (record.waiver,) if isinstance(record, Withdrawal) else ()


def _withdrawal(document: Any) -> Withdrawal:
    waiver, by, why = (_text(document[name]) for name in ("takenBack", "by", "why"))
    return Withdrawal(waiver, by, why, _moment(document, "at"), _after(document))


def _waiver(document: Any) -> Waiver:
    account, by, why, assumed = (_text(document[name]) for name in ("account", "by", "why", "assumed"))
    said = account, by, why, assumed, _moment(document, "at")
    after = _after(document)
    if "object" in document:
        key, counted = _text(document["object"]), document["counted"] is True
        return Waiver(*said, object_key=key, counted=counted, after=after)
    start, end = _moment(document, "from"), _moment(document, "to")
    if start >= end:
        raise Malformed("to: expected a time after from")
    return Waiver(*said, control_plane=_text(document["controlPlane"]), start=start, end=end, after=after)


def _head(after: tuple[str, ...]) -> dict[str, Any]:
    # The first record of all follows none and is version 1, which had no more to say.
    return {"version": 2, "after": list(after)} if after else {"version": 1}


def _after(document: Any) -> tuple[str, ...]:
    return tuple(_text(each) for each in document.get("after", ()))


def _id(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:ID_DIGITS]


def _moment(document: Any, name: str) -> datetime:
    return moment_untrusted(_text(document[name]))


def _stamp(moment: datetime | None) -> str | None:
    return None if moment is None else stamp(moment)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise Malformed("expected texts, found something else")
    return value

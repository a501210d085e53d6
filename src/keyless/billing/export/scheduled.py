"""The export of closed months by a schedule: every month that has usage and no report yet, oldest first.

A report is an object of its own, written once: what is there is not exported again, and a run that was killed, or a
cluster that was away for months, is made good by the next run. A month that is refused is named, and the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from keyless.api import Permanent, Refusal
from keyless.billing.export.plan import Request, closed_month, period_of
from keyless.billing.export.service import Bucket, Export
from keyless.billing.ledger.signed import SUFFIX, Inflated, Statement

if TYPE_CHECKING:
    # With it comes the library of its keys, which who looks for the prefix alone does not need.
    from keyless.billing.export.keys import Signing

PREFIX = "report"
"""Beside the usage, where the peer never looks."""
_USAGE = ("account=", "manifest", "waiver", "meter")


class Reports(Protocol):
    """Where reports go. Raises ``Transient`` or ``Permanent``."""

    def list(self, prefix: str) -> Iterator[Any]:
        """Every object below ``prefix``; each has a ``key``."""

    def put_new(self, key: str, body: bytes, content_type: str = ...) -> bool:
        """Write unless the key is taken; whether it was written."""

    def put_over(self, key: str, body: bytes, content_type: str = ...) -> None:
        """Write whatever is there."""


@dataclass(frozen=True, slots=True)
class Made:
    """What became of one month: ``written`` with so many ``rows``, found ``there``, or ``refused`` and why."""

    month: str
    key: str
    rows: int = 0
    there: bool = False
    refused: str = ""
    signed: bool = False


def folder(prefix: str, account: str) -> str:
    """Where an account's reports are; raises ``Permanent`` for a place where usage is."""
    prefix = prefix.strip("/")
    if not prefix or prefix.startswith(_USAGE):
        # There the peer reads every object as events, and a verification finds a foreign one.
        raise Permanent(f"expected a prefix of its own for reports, as {PREFIX}; found {prefix!r}, which is for usage")
    return f"{prefix}/account={account}/"


def owed(with_usage: Iterable[str], reported: Iterable[str], closed: str) -> tuple[str, ...]:
    """The months from the first with usage to ``closed`` that have no report, oldest first; months as 2026-10.

    A month between that has no usage is owed, too: nobody stored anything, which is not the same as nothing used.
    """
    there = set(reported)
    first = min(with_usage, default="")
    if not first or first > closed:
        return ()
    found, at = [], first
    while at <= closed:
        if at not in there:
            found.append(at)
        at = following(at)
    return tuple(found)


def following(month: str) -> str:
    """The month after it."""
    year, number = (int(each) for each in month.split("-"))
    return f"{year + number // 12:04}-{number % 12 + 1:02}"


def export_closed(
    bucket: Bucket,
    reports: Reports,
    request: Callable[[str], Request],
    export: Callable[[str, Request], Export | Refusal],
    *,
    place: str,
    now: datetime,
    key: Signing | None = None,
) -> Iterator[Made]:
    """Each month that is owed, as it is done. Raises what the bucket raises; the months before it are done then.

    ``request`` of a month says what is asked, ``export`` reads and builds it; ``place`` is :func:`folder`'s; ``key``
    signs, and without its signature no report is written.
    """
    account = request(closed_month(now)).account
    below = f"manifest/account={account}/date="
    with_usage = sorted({month for name in bucket.groups(below) if (month := _month_in(name, below))})
    reported = {
        name[len(place) : -len(".tgz")] for item in reports.list(place) if (name := str(item.key)).endswith(".tgz")
    }
    for month in owed(with_usage, reported, closed_month(now)):
        name = f"{place}{month}.tgz"
        if month not in with_usage:
            yield Made(month, name, refused=_nothing(request(month), month, name))
            continue
        made = export(month, request(month))
        if isinstance(made, Refusal):
            yield Made(month, name, refused=made.detail)
            continue
        archive = b"".join(made.archive)
        if key is not None:
            # Before the report: one that is there is never looked at again, and has its signature then.
            _put_signature(reports, name, _signature(key, request(month), archive, made))
        written = reports.put_new(name, archive, "application/gzip")
        yield Made(month, name, made.rows, there=not written, signed=key is not None)


def _signature(key: Signing, request: Request, archive: bytes, made: Export) -> bytes:
    inflated = Inflated()
    inflated.add(archive)
    statement = Statement(request.account, *request.period, inflated.sha256(), made.heads)
    return key.sign(statement.written()).written()


def _put_signature(reports: Reports, name: str, body: bytes) -> None:
    """One that a killed run left is of no report: it is replaced, unless its report came meanwhile."""
    signature = f"{name}{SUFFIX}"
    if reports.put_new(signature, body, "application/json"):
        return
    if name not in {str(item.key) for item in reports.list(name)}:
        reports.put_over(signature, body, "application/json")


def _month_in(name: str, below: str) -> str:
    month = name.removeprefix(below)[:7]
    try:
        period_of(month, "")
    except ValueError:
        return ""
    return month


def _nothing(request: Request, month: str, key: str) -> str:
    """Whether there was nothing to meter only a person knows, who can say so by putting a report there."""
    options = " ".join((*request.options, f"--account={request.account}"))
    return (
        f"expected usage, since there is some of before and after it; found none. If there was nothing to meter: "
        f"{request.command} billing export {options} --billing-month={month} --force-incomplete --out={month}.tgz, "
        f"and put the file to {key}"
    )

"""What an export covers, and whether it may be written. Pure.

Flags and texts are the peer's (``up space billing export``). Beyond its clock test, a report is refused that lacks
usage or rests on objects that no manifest vouches for; every refusal ends in the command that mends it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from keyless.api import Reason, Refusal
from keyless.api.words import counted
from keyless.billing.ledger.completeness import Missing
from keyless.billing.ledger.corrections import GRACE, Correction
from keyless.billing.ledger.integrity import NOT_IN_MANIFEST, Fault
from keyless.billing.ledger.model import HOUR, hour_of, stamp
from keyless.billing.ledger.waivers import Waiver

Period = tuple[datetime, datetime]

DAY = timedelta(days=1)
# Beyond this many a refusal is no longer read; the rest is told when these are settled.
SHOWN = 40
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_HOUR_KEY = re.compile(r"hour=([01]\d|2[0-3])/", re.ASCII)


@dataclass(frozen=True, slots=True)
class Request:
    """One export. ``force_incomplete`` writes the report although something is missing.

    ``compat`` reads as the peer does. ``as_of`` leaves out what was stored later.
    ``command`` is how the caller starts us and ``options`` name the bucket, as a printed command repeats them.
    """

    account: str
    period: Period
    force_incomplete: bool
    compat: bool = False
    options: tuple[str, ...] = ()
    command: str = "keyless"
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """What a bucket holds: the months of every account that has any usage."""

    months: tuple[tuple[str, tuple[str, ...]], ...] = ()


def period_of(month: str, custom: str) -> Period:
    """The period that one of the two flags names; raises ``ValueError`` with the peer's word."""
    if bool(month) == bool(custom):
        raise ValueError("expected one of --billing-month and --billing-custom")
    if month:
        start = _date(f"{month}-01", f"a month as 2006-01, found {month!r}")
        return start, (start + 32 * DAY).replace(day=1)
    first, slash, last = custom.partition("/")
    if not slash:
        raise ValueError(f"invalid format: expected 2006-01-02/2006-01-02, found {custom!r}")
    start, end = (_date(text, f"a date as 2006-01-02, found {text!r}") for text in (first, last))
    if end + DAY - start < HOUR:
        raise ValueError(f"time range must be at least 1h: expected a last day from {first} on, found {last}")
    return start, end + DAY


def closed_month(now: datetime) -> str:
    """The last month that is closed, as 2006-01: what is stored of it later is a correction."""
    return f"{(now - GRACE).astimezone(UTC).replace(day=1) - DAY:%Y-%m}"


def hours(period: Period, now: datetime) -> Iterator[datetime]:
    """The starts of the period's hours that have begun."""
    start = hour_of(period[0])
    while start < min(period[1], now):
        yield start
        start += HOUR


def days(period: Period, now: datetime) -> Iterator[datetime]:
    """The starts of the days that those hours lie in: one listing each."""
    start = hour_of(period[0]).replace(hour=0)
    while start < min(period[1], now):
        yield start
        start += DAY


def hour_of_key(day: datetime, below: str) -> datetime | None:
    """The hour that an object counts in, from its key below the day's prefix; None where the peer never looks."""
    found = _HOUR_KEY.match(below)
    return day + int(found[1]) * HOUR if found else None


def too_early(request: Request, now: datetime) -> Refusal | None:
    """The peer's clock test, before anything is read."""
    start, end = request.period
    if request.force_incomplete or not start < now < end:
        return None
    return Refusal(
        Reason.BILLING_PERIOD_INCOMPLETE,
        "billing period is incomplete, use --force-incomplete to continue"
        f" (it ends at {stamp(end)}; an hour counts when it is over)",
    )


def nothing_found(request: Request, held: Held, now: datetime) -> Refusal:
    """There is no usage of this account in this period: say what there is."""
    start, end = request.period
    period = f"{stamp(start)} to {stamp(end)}"
    begun = "" if start < now else ", which has not begun"
    return Refusal(
        Reason.USAGE_MISSING,
        f"expected usage of account {request.account!r} from {period}{begun}, found none in the bucket;"
        f" {describe_held(held)}",
    )


def describe_held(held: Held) -> str:
    """What there is in place of what was expected."""
    lines = [f"  account {account!r}: {', '.join(months)}" for account, months in held.months[:SHOWN]]
    return "\n".join(["it holds usage of:", *lines]) if lines else "it holds no usage at all"


def is_unknown(request: Request, held: Held) -> bool:
    """Whether the bucket holds usage, but of other accounts: a misspelt name. Never under ``compat``."""
    accounts = [account for account, _ in held.months]
    return bool(accounts) and request.account not in accounts and not request.compat


def refusal(request: Request, missing: Sequence[Missing], faults: Sequence[Fault]) -> Refusal | None:
    """Why the report may not be written, or None. Each line is followed by the command that settles it."""
    if request.force_incomplete or not (missing or faults):
        return None
    said: list[str] = []
    for item in faults[:SHOWN]:
        said += [describe_fault(item), f"    {waive_object(request, item)}"]
    for stretch in missing[: max(0, SHOWN - len(faults))]:
        said += [describe(stretch), f"    {waive_stretch(request, stretch)}"]
    if (more := len(missing) + len(faults) - SHOWN) > 0:
        said.append(f"  and {more} more")
    what = " and ".join(
        [*(["usage is missing"] if missing else []), *(["objects cannot be trusted"] if faults else [])]
    )
    return Refusal(
        Reason.USAGE_MISSING if missing else Reason.USAGE_NOT_TRUSTED,
        f"{what}: find out why, then waive what cannot be had again with the command below each,"
        " or use --force-incomplete to continue without:\n" + "\n".join(said),
    )


def describe(missing: Missing) -> str:
    """One line: which control plane, which stretch, which kinds, why."""
    plane = missing.control_plane
    named = ", ".join(kind.kind for kind in missing.kinds[:3])
    kinds = f" of {counted(len(missing.kinds), 'kind')} ({named})" if missing.kinds else ""
    return printable(
        f"  {plane.group}/{plane.name} ({plane.id}): {stamp(missing.start)} to {stamp(missing.end)}{kinds}:"
        f" {missing.reason}"
    )


def describe_hole(target: str, source: str, between: Period) -> str:
    """Why two reports are not made one."""
    return printable(
        f"expected reports that touch, found nothing in {target} or {source} from {stamp(between[0])} to"
        f" {stamp(between[1])}: update with a report of that time first, or use --force-incomplete to go on"
    )


def describe_correction(correction: Correction) -> str:
    """One line: which control plane's hour, which revision of it, when it was stored."""
    plane, hour = correction.control_plane, correction.hour
    return printable(
        f"  {plane.group}/{plane.name} ({plane.id}): {stamp(hour)} to {stamp(hour + HOUR)}: r{correction.revision},"
        f" stored at {stamp(correction.stored_at)} in {counted(correction.segments, 'segment')}"
    )


def describe_fault(fault: Fault) -> str:
    """One line: which object, what is wrong with it."""
    return printable(f"  {fault.key}: {fault.reason}: {fault.detail.removeprefix(f'{fault.key}: ')}")


def describe_waiver(waiver: Waiver) -> str:
    """One line: what was waived, by whom, why, and what was assumed."""
    what = (
        f"{waiver.object_key} ({'counted' if waiver.counted else 'left out'})"
        if waiver.object_key
        else f"{waiver.control_plane}: {_stamp(waiver.start)} to {_stamp(waiver.end)}"
    )
    return printable(
        f"  {waiver.id}: {what}: waived by {waiver.by} at {stamp(waiver.made_at)}: {waiver.why};"
        f" assumed: {waiver.assumed}"
    )


def waive_stretch(request: Request, missing: Missing) -> str:
    """The command that waives exactly this stretch."""
    what = (
        f"--control-plane={missing.control_plane.id}",
        f"--from={stamp(missing.start)}",
        f"--to={stamp(missing.end)}",
    )
    return _waive(request, what, missing.reason, "no usage but what is stored")


def waive_object(request: Request, fault: Fault) -> str:
    """The command that waives exactly this object: unacknowledged usage is counted, anything else left out."""
    counted = fault.reason == NOT_IN_MANIFEST
    what = (f"--object={fault.key}", *(["--count"] if counted else []))
    return _waive(request, what, fault.reason, "its events are right" if counted else "it held no usage of its own")


def printable(text: str) -> str:
    """Text from a bucket as a terminal may show it: no control character gets through."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _waive(request: Request, what: Iterable[str], why: str, assumed: str) -> str:
    words = ["billing", "waive", *request.options, f"--account={request.account}", *what]
    said = (*words, f"--why={why}", f"--assumed={assumed}")
    return " ".join([request.command, *(_quoted(word) for word in said)])


def _quoted(word: str) -> str:
    """A word as a shell reads it; what a terminal would obey is spelt out, as bash and zsh read it."""
    if word.isprintable():
        return shlex.quote(word)
    spelt = (c if c.isascii() and c.isprintable() and c not in "'\\" else f"\\U{ord(c):08x}" for c in word)
    return f"$'{''.join(spelt)}'"


def _stamp(moment: datetime | None) -> str:
    return stamp(moment) if moment else ""


def _date(text: str, expected: str) -> datetime:
    # strptime alone takes 2026-1 and digits of other scripts; the last month of time has no end.
    try:
        if not _DATE.fullmatch(text) or text.startswith(("0", "9999-12")):
            raise ValueError
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise ValueError(f"invalid format: expected {expected}") from None

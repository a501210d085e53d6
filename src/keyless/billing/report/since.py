"""What changed since an earlier report: which hours were stored anew after it, by how much, and in money. Pure.

A report of ours carries the heads that it was made from, each of which stands for the manifests before it. What is in
the bucket and behind none of them came later.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from keyless.api import Reason, Refusal
from keyless.billing.ledger.corrections import FIRST, Closing, by_manifest
from keyless.billing.ledger.frames import head_untrusted
from keyless.billing.ledger.manifests import Covered
from keyless.billing.ledger.model import ChainHead, Malformed, Member, hour_of, moment_untrusted
from keyless.billing.ledger.signed import signature_untrusted, statement_untrusted
from keyless.billing.report.grouping import Cube
from keyless.billing.report.joining import BEFORE, Knows
from keyless.billing.report.model import Quantity, Report, Use

KIND = "UsageReport"
REPORT_LIMIT = 256 * 2**20
_Place = tuple[datetime, str, int]
"""Hour, control plane and revision."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """A report that was made before. ``closed_until`` is None where it does not say."""

    name: str
    accounts: tuple[str, ...]
    period: tuple[datetime, datetime]
    zone: str
    heads: tuple[ChainHead, ...]
    collected_at: datetime | None = None
    closed_until: datetime | None = None

    def knows(self) -> Knows:
        """Whether it was made from a manifest: one at or before the end of its chain then."""
        ends = {(head.control_plane, head.spool): head.sequence for head in self.heads}
        return lambda covered: covered.sequence <= ends.get((covered.control_plane.id, covered.spool), -1)


@dataclass(frozen=True, slots=True)
class Late:
    """What one control plane stored of one hour after the report, as one revision, and what that changed.

    ``stored_at`` is the last of S3's times; None where no receipt tells one.
    """

    hour: datetime
    control_plane: Member
    revision: int
    stored_at: datetime | None
    segments: int
    change: Quantity


@dataclass(frozen=True, slots=True)
class Changes:
    """Two reports of the same period, grouped alike: as it was told before, and as it is now."""

    earlier: Earlier
    was: Report
    now: Report
    late: tuple[Late, ...]


@dataclass(slots=True)
class Split:
    """Takes uses as a cube does: what the earlier report told goes to ``was``, the rest is summed by its place."""

    was: Cube
    later: dict[_Place, Quantity] = field(default_factory=dict)

    def add(self, use: Use) -> None:
        """Count a use in."""
        if use.revision == BEFORE:
            self.was.add(use)
        else:
            place = use.hour, use.what.plane.id, use.revision
            self.later.setdefault(place, Quantity()).add(use)


def late_of(manifests: Iterable[Covered], earlier: Earlier, split: Split, closing: Closing) -> Iterator[Late]:
    """What was stored after the report, in the order of hours and control planes."""
    knows, found = earlier.knows(), list(manifests)
    numbers = by_manifest(found, closing)

    def place(covered: Covered) -> _Place:
        return hour_of(covered.start), covered.control_plane.id, numbers.get(covered.sha256, FIRST)

    for at, group in groupby(sorted((each for each in found if not knows(each)), key=place), key=place):
        those = list(group)
        stored = max((each.stored_at for each in those if each.stored_at is not None), default=None)
        yield Late(at[0], those[-1].control_plane, at[2], stored, len(those), split.later.get(at, Quantity()))


def gone(manifests: Iterable[Covered], earlier: Earlier) -> Refusal | None:
    """A report that rests on what is not there any more is compared with nothing: it must be found out why."""
    there = {covered.sha256 for covered in manifests}
    lost = [head for head in earlier.heads if head.sha256 not in there]
    if not lost:
        return None
    head = lost[0]
    more = f" and {len(lost) - 1} more" if lost[1:] else ""
    return Refusal(
        Reason.USAGE_NOT_TRUSTED,
        f"{earlier.name}: expected manifest {head.sequence} of control plane {head.control_plane} with SHA-256"
        f" {head.sha256}{more}, from which it was made; found none: keyless billing verify says what else differs",
    )


def earlier_untrusted(name: str, body: bytes) -> Earlier:
    """Read a report (``--output=json``) or the signature of an export; raises ``Malformed`` that names it."""
    try:
        if len(body) > REPORT_LIMIT:
            raise Malformed(f"expected at most {REPORT_LIMIT} bytes, found {len(body)}")
        document = orjson.loads(body)
        if "statement" in document:
            statement = statement_untrusted(name, signature_untrusted(name, body).statement)
            return Earlier(name, (statement.account,), (statement.start, statement.end), "UTC", statement.heads)
        if document["kind"] != KIND:
            raise Malformed(f"expected kind {KIND}, found {document['kind']!r:.80}")
        return _report_untrusted(name, document)
    except Malformed as error:
        raise Malformed(f"{name}: {str(error).removeprefix(f'{name}: ')}") from None
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        said = "what `keyless billing report --output json` prints, or the .sig beside an export"
        raise Malformed(f"{name}: expected {said}, found {type(error).__name__}: {str(error)[:80]}") from None


def _report_untrusted(name: str, document: Any) -> Earlier:
    if not isinstance(document["heads"], list):
        raise Malformed("expected heads as a list")
    if document["heads"] and "spool" not in document["heads"][0]:
        raise Malformed("expected heads with their spools: an earlier version made it; make it again with this one")
    accounts, zone = document["accounts"], document["timeZone"]
    if not isinstance(accounts, list) or not accounts or not all(isinstance(each, str) for each in accounts):
        raise Malformed("expected accounts as a list of texts")
    ZoneInfo(zone)
    start, end = moment_untrusted(document["from"]), moment_untrusted(document["to"])
    if not start < end:
        raise Malformed("expected from before to")
    collected, closed = (
        None if document[each] is None else moment_untrusted(document[each]) for each in ("collectedAt", "closedUntil")
    )
    heads = tuple(head_untrusted(head) for head in document["heads"])
    return Earlier(name, tuple(accounts), (start, end), zone, heads, collected, closed)

"""What a period's manifests prove: which hours of which control planes are accounted for, and which are not.

The census is the union of the control planes that any collector saw in the host's API. A member's hour is complete
when the intervals of its manifests, less the gaps they record, cover the part of the hour in which it existed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from keyless.billing.ledger.frames import member_untrusted
from keyless.billing.ledger.model import Gap, Malformed, Member, moment_untrusted
from keyless.billing.ledger.objects import MANIFEST_VERSION

NO_MANIFEST = "NoManifest"
NOT_COVERED = "NotCovered"


@dataclass(frozen=True, slots=True)
class Covered:
    """What one manifest says."""

    control_plane: Member
    start: datetime
    end: datetime
    slack: timedelta
    gaps: tuple[Gap, ...]
    census: tuple[Member, ...]
    objects: tuple[str, ...]


@dataclass(frozen=True, slots=True, order=True)
class Missing:
    """A stretch of a control plane's life for which the bucket holds no usage."""

    control_plane: Member
    start: datetime
    end: datetime
    reason: str


def manifest_untrusted(key: str, body: bytes) -> Covered:
    """Read a manifest; raises ``Malformed`` that names the key."""
    try:
        document = json.loads(body)
        if int(document["version"]) > MANIFEST_VERSION:
            raise Malformed(f"{key}: expected manifest version {MANIFEST_VERSION}, found {document['version']}")
        return Covered(
            control_plane=member_untrusted(document["controlPlane"]),
            start=moment_untrusted(document["from"]),
            end=moment_untrusted(document["to"]),
            # Two samples may lie this far apart and still bound what happened between them.
            slack=timedelta(seconds=3 * int(document["intervalSeconds"])),
            gaps=tuple(
                Gap(moment_untrusted(g["from"]), moment_untrusted(g["to"]), str(g["reason"])) for g in document["gaps"]
            ),
            census=tuple(member_untrusted(m) for m in document["census"]),
            objects=tuple(str(o["key"]) for o in document["objects"]),
        )
    except Malformed:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Malformed(f"{key}: expected a manifest of version {MANIFEST_VERSION}, found {error!r}") from None


def missing(period: tuple[datetime, datetime], found: Iterable[Covered]) -> list[Missing]:
    """What is not accounted for within ``period`` (end exclusive; the caller cuts it off at now)."""
    manifests = list(found)
    census = {m.id: m for c in manifests for m in (*c.census, c.control_plane)}
    result: list[Missing] = []
    for member in census.values():
        own = sorted((c for c in manifests if c.control_plane.id == member.id), key=lambda c: (c.start, c.end))
        start = max(period[0], member.created_at)
        if not own:
            result += [Missing(member, start, period[1], NO_MANIFEST)] if start < period[1] else []
            continue
        result += _uncovered(member, (start, period[1]), own)
    return sorted(result)


def _uncovered(member: Member, life: tuple[datetime, datetime], own: list[Covered]) -> list[Missing]:
    """Walk the manifests in time; what lies between two of them by more than the slack is missing."""
    result: list[Missing] = []
    at = life[0]
    for covered in own:
        if covered.start - at > covered.slack:
            result.append(Missing(member, at, covered.start, _reason(own, at, covered.start)))
        at = max(at, covered.end)
    if life[1] - at > own[-1].slack:
        result.append(Missing(member, at, life[1], NOT_COVERED))
    return result


def _reason(own: list[Covered], start: datetime, end: datetime) -> str:
    """The collector's own word for a gap that it recorded there, else that nothing covers it."""
    for covered in own:
        for gap in covered.gaps:
            if gap.start < end and start < gap.end:
                return gap.reason
    return NOT_COVERED

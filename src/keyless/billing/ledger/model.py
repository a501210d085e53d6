"""The values that usage is made of.

Times are aware UTC datetimes; intervals are half open, ``[start, end)``. A *segment* is what a collector recorded
between two uploads, all within one UTC hour; it becomes one object in the bucket and one manifest.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import IntEnum, StrEnum
from functools import lru_cache
from typing import Any, TypeVar

T = TypeVar("T")
HOUR = timedelta(hours=1)


class Malformed(ValueError):
    """Bytes or a document that no collector of ours wrote; says what was expected and what was found."""


class Misnamed(Malformed):
    """What lies under a name that other content, another place or another number gave it."""


class HashedOnce:
    """Room for the hash of a value that is looked up again and again; see :func:`hashed_once`."""

    __slots__ = ("_hash",)
    _hash: int


def hashed_once(cls: type[T]) -> type[T]:
    """A frozen dataclass on :class:`HashedOnce` keeps its hash: of ten fields within fields it is dearer than the rest.

    The hash is no field: copies, comparisons and texts know nothing of it.
    """
    made: Callable[[T], int] = cls.__hash__

    def kept(self: Any) -> int:
        try:
            found: int = self._hash
        except AttributeError:
            found = made(self)
            object.__setattr__(self, "_hash", found)
        return found

    cls.__hash__ = kept  # type: ignore[method-assign]  # a decorator replaces what it decorates
    return cls


@hashed_once
@dataclass(frozen=True, slots=True, order=True)
class Gvk(HashedOnce):
    """A kind of managed resource, as the peer's tags name it. No part may be empty: the peer aborts on that."""

    group: str
    version: str
    kind: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Why a kind's number is not known at a moment, and until when it was."""

    since: datetime
    reason: str
    detail: str = field(default="", compare=False)
    """The server's own words, for who looks now; no record carries them."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The number of managed resources of every kind at one moment.

    A kind that is named nowhere was not there. ``peaks`` are the kinds of which there were more for a while since the
    sample before (after ``at`` of that one, up to ``at``); ``unknown`` are those that could not be counted.
    """

    at: datetime
    counts: Mapping[Gvk, int]
    peaks: Mapping[Gvk, int] = field(default_factory=dict)
    unknown: Mapping[Gvk, Unknown] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, order=True)
class Gap:
    """An interval in which nothing was measured, and why; ``kinds`` are those concerned, none: all of them."""

    start: datetime
    end: datetime
    reason: str
    kinds: tuple[Gvk, ...] = ()
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Lost:
    """Usage that a control plane took with it when it went: it was collected and could not be stored any more."""

    start: datetime
    end: datetime
    reason: str


@dataclass(frozen=True, slots=True, order=True)
class Pause:
    """A time in which nothing of a control plane ran; ``end`` None: it had not ended when this was told."""

    start: datetime
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A control plane that a collector saw in the host's API: a line of the census.

    It owes usage from ``billed_from`` (from its creation, where that is not known) until ``deleted_at``, but for its
    pauses; of those that ended the last day's are told.
    """

    id: str
    group: str
    name: str
    host_namespace: str
    created_at: datetime
    deleted_at: datetime | None = None
    billed_from: datetime | None = None
    lost: Lost | None = None
    pauses: tuple[Pause, ...] = ()

    def __lt__(self, other: Member) -> bool:
        return (self.id, self.group, self.name, self.host_namespace, self.created_at) < (
            other.id,
            other.group,
            other.name,
            other.host_namespace,
            other.created_at,
        )


def joined_pauses(one: Collection[Pause], other: Collection[Pause]) -> tuple[Pause, ...]:
    """The union of what two told, in order; who knows the end of a pause knows more."""
    found = {pause.start: pause for pause in one}
    found |= {pause.start: pause for pause in other if pause.end is not None or pause.start not in found}
    return tuple(found[start] for start in sorted(found))


@dataclass(frozen=True, slots=True, order=True)
class ClockJump:
    """The collector's clock was set while it ran, or found wrong: by how much, and when (in corrected time)."""

    at: datetime
    by: timedelta


@dataclass(frozen=True, slots=True)
class ClockState:
    """How the collector told the time: ``offset`` is S3's clock less its own, None where S3 has not answered yet.

    Times of samples are corrected by it already.
    """

    offset: timedelta | None = None
    jumps: tuple[ClockJump, ...] = ()


class Chain(StrEnum):
    """What a manifest's ``previousManifestSha256`` stands for."""

    FIRST = "First"
    """Nothing came before: the control plane is newly billed."""
    CONTINUED = "Continued"
    UNKNOWN = "Unknown"
    """Another pod may have stored usage before; this one had no volume and may not read the bucket."""


@dataclass(frozen=True, slots=True, order=True)
class Skipped:
    """A sequence number without a manifest, and why."""

    sequence: int
    reason: str


@dataclass(frozen=True, slots=True, order=True)
class ChainHead:
    """The last manifest of a control plane's spool as somebody saw it; ``stored_to`` is where that one ends."""

    control_plane: str
    spool: str
    sequence: int
    sha256: str
    stored_to: datetime


@dataclass(frozen=True, slots=True)
class Receipt:
    """Which request stored an object: S3's request id, the session's ARN (empty: STS was silent), S3's own time."""

    key: str
    request_id: str
    session: str
    at: datetime


@dataclass(frozen=True, slots=True)
class HeadSignature:
    """A signature of a manifest's SHA-256. ``algorithm`` is KMS's word for it, ``key`` names one and proves nothing."""

    algorithm: str
    key: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class Link:
    """Where a manifest stands among those of its spool: numbers count up by one within a ``spool``.

    ``receipts`` are of the objects that it names, ``previous_receipt`` and ``previous_signature`` of the one before.
    """

    spool: str = ""
    chain: Chain = Chain.FIRST
    previous: str = ""
    skipped: tuple[Skipped, ...] = ()
    receipts: tuple[Receipt, ...] = ()
    previous_receipt: Receipt | None = None
    previous_signature: HeadSignature | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Whose usage a segment holds, and which run of which collector recorded it."""

    account: str
    control_plane: Member
    collector: str
    interval_seconds: int


@dataclass(frozen=True, slots=True)
class Polled:
    """Kinds without a watch: what lived shorter than ``every_seconds`` in one of them may not have been seen."""

    kinds: int
    every_seconds: int


@dataclass(frozen=True, slots=True)
class Opening:
    """What is known of a segment when it begins.

    ``since`` is where the segment before it ended, or None where this collector knows of none.
    """

    source: Source
    sequence: int
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Census:
    """The control planes that the host's API shows; a later census adds to an earlier one.

    ``heads`` are the ends of some neighbours' chains, as they told them themselves.
    """

    members: tuple[Member, ...]
    heads: tuple[ChainHead, ...] = ()


class Meter(StrEnum):
    """What is counted. One resource counts in one of them: a composed one that is managed is ``managed``."""

    MANAGED = "managed"
    COMPOSITE = "composite"
    CLAIM = "claim"
    COMPOSED = "composed"
    """What composites are made of beyond managed resources and further composites, as they refer to it."""
    OPERATION = "operation"


class Limited(IntEnum):
    """What of a combination was given up, since there were too many of them."""

    NOTHING = 0
    NAMES = 1
    """The names of composite and claim; a value that was too long counts here too."""
    ALL = 2


@hashed_once
@dataclass(frozen=True, slots=True)
class Dimensions(HashedOnce):
    """What resources share that are counted as one number. None: the object, or its owner, did not say.

    ``labels`` are the values of the chosen labels, in the order in which :class:`Described` names them.
    """

    meter: Meter
    gvk: Gvk
    provider: str | None = None
    namespace: str | None = None
    composite: str | None = None
    claim: str | None = None
    claim_namespace: str | None = None
    composition: str | None = None
    labels: tuple[str | None, ...] = ()
    limited: Limited = Limited.NOTHING


@dataclass(frozen=True, slots=True)
class Measure:
    """How many there are now, and how many were made since the sample before.

    ``extra_ms`` is what the exact time, in resource-milliseconds, differs by from the number before times the time
    since then.
    """

    count: int
    extra_ms: int = 0
    created: int = 0


@dataclass(frozen=True, slots=True)
class Metered:
    """The dimensions of a sample, by numbers that ``new`` gives them; only what has changed, unless ``whole``.

    ``peaks`` are whole kinds as they were when there were most, where that is more than at both samples around it.
    ``unknown`` are kinds that could not be counted.
    """

    at: datetime
    whole: bool = True
    new: Mapping[int, Dimensions] = field(default_factory=dict)
    rows: Mapping[int, Measure] = field(default_factory=dict)
    peaks: tuple[Mapping[int, int], ...] = ()
    unknown: Collection[tuple[Meter, Gvk]] = ()


@dataclass(frozen=True, slots=True)
class Described:
    """Which labels of objects are recorded, and the control plane's own labels, from this frame on."""

    labels: tuple[str, ...] = ()
    plane: Mapping[str, str] = field(default_factory=dict)


Frame = Sample | Gap | Census | ClockState | Polled | Metered | Described
"""What a segment is made of, in the order in which it was recorded."""


def hour_of(moment: datetime) -> datetime:
    """The start of the UTC hour that ``moment`` lies in."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def stamp(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds only where there are any: ``2026-10-31T23:10:00Z``."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds" if moment.microsecond else "seconds")
    return text.replace("+00:00", "Z")


def moment_untrusted(text: object) -> datetime:
    """Read what :func:`stamp` wrote; raises ``Malformed``."""
    return _moment_untrusted(str(text))


@lru_cache(maxsize=4096)
def _moment_untrusted(text: str) -> datetime:
    # A month of many control planes says the edges of its hours tens of thousands of times: one object for each.
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise Malformed(f"expected an RFC 3339 time, found {text[:40]!r}") from None
    if moment.tzinfo is None:
        raise Malformed(f"expected a time with its zone, found {text[:40]!r}")
    return moment.astimezone(UTC)

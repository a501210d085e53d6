"""Manifests as they are read back: what each proves, and what all of them of a period say together.

Manifests of every earlier version are read; what an earlier one did not say is None or empty.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from sys import intern
from typing import Any

import orjson

from keyless.billing.ledger.frames import head_untrusted, member_untrusted, receipt_untrusted, signature_untrusted
from keyless.billing.ledger.meter_file import METER_PREFIX
from keyless.billing.ledger.model import (
    HOUR,
    Chain,
    ChainHead,
    Gvk,
    HeadSignature,
    Malformed,
    Member,
    Misnamed,
    Pause,
    Receipt,
    Skipped,
    joined_pauses,
    moment_untrusted,
)
from keyless.billing.ledger.objects import DIGEST_DIGITS, name_stem

# The newest version whose fields are known here: docs/reference/facts/billing-formats.md
NEWEST_VERSION = 3
MANIFESTS = "manifest/"
# A thousand control planes in the census and a thousand gaps are half a megabyte.
MANIFEST_LIMIT = 8 * 2**20
_CENSUS, _AFTER_CENSUS = b',"census":[', b'],"heads":['
# Two samples may lie this many intervals apart and still bound what happened between them.
SLACK_INTERVALS = 3
# A longer interval would call hours covered in which nobody looked.
LONGEST_INTERVAL_SECONDS = 300
_SLACK = [timedelta(seconds=SLACK_INTERVALS * interval) for interval in range(LONGEST_INTERVAL_SECONDS + 1)]


@dataclass(frozen=True, slots=True)
class Committed:
    """A usage object as its manifest names it; ``size`` in bytes."""

    key: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """A gap that a collector recorded; ``kinds`` is empty where nothing at all was measured."""

    start: datetime
    end: datetime
    reason: str
    kinds: tuple[Gvk, ...] = ()


@dataclass(frozen=True, slots=True)
class Life:
    """A control plane and the part of time in which it owes usage; None is what nobody said.

    ``lost`` is usage that was collected and went with the control plane.
    """

    control_plane: Member
    billed_from: datetime | None = None
    deleted_at: datetime | None = None
    lost: tuple[Unmeasured, ...] = ()
    pauses: tuple[Pause, ...] = ()

    def within(self, period: tuple[datetime, datetime]) -> tuple[datetime, datetime]:
        """The part of the life that lies in ``period``; empty where the start is not before the end."""
        start = max(period[0], self.billed_from or self.control_plane.created_at, self.control_plane.created_at)
        return start, min(period[1], self.deleted_at or period[1])


@dataclass(frozen=True, slots=True)
class Covered:
    """What one manifest says. ``previous`` is the SHA-256 of the manifest before it, ``sha256`` its own.

    ``spool`` and ``chain`` are empty and None in version 1, which had one spool a control plane and did not say more.
    """

    account: str
    life: Life
    start: datetime
    end: datetime
    slack: timedelta
    gaps: tuple[Unmeasured, ...]
    lives: tuple[Life, ...]
    objects: tuple[Committed, ...]
    collector: str = ""
    sequence: int = 0
    previous: str = ""
    sha256: str = ""
    spool: str = ""
    chain: Chain | None = None
    skipped: tuple[Skipped, ...] = ()
    meters: tuple[Committed, ...] = ()
    """The same usage by its dimensions: an object, or the manifest itself; empty where a collector knew none."""
    heads: tuple[ChainHead, ...] = ()
    """How far the chains of some other control planes were when the segment began."""
    receipts: tuple[Receipt, ...] = ()
    """Which requests stored the objects; none of one whose answer was lost, or that an earlier version stored."""
    previous_receipt: Receipt | None = None
    """Which request stored the manifest before this one."""
    previous_signature: HeadSignature | None = None
    """Of the SHA-256 of the manifest before this one."""

    @property
    def stored_at(self) -> datetime | None:
        """When its objects were stored, by S3's clock; None where nobody wrote that down."""
        return max([receipt.at for receipt in self.receipts]) if self.receipts else None

    @property
    def control_plane(self) -> Member:
        """Whose usage it is."""
        return self.life.control_plane

    @property
    def census(self) -> tuple[Member, ...]:
        """The control planes that the collector saw."""
        return tuple(life.control_plane for life in self.lives)


def manifest_untrusted(key: str, body: bytes) -> Covered:
    """Read a manifest; raises ``Malformed`` that names the key, ``Misnamed`` where the key is not of these bytes."""
    return manifest_with_meters_untrusted(key, body)[0]


def manifest_with_meters_untrusted(key: str, body: bytes) -> tuple[Covered, Any]:
    """A manifest, and its ``meters`` as they stand there; raises as :func:`manifest_untrusted` does.

    A key says account, hour, host namespace, number and the beginning of the SHA-256 of what lies there: a manifest
    that was edited or moved differs from its own key, and one that vouches for an edited object from that object's.
    """
    if len(body) > MANIFEST_LIMIT:
        raise Malformed(f"{key}: expected at most {MANIFEST_LIMIT} bytes, found {len(body)}")
    try:
        own = Committed(key, hashlib.sha256(body).hexdigest(), len(body))
        document, census = _parsed(body, own.sha256)
        if int(document["version"]) > NEWEST_VERSION:
            raise Malformed(
                f"version: expected {NEWEST_VERSION} or older, found {int(document['version'])}: a newer collector"
                " wrote it; export with a newer keyless"
            )
        covered = _covered(document, own, census)
        _check_names(key, covered)
        return covered, document.get("meters", ())
    except Malformed as error:
        raise type(error)(f"{key}: {error}") from None
    except KeyError as error:
        raise Malformed(f"{key}: expected a manifest, found one without {error}") from None
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise Malformed(f"{key}: expected a manifest, found {type(error).__name__}: {str(error)[:200]}") from None


def lives(manifests: Iterable[Covered]) -> dict[str, Life]:
    """Every control plane that any manifest names, by id, with the union of what they know of its life.

    The earliest beginning counts and the latest end: usage is owed for any time that anybody says it was billed.
    """
    joined = Joined()
    for manifest in manifests:
        joined.add(manifest)
    return joined.lives


class Joined:
    """What manifests know of lives, told of one after another."""

    def __init__(self) -> None:
        self.lives: dict[str, Life] = {}
        self._census: tuple[Life, ...] = ()
        self._lines: dict[str, list[Life]] = {}
        """The census that was counted in last, by control plane."""

    def add(self, manifest: Covered) -> None:
        """Count in what one manifest knows."""
        # The manifests of an hour mostly have one census: it says nothing new but of whose line was just counted in.
        # To look for that line in all of it, at each manifest, would be the square of the control planes.
        if manifest.lives is self._census:
            later: Iterable[Life] = self._lines.get(manifest.control_plane.id, ())
        else:
            later, self._census, self._lines = manifest.lives, manifest.lives, {}
            for life in manifest.lives:
                self._lines.setdefault(life.control_plane.id, []).append(life)
        # A manifest's own line is as of its beginning, the census is later.
        for life in (manifest.life, *later):
            known = self.lives.get(life.control_plane.id)
            if known is None:
                self.lives[life.control_plane.id] = life
            elif known is not life and known != life:
                self.lives[life.control_plane.id] = _joined(known, life)


def _joined(one: Life, later: Life) -> Life:
    starts = [life.billed_from for life in (one, later) if life.billed_from is not None]
    ends = [life.deleted_at for life in (one, later) if life.deleted_at is not None]
    return Life(
        later.control_plane,
        min(starts) if starts else None,
        max(ends) if ends else None,
        tuple(dict.fromkeys((*one.lost, *later.lost))),
        joined_pauses(one.pauses, later.pauses),
    )


def _parsed(body: bytes, sha256: str) -> tuple[Any, tuple[Life, ...]]:
    """The document, and its census: most of a manifest's text, the same in all of an hour, and so read once."""
    start = body.find(_CENSUS) + len(_CENSUS) - 1
    end = body.find(_AFTER_CENSUS, start) + 1 or len(body) - 1
    if start >= len(_CENSUS):
        try:
            census = _lives_of(body[start:end])
            document = orjson.loads(b'%b"%b"%b' % (body[:start], sha256.encode(), body[end:]))
            # No text holds its own SHA-256: where this stands, and nowhere else, the census was.
            if document.get("census") == sha256:
                return document, census
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            pass  # what is wrong, reading the whole says
    document = orjson.loads(body)
    return document, _lives_of(orjson.dumps(document["census"]))


def _covered(document: Any, own: Committed, census: tuple[Life, ...]) -> Covered:
    interval = int(document["intervalSeconds"])
    if not 0 < interval <= LONGEST_INTERVAL_SECONDS:
        raise Malformed(f"intervalSeconds: expected 1 to {LONGEST_INTERVAL_SECONDS}, found {interval}")
    start, end = moment_untrusted(document["from"]), moment_untrusted(document["to"])
    if not start <= end <= start + HOUR:
        raise Malformed("to: expected a time within the hour after from")
    return Covered(
        account=str(document["account"]),
        life=_life(document["controlPlane"]),
        start=start,
        end=end,
        slack=_SLACK[interval],
        gaps=tuple(_gap(gap) for gap in document["gaps"]),
        lives=census,
        objects=_committed(document["objects"]),
        meters=_meters(document.get("meters", ()), own),
        collector=str(document.get("collector", "")),
        sequence=int(document.get("sequence", 0)),
        previous=str(document.get("previousManifestSha256", "")),
        sha256=own.sha256,
        spool=intern(_text(document.get("spool", ""))),
        chain=Chain(document["chain"]) if "chain" in document else None,
        skipped=tuple(Skipped(int(s["sequence"]), _text(s["reason"])) for s in document.get("skipped", ())),
        heads=tuple(head_untrusted(head) for head in document.get("heads", ())),
        receipts=tuple(receipt_untrusted(each) for each in document.get("receipts", ())),
        previous_receipt=receipt_untrusted(document["previousReceipt"]) if document.get("previousReceipt") else None,
        previous_signature=signature_untrusted(found) if (found := document.get("previousSignature")) else None,
    )


def _committed(items: Any) -> tuple[Committed, ...]:
    return tuple(Committed(_text(item["key"]), _text(item["sha256"]), int(item["bytes"])) for item in items)


def _meters(items: Any, own: Committed) -> tuple[Committed, ...]:
    # What lies within the manifest is read from it again when it is wanted: a month of it all would fill the memory.
    return tuple(own if "gzip" in item else _committed((item,))[0] for item in items)


def _check_names(key: str, covered: Covered) -> None:
    stem = name_stem(covered.account, covered.start, covered.control_plane.host_namespace, covered.sequence)
    folder, placed, _ = key.partition(stem)
    if not placed or MANIFESTS not in folder:
        raise Misnamed(f"expected a key that goes on with {stem} below {MANIFESTS}, as the manifest says")
    # Another ending would be a second name for the same manifest.
    if not key.endswith(".json"):
        raise Misnamed("expected a key that ends in .json")
    _check_name("", key, folder + stem, covered.sha256, ".json")
    # A manifest vouches for the objects of its own segment alone, beside it in its own prefix.
    beside = folder.replace(MANIFESTS, "", 1) + stem
    for item in covered.objects:
        _check_name(f"objects: {item.key}: ", item.key, beside, item.sha256, ".")
    beside = folder.replace(MANIFESTS, METER_PREFIX, 1) + stem
    for item in covered.meters:
        if item.key == key:
            continue
        _check_name(f"meters: {item.key}: ", item.key, beside, item.sha256, ".")


def _check_name(what: str, key: str, stem: str, sha256: str, suffix: str) -> None:
    name = key.removeprefix(stem)
    digest, ending = name[:DIGEST_DIGITS], name[DIGEST_DIGITS:]
    if name == key or "/" in ending or not ending.startswith(suffix):
        raise Misnamed(f"{what}expected a key that begins with {stem}, as the manifest says")
    if digest != sha256[:DIGEST_DIGITS]:
        raise Misnamed(f"{what}expected a SHA-256 that begins with {digest}, as the name says, found {sha256}")


def _gap(document: Any) -> Unmeasured:
    return Unmeasured(
        moment_untrusted(document["from"]),
        moment_untrusted(document["to"]),
        str(document["reason"]),
        tuple(Gvk(str(k["group"]), str(k["version"]), str(k["kind"])) for k in document.get("kinds", ())),
    )


@lru_cache(maxsize=64)
def _lives_of(text: bytes) -> tuple[Life, ...]:
    # The manifests of an hour mostly have one census.
    return tuple(_life(member) for member in orjson.loads(text))


def _life(document: Any) -> Life:
    return _life_of(orjson.dumps(document))


@lru_cache(maxsize=4096)
def _life_of(text: bytes) -> Life:
    # A month names the same control planes thousands of times.
    document = orjson.loads(text)
    billed, deleted, lost = document.get("billedFrom"), document.get("deletedAt"), document.get("lost")
    member = member_untrusted(document)
    return Life(
        member,
        moment_untrusted(billed) if billed else None,
        moment_untrusted(deleted) if deleted else None,
        (_gap(lost),) if lost else (),
        member.pauses,
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Malformed("expected a text, found something else")
    return value

"""Whether a waiver names what the bucket knows: one that does not settles nothing and leaves its gap open."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches

from keyless.api import Reason, Refusal
from keyless.billing.export.plan import printable
from keyless.billing.export.reading import Readers, readers
from keyless.billing.export.service import READERS, Bucket, bodies_within
from keyless.billing.ledger.manifests import MANIFEST_LIMIT, Covered, lives, manifest_untrusted
from keyless.billing.ledger.model import Malformed, Member
from keyless.billing.ledger.waivers import Waiver

# More candidates than this are no help to somebody who mistyped one.
SHOWN = 5


def unknown(bucket: Bucket, waiver: Waiver) -> Refusal | None:
    """Why the waiver may not be recorded without force: nothing in the bucket bears the name. None where it does."""
    # Only a name that is wrong has every manifest read: as an export reads them, many at once.
    with readers(READERS) as pool:
        return (_unknown_object if waiver.object_key else _unknown_plane)(bucket, waiver, pool)


def _unknown_plane(bucket: Bucket, waiver: Waiver, pool: Readers) -> Refusal | None:
    members: dict[str, Member] = {}
    for day in _days_by_nearness(bucket, waiver):
        found = lives(_manifests(bucket, pool, day, waiver.account))
        members |= {plane: life.control_plane for plane, life in found.items()}
        if waiver.control_plane in members:
            return None
    return _refused(
        f"--control-plane: expected the id of a control plane of account {waiver.account!r},"
        f" found {waiver.control_plane!r}",
        near_planes(waiver.control_plane, members),
    )


def near_planes(typed: str, members: Mapping[str, Member]) -> list[str]:
    """The control planes that may be meant, as ``id (group/name)``: those so named first, then those so spelt."""
    names = {plane: (f"{member.group}/{member.name}", member.name) for plane, member in members.items()}
    named = [plane for plane in sorted(names) if typed in names[plane]]
    spelt = {spelling: plane for plane in sorted(names) for spelling in (*names[plane], plane)}
    close = [spelt[found] for found in get_close_matches(typed, spelt, n=SHOWN)]
    chosen = list(dict.fromkeys([*named, *close])) or sorted(names)
    return [f"{plane} ({names[plane][0]})" for plane in chosen[:SHOWN]]


def near_keys(typed: str, keys: Collection[str]) -> list[str]:
    """The keys that may be meant, nearest first; only those that are spelt alike."""
    return get_close_matches(typed, sorted(keys), n=SHOWN)


def _unknown_object(bucket: Bucket, waiver: Waiver, pool: Readers) -> Refusal | None:
    key = waiver.object_key
    if any(item.key == key for item in bucket.list(key)):
        return None
    # An object that is gone is known by the manifest that names it, and may be waived.
    below, day = _day_of(key)
    manifests = _manifests(bucket, pool, f"manifest/{day}", waiver.account)
    named = {item.key for covered in manifests for item in covered.objects}
    if key in named:
        return None
    listed = {item.key for item in bucket.list(f"{below}{day}")} if day else set()
    return _refused(
        f"--object: expected an object that the bucket holds or a manifest names, found {key!r}",
        near_keys(key, listed | named),
    )


def _refused(said: str, near: Iterable[str]) -> Refusal:
    there = "".join(f"\n  {printable(name)}" for name in near)
    meant = f"; did you mean:{there}\n" if there else "; "
    return Refusal(Reason.USAGE_MISSING, f"{printable(said)}{meant}use --force to record it all the same")


def _day_of(key: str) -> tuple[str, str]:
    """What stands before ``account=``, and ``account=A/date=D/``; the second is empty where the key has no day."""
    below, account, rest = key.partition("account=")
    name, date, rest = rest.partition("/date=")
    return below, f"{account}{name}{date}{rest[:10]}/" if date else ""


def _days_by_nearness(bucket: Bucket, waiver: Waiver) -> Iterator[str]:
    """The prefixes of the days that have manifests, those around the stretch first: whom they name is seldom far."""
    first = waiver.start.toordinal() if waiver.start else 0

    def distance(prefix: str) -> int:
        date = prefix.rstrip("/").rpartition("date=")[2]
        try:
            return abs(type(waiver.made_at).fromisoformat(date).toordinal() - first)
        except ValueError:
            # A folder that is no day of ours names nobody; it is looked at last.
            return 10**9

    days = [prefix for prefix in bucket.groups(f"manifest/account={waiver.account}/") if "/date=" in prefix]
    yield from sorted(days, key=lambda prefix: (distance(prefix), prefix))


def _manifests(bucket: Bucket, pool: Readers, prefix: str, account: str) -> Iterator[Covered]:
    """The manifests that can be read; a spoilt one names nobody, and an export tells of it."""
    if not prefix.startswith(f"manifest/account={account}/"):
        return
    sizes = {item.key: item.size for item in bucket.list(prefix) if item.size <= MANIFEST_LIMIT}
    for key, body in zip(sizes, bodies_within(bucket, sizes, pool, limit=MANIFEST_LIMIT), strict=True):
        try:
            yield manifest_untrusted(key, body)
        except Malformed:
            continue

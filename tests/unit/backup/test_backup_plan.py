"""Which snapshots stay, which one is restored, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.api import Reason, Refusal
from keyless.backup import plan
from keyless.backup.model import (
    FILES,
    MANIFEST,
    Malformed,
    Manifest,
    Source,
    State,
    Wanted,
    folder_name,
    home,
    read_untrusted,
    taken_at,
    to_bytes,
    wanted_of,
)
from unit.backup.stage import NOON, PLANE

PLACE = home("backups/", PLANE)
HOUR = timedelta(hours=1)
MANIFEST_OF = Manifest(Source(PLANE, "default", "ctp1", "mine"), NOON, State("3.6.5", "7", 42), 4128, "a" * 64)


def folder(hours: int, revision: int = 1) -> str:
    return folder_name(NOON + hours * HOUR, revision)


def keys_of(*folders: str, files: tuple[str, ...] = FILES) -> list[str]:
    return [f"{PLACE}{each}/{name}" for each in folders for name in files]


def test_a_manifest_is_read_as_it_was_written() -> None:
    assert read_untrusted(to_bytes(MANIFEST_OF)) == MANIFEST_OF


@effort(100)
@given(st.binary(max_size=200) | st.builds(lambda at, by: _changed(at, by), st.integers(0, 400), st.integers(0, 255)))
def test_a_manifest_that_somebody_spoilt_is_read_or_refused_and_nothing_else(body: bytes) -> None:
    try:
        found = read_untrusted(body)
    except Malformed:
        return
    assert taken_at(found.folder) is not None


def _changed(at: int, by: int) -> bytes:
    body = bytearray(to_bytes(MANIFEST_OF))
    body[at % len(body)] = by
    return bytes(body)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (PLANE, Wanted(PLANE)),
        (f" {PLANE}/{folder(0, 42)} ", Wanted(PLANE, folder(0, 42))),
        (f"{PLANE}/latest", None),
        (f"{PLANE}/", None),
        ("../other", None),
        ("", None),
        (f"{PLANE}/20261399T120000Z-1", None),
    ],
)
def test_what_shall_be_restored_is_a_control_plane_or_one_of_its_snapshots(text: str, wanted: Wanted | None) -> None:
    assert wanted_of(text) == wanted


@effort(100)
@given(
    whole=st.sets(st.integers(0, 60)),
    cut=st.sets(st.integers(0, 60)),
    foreign=st.lists(st.sampled_from(["note.txt", "x/snapshot.db", f"{folder(3)}/else", "a/b/manifest.json"])),
    keep=st.integers(-1, 70),
)
def test_only_ours_goes_and_the_newest_stay(whole: set[int], cut: set[int], foreign: list[str], keep: int) -> None:
    cut -= whole
    others = [PLACE + each for each in foreign] + ["backups/controlplane=other/" + folder(1) + "/manifest.json"]
    keys = keys_of(*map(folder, whole)) + keys_of(*map(folder, cut), files=FILES[:1]) + others
    gone = plan.to_delete(keys, PLACE, keep=keep, now=NOON + 61 * HOUR)
    assert set(gone).isdisjoint(others)
    assert len(gone) == len(set(gone))
    left = plan.complete(plan.folders(set(keys) - set(gone), PLACE))
    assert left == tuple(map(folder, sorted(whole)))[-max(keep, 1) :]


@effort(100)
@given(
    before=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    after=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    keep=st.integers(0, 4),
)
def test_snapshots_of_an_etcd_that_began_anew_drive_out_none_of_the_one_that_was_lost(
    before: list[int], after: list[int], keep: int
) -> None:
    """Growth from snapshot to snapshot, in two lives; while the second is behind, all of the last of the first stay."""
    first = [folder(hour, 1000 + sum(before[: hour + 1])) for hour in range(len(before))]
    held = keys_of(*first)
    for count in range(len(after)):
        held += keys_of(folder(20 + count, sum(after[: count + 1])))
        gone = plan.to_delete(held, PLACE, keep=keep, now=NOON + 30 * HOUR)
        held = [each for each in held if each not in gone]
        left = plan.complete(plan.folders(held, PLACE))
        assert set(first) <= set(left)
        assert len(left) - len(first) == min(count + 1, max(keep, 1))


@effort(100)
@given(
    lives=st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=4), min_size=1, max_size=3),
    keep=st.integers(0, 4),
)
def test_restored_by_itself_is_the_newest_of_one_life_and_of_two_none_that_nobody_named(
    lives: list[list[int]], keep: int
) -> None:
    """Growth from snapshot to snapshot, in lives that each begin with nothing."""
    revisions = [sum(life[: at + 1]) for life in lives for at in range(len(life))]
    held = keys_of(*(folder(hour, revision) for hour, revision in enumerate(revisions)))
    gone = plan.to_delete(held, PLACE, keep=keep, now=NOON + 30 * HOUR)
    left = [each for each in held if each not in gone]
    found = plan.choose(Wanted(PLANE), left, "backups/")
    last, most = folder(len(revisions) - 1, revisions[-1]), max(revisions)
    if revisions[-1] == most:
        assert found == f"{PLACE}{last}/"
        return
    assert isinstance(found, Refusal)
    assert found.reason == Reason.SNAPSHOT_OF_TWO_LIVES
    assert any(f"{PLANE}/{folder(hour, most)}" in found.detail for hour in range(len(revisions)))
    assert f"{PLANE}/{last}" in found.detail
    for named in (each for each in plan.complete(plan.folders(left, PLACE)) if each in found.detail):
        assert plan.choose(Wanted(PLANE, named), left, "backups/") == f"{PLACE}{named}/"


@pytest.mark.parametrize(
    ("expected", "found", "refused"), [("", "", False), ("", "b", False), ("a", "a", False), ("a", "b", True)]
)
def test_what_another_life_of_etcd_holds_is_refused_once_it_is_known_what_it_should_hold(
    expected: str, found: str, refused: bool
) -> None:
    refusal = plan.emptied(expected, State("3.6.8", "7", 42, found))
    assert bool(refusal) == refused
    if refusal:
        assert refusal.reason == Reason.DATA_LOST


def test_an_etcd_in_which_nobody_wrote_yet_is_no_snapshot() -> None:
    refusal = plan.emptied("a", State("3.6.8", "7", 1))
    assert refusal is not None
    assert "found none" in refusal.detail


@effort(100)
@given(st.sets(st.integers(0, 30), min_size=2), st.integers(0, 5), st.data())
def test_a_deletion_that_stops_anywhere_leaves_no_half_of_a_snapshot_to_restore(
    whole: set[int], keep: int, data: st.DataObject
) -> None:
    keys = keys_of(*map(folder, whole))
    gone = plan.to_delete(keys, PLACE, keep=keep, now=NOON + 31 * HOUR)
    done = data.draw(st.integers(0, len(gone)))
    left = [each for each in keys if each not in gone[:done]]
    chosen = plan.choose(Wanted(PLANE), left, "backups/")
    assert chosen == f"{PLACE}{folder(max(whole))}/"
    assert all(
        {f"{PLACE}{one}/{name}" for name in FILES} <= set(left) for one in plan.complete(plan.folders(left, PLACE))
    )


def test_a_folder_without_a_manifest_goes_after_a_day_and_not_while_it_may_still_be_written() -> None:
    keys = keys_of(folder(0), files=FILES[:1]) + keys_of(folder(2))
    assert plan.to_delete(keys, PLACE, keep=3, now=NOON + 20 * HOUR) == ()
    assert plan.to_delete(keys, PLACE, keep=3, now=NOON + 30 * HOUR) == (f"{PLACE}{folder(0)}/{FILES[0]}",)


def test_where_none_is_whole_nothing_goes() -> None:
    keys = keys_of(folder(0), folder(1), files=FILES[:2])
    assert plan.to_delete(keys, PLACE, keep=1, now=NOON + 900 * HOUR) == ()


def test_a_later_revision_of_the_same_second_is_the_newer_one() -> None:
    keys = keys_of(folder(0, 9), folder(0, 10))
    assert plan.choose(Wanted(PLANE), keys, "backups/") == f"{PLACE}{folder(0, 10)}/"


@pytest.mark.parametrize(
    ("last", "seconds"), [(None, 0), (-2, 0), (-1, 0), (-0.25, 2700), (0, 3600), (5, 3600), (9000, 3600)]
)
def test_the_next_one_is_due_an_interval_after_the_last_whatever_clocks_say(last: float | None, seconds: int) -> None:
    at = None if last is None else NOON + last * HOUR
    assert plan.due_in_seconds(at, NOON, HOUR) == seconds


@pytest.mark.parametrize(
    ("wanted", "reason", "words"),
    [
        (Wanted("other"), Reason.SNAPSHOT_MISSING, "none that is whole"),
        (Wanted(PLANE, folder(7)), Reason.SNAPSHOT_MISSING, f"found {folder(1)}, {folder(2)}"),
        (Wanted(PLANE, folder(3)), Reason.SNAPSHOT_MISSING, "its writing was cut off"),
    ],
)
def test_a_snapshot_that_is_not_there_is_named_with_those_that_are(wanted: Wanted, reason: Reason, words: str) -> None:
    keys = keys_of(folder(1), folder(2)) + keys_of(folder(3), files=FILES[:1])
    found = plan.choose(wanted, keys, "backups/")
    assert isinstance(found, Refusal)
    assert found.reason == reason
    assert words in found.detail


KEY = f"{PLACE}{MANIFEST_OF.folder}/{MANIFEST}"


@pytest.mark.parametrize(
    ("manifest", "key", "etcd", "reason"),
    [
        (MANIFEST_OF, KEY, "3.6.1", None),
        (MANIFEST_OF, KEY, "3.7.0", None),
        (MANIFEST_OF, KEY, "4.0.0-0", None),
        (MANIFEST_OF, KEY, "my-own-tag", None),
        (MANIFEST_OF, KEY, "v3.5.21-0", Reason.SNAPSHOT_TOO_NEW),
        (replace(MANIFEST_OF, state=State("newest", "", 42)), KEY, "3.6.1", Reason.SNAPSHOT_TOO_NEW),
        (replace(MANIFEST_OF, source=Source("other")), KEY, "3.6.1", Reason.SNAPSHOT_OF_ANOTHER),
        (MANIFEST_OF, f"{PLACE}{folder(5)}/{MANIFEST}", "3.6.1", Reason.SNAPSHOT_OF_ANOTHER),
    ],
)
def test_a_snapshot_of_another_control_plane_or_of_a_newer_etcd_is_refused(
    manifest: Manifest, key: str, etcd: str, reason: Reason | None
) -> None:
    found = plan.read_manifest(to_bytes(manifest), Wanted(PLANE), key, etcd=etcd)
    assert (found.reason if isinstance(found, Refusal) else None) == reason


@pytest.mark.parametrize(
    ("size", "sha256", "words"),
    [(4128, "a" * 64, ""), (4000, "a" * 64, "4000 bytes"), (4128, "b" * 64, "other bytes of the same length")],
)
def test_what_was_cut_off_or_changed_on_its_way_is_refused(size: int, sha256: str, words: str) -> None:
    found = plan.broken(MANIFEST_OF, size, sha256, "key")
    assert (words in found.detail and found.reason == Reason.SNAPSHOT_BROKEN) if found else not words

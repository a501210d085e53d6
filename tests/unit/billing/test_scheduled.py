"""The export by a schedule: each closed month once, whatever happened to the runs before, with no right too many."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.api import Permanent
from keyless.billing.access import export_access, export_statements
from keyless.billing.export.keeping import KeptBucket
from keyless.billing.export.plan import Request, closed_month, period_of
from keyless.billing.export.scheduled import export_closed, folder, following, owed
from keyless.billing.export.service import export
from keyless.policy import Named, Policies, Principal, evaluate, parse
from keyless.policy import Request as Call
from unit.billing.bucket import HOUR, MemoryBucket, event, member

NOW = datetime(2026, 11, 1, 3, tzinfo=UTC)
PLACE = folder("report", "acme")
ROLE = Principal(
    "AssumedRole",
    "111122223333",
    "arn:aws:sts::111122223333:assumed-role/r/s",
    role_arn="arn:aws:iam::111122223333:role/r",
)


def plane_of(month):
    return f"{month.replace('-', '')}00-5bb8-4a7e-9f41-2fc38ef4b065"


def used_in(bucket, month, *, stored=2):
    """A control plane that lived the last two hours of a month, of which so many are stored."""
    first = period_of(month, "")[1] - 2 * HOUR
    plane = plane_of(month)
    life = member(plane, createdAt=f"{first:%Y-%m-%dT%H:%M:%SZ}", deletedAt=f"{first + 2 * HOUR:%Y-%m-%dT%H:%M:%SZ}")
    for number in range(stored):
        hour = first + number * HOUR
        bucket.store_hour(hour, event(3.0, plane=plane), plane=plane, census=[life], controlPlane=life)


class Store(MemoryBucket):
    """Remembers what is written, and ends the process at the n-th call."""

    def __init__(self, objects=None, last=None):
        super().__init__({} if objects is None else objects)
        self.left, self.written = last, []

    def _called(self):
        if self.left is not None:
            if self.left == 0:
                raise KilledHere
            self.left -= 1

    def get(self, key):
        self._called()
        return super().get(key)

    def groups(self, prefix):
        self.asked.append(("list", prefix))
        return super().groups(prefix)

    def put_new(self, key, body, content_type="application/json"):
        self._called()
        self.asked.append(("put", key))
        if key in self.objects:
            return False
        self.objects[key] = body
        self.written.append(key)
        self._called()
        return True


class KilledHere(BaseException):
    """The process ends at this call."""


def run(store, work, *, now=NOW, force=False):
    def request(month):
        return Request("acme", period_of(month, ""), force, options=("--bucket=usage",))

    def kept(month, asked):
        bucket, done = KeptBucket(store, work / f"{month}.tgz", source="usage"), False
        try:
            made = export(bucket, asked, now=now)
            done = True
        finally:
            bucket.close(done=done)
        return made

    return list(export_closed(store, store, request, kept, place=PLACE, now=now))


def three_months():
    store = Store()
    for month in ("2026-08", "2026-09", "2026-10"):
        used_in(store, month)
    return store


def test_every_closed_month_is_written_once_oldest_first(tmp_path):
    store = three_months()
    made = run(store, tmp_path)
    assert [(each.month, each.rows, each.refused) for each in made] == [
        ("2026-08", 2, ""), ("2026-09", 2, ""), ("2026-10", 2, "")
    ]  # fmt: skip
    assert store.written == [f"{PLACE}{month}.tgz" for month in ("2026-08", "2026-09", "2026-10")]
    assert run(store, tmp_path) == []
    assert len(store.written) == 3


def test_a_month_that_is_not_closed_yet_is_left(tmp_path):
    at_once = period_of("2026-10", "")[1] + timedelta(minutes=14)
    assert [each.month for each in run(three_months(), tmp_path, now=at_once)] == ["2026-08", "2026-09"]


def test_a_run_that_is_killed_anywhere_is_made_good_by_the_next_and_nothing_is_written_twice(tmp_path):
    whole = three_months()
    run(whole, tmp_path)
    expected = {key: whole.objects[key] for key in whole.written}
    cut = 0
    for last in range(30):
        store = three_months()
        store.left = last
        with suppress(KilledHere):
            run(store, tmp_path)
        cut += store.left == 0
        store.left = None
        run(store, tmp_path)
        assert {key: store.objects[key] for key in store.written} == expected
        assert len(store.written) == 3
    assert 15 < cut < 30, "every call is the last one once"


def test_a_month_that_is_refused_is_named_and_the_others_go_on(tmp_path):
    store = Store()
    used_in(store, "2026-08")
    used_in(store, "2026-09", stored=1)
    used_in(store, "2026-10")
    made = run(store, tmp_path)
    assert [bool(each.refused) for each in made] == [False, True, False]
    assert "keyless billing waive" in made[1].refused
    assert [each.month for each in run(store, tmp_path)] == ["2026-09"], "it is tried again, and it alone"
    assert [each.refused for each in run(store, tmp_path, force=True)] == [""]


def test_a_month_between_in_which_nobody_stored_anything_is_named_with_what_to_do(tmp_path):
    store = Store()
    used_in(store, "2026-08")
    used_in(store, "2026-10")
    [_, between, last] = run(store, tmp_path)
    assert (between.month, last.refused) == ("2026-09", "")
    assert "--billing-month=2026-09 --force-incomplete" in between.refused
    assert between.key in between.refused
    store.objects[between.key] = b"what a person put there"
    assert run(store, tmp_path) == []


def test_somebody_who_was_quicker_is_not_written_over(tmp_path):
    store = three_months()
    listed = store.list

    def list_and_be_overtaken(prefix):
        yield from listed(prefix)
        if prefix == PLACE:
            store.objects.setdefault(f"{PLACE}2026-09.tgz", b"another's")

    store.list = list_and_be_overtaken
    assert [each.there for each in run(store, tmp_path)] == [False, True, False]
    assert store.objects[f"{PLACE}2026-09.tgz"] == b"another's"


MONTHS = st.dates(date(2019, 1, 1), date(2031, 12, 31)).map(lambda day: f"{day:%Y-%m}")


@effort(50)
@given(st.sets(MONTHS, max_size=6), st.sets(MONTHS, max_size=6), MONTHS)
def test_owed_are_all_months_from_the_first_with_usage_to_the_last_closed_that_have_no_report(used, there, closed):
    found = owed(used, there, closed)
    if not used or min(used) > closed:
        assert found == ()
        return
    assert not set(found) & there
    assert list(found) == sorted(set(found))
    every = [min(used)]
    while every[-1] < closed:
        every.append(following(every[-1]))
    assert set(found) | (there & set(every)) == set(every)
    for done in range(len(found) + 1):
        assert owed(used, there | set(found[:done]), closed) == found[done:], "safe to stop after any month"


@effort(50)
@given(MONTHS)
def test_the_month_that_follows_begins_where_one_ends(month):
    assert period_of(following(month), "")[0] == period_of(month, "")[1]
    assert closed_month(period_of(month, "")[1] + timedelta(minutes=15)) == month


@pytest.mark.parametrize("prefix", ["", "/", "account=acme", "manifest", "/manifest/x", "waiver", "meter/"])
def test_a_prefix_where_usage_lies_is_refused(prefix):
    with pytest.raises(Permanent, match="expected a prefix of its own"):
        folder(prefix, "acme")


def _allowed(statements, call):
    document = parse({"Version": "2012-10-17", "Statement": statements}, "identity")
    return evaluate(call, Policies(identity=(Named("export", document),))).allowed


def _call(what, key):
    if what == "list":
        return Call("s3:ListBucket", "arn:aws:s3:::usage", ROLE, {"s3:prefix": key})
    action = {"get": "s3:GetObject", "put": "s3:PutObject"}[what]
    return Call(action, f"arn:aws:s3:::usage/{key}", ROLE, {})


def test_the_printed_policy_allows_every_call_of_a_run_and_nothing_beside(tmp_path):
    store = Store()
    used_in(store, "2026-08")
    used_in(store, "2026-10", stored=1)
    run(store, tmp_path, force=True)
    statements = export_statements(export_access("usage", "acme", ("usage", "report")), "acme", "report")
    asked = set(store.asked)
    assert {what for what, _ in asked} == {"list", "get", "put"}
    assert [call for call in sorted(asked) if not _allowed(statements, _call(*call))] == []
    beside = [
        ("list", ""), ("list", "account="), ("list", "account=acme2/"), ("list", "meter/account=acme/"),
        ("get", f"{PLACE}2026-08.tgz"), ("get", "account=acme2/x"), ("get", "manifest/meter/account=acme/x"),
        ("put", "account=acme/date=2026-10-01/hour=00/x"), ("put", "manifest/account=acme/x"),
        ("put", "waiver/account=acme/x"),
        ("put", "report/account=acme2/2026-08.tgz"),
    ]  # fmt: skip
    assert [call for call in beside if _allowed(statements, _call(*call))] == []
    assert not _allowed(statements, Call("s3:DeleteObject", f"arn:aws:s3:::usage/{PLACE}2026-08.tgz", ROLE, {}))

"""Whatever is done to objects of a bucket: a report refuses and names them, or is marked, or tells the same numbers."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo

from hypothesis import example, given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.api import Refusal
from keyless.billing.ledger.model import stamp
from keyless.billing.ledger.objects import INSIDE_LIMIT
from keyless.billing.report.service import Asked, report_of
from keyless.billing.report.teams import DEFAULT
from unit.billing.bucket import MemoryBucket
from unit.billing.teams_bucket import HOUR, PLANES, two_teams

START = datetime(2026, 10, 30, tzinfo=UTC)
HOURS = 3
NOW = START + 90 * HOUR
BY = ("team", "control-plane", "kind", "hour")
NUMBERS = st.integers(0, 10_000)


def report(bucket: MemoryBucket, output: str = "json", *, forced: bool = False):
    period = (START, START + HOURS * HOUR)
    asked = Asked(("acme",), period, ZoneInfo("UTC"), BY, "all", DEFAULT, force_incomplete=forced)
    made = report_of(bucket, asked, output, now=NOW, wrap=dict)
    return json.loads(made) if isinstance(made, str) and output == "json" else made


@cache
def untouched(inside: int):
    """The objects, and their report."""
    bucket = two_teams(START, HOURS, inside=inside)
    return bucket.objects, report(bucket)


def flip(objects, key, number, _other):
    body = bytearray(objects[key])
    body[number % len(body)] ^= 1 << number % 8
    objects[key] = bytes(body)


def cut(objects, key, number, _other):
    objects[key] = objects[key][: number % len(objects[key])]


def put_in(objects, key, number, _other):
    at = number % (len(objects[key]) + 1)
    objects[key] = objects[key][:at] + bytes([number % 256]) + objects[key][at:]


def recount(objects, key, number, _other):
    """One digit is another, in a text that is as whole as before."""
    packed = objects[key].startswith(b"\x1f\x8b")
    text = bytearray(gzip.decompress(objects[key]) if packed else objects[key])
    digits = [at for at, each in enumerate(text) if each in b"0123456789"]
    if digits:
        at = digits[number % len(digits)]
        text[at] = 48 + (text[at] - 47) % 10
        objects[key] = gzip.compress(bytes(text), mtime=0) if packed else bytes(text)


def swap(objects, key, _number, other):
    objects[key], objects[other] = objects[other], objects[key]


def overwrite(objects, key, _number, other):
    objects[key] = objects[other]


def remove(objects, key, _number, _other):
    del objects[key]


def rename(objects, key, number, _other):
    at = number % len(key)
    objects[f"{key[:at]}x{key[at:]}"] = objects.pop(key)


def double(objects, key, number, _other):
    at = number % len(key)
    objects[f"{key[:at]}x{key[at:]}"] = objects[key]


WAYS = (flip, cut, put_in, recount, swap, overwrite, remove, rename, double)
ACTS = st.tuples(st.sampled_from(WAYS), NUMBERS, NUMBERS, NUMBERS)


def done(objects, acts):
    """The objects after it, and the keys that were touched; what was emptied is left alone."""
    left, touched = dict(objects), set()
    for way, which, number, another in acts:
        keys = sorted(left)
        key, other = keys[which % len(keys)], keys[another % len(keys)]
        if way in {swap, overwrite} or left[key]:
            way(left, key, number, other)
            touched |= {key, other} if way is swap else {key, *(left.keys() - set(keys))}
    return MemoryBucket(left), touched


def names(refused: Refusal, keys) -> bool:
    """Whether one of the objects is named, or the stretch of the control plane whose manifest it was."""
    stretches = {
        f"({plane.id}): {stamp(START + number * HOUR)}"
        for key in keys
        for plane in PLANES
        for number in range(HOURS)
        if plane.host_namespace in key
    }
    return any(each in refused.detail for each in (*keys, *stretches))


@given(st.sampled_from([INSIDE_LIMIT, 0]), st.lists(ACTS, min_size=1, max_size=3))
@example(INSIDE_LIMIT, [(remove, 6, 0, 0)])
@example(0, [(swap, 12, 0, 13)])
@example(0, [(overwrite, 12, 0, 13)])
@effort(25)
def test_what_was_done_to_objects_is_named_or_changes_no_number(inside, acts):
    objects, whole = untouched(inside)
    bucket, touched = done(objects, acts)
    made = report(bucket)
    if isinstance(made, Refusal):
        assert names(made, touched), (made.detail, touched)
    else:
        assert made == whole


@given(st.sampled_from([INSIDE_LIMIT, 0]), st.lists(ACTS, min_size=1, max_size=3))
@effort(25)
def test_a_report_that_goes_on_all_the_same_says_what_it_lacks(inside, acts):
    objects, whole = untouched(inside)
    bucket, touched = done(objects, acts)
    made = report(bucket, forced=True)
    assert not isinstance(made, Refusal)
    if (made["lines"], made["total"]) != (whole["lines"], whole["total"]):
        assert made["complete"] is False
        assert made["missing"] or made["faults"]
        said = report(bucket, "text", forced=True)
        assert "missing:" in said or any(key in said for key in touched)
    # What cannot be trusted is not counted: nobody is told of more than there was.
    assert sum_of(made) <= sum_of(whole)


def sum_of(told) -> float:
    return float(told["total"]["maximumResourceHours"])

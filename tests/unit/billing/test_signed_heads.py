"""Which manifests a key vouches for, whatever is done to the bucket by somebody who does not have it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.billing.export.verifying import Check, Known, verify
from keyless.billing.ledger.frames import signature_document, signature_untrusted
from keyless.billing.ledger.model import HeadSignature, Malformed
from keyless.billing.ledger.objects import canonical
from keyless.billing.ledger.signed import message_of
from keyless.billing.ledger.signed_heads import head_statement
from unit.billing.bucket import MemoryBucket, manifest_entry
from unit.billing.chained import END, START, Collector
from unit.billing.samples import CTP1

KEYS = [ed25519.Ed25519PrivateKey.from_private_bytes(bytes([n] * 32)) for n in range(3)]
PLANE = replace(CTP1, created_at=START)
HOURS = 5
NOW = END + timedelta(hours=3)


def signature(sha256, key=0):
    return HeadSignature("Ed25519", f"key {key}", KEYS[key].sign(message_of(head_statement(sha256))))


def holds_by(*numbers):
    def holds(statement, found):
        return any(KEYS[n].sign(message_of(statement)) == found.signature for n in numbers)

    return holds


def stored(signers, *, spools=(HOURS,)):
    """Hours of one control plane, in spools of so many; ``signers`` are the keys by hour, None where it was away."""
    bucket, hour, link = MemoryBucket(), 0, None
    for number, length in enumerate(spools):
        collector = Collector(bucket, PLANE, spool=f"spool-{number}")
        if link is not None:
            collector.link = replace(link, spool=f"spool-{number}")
            collector.sequence = hour
        for _ in range(length):
            collector.hour(hour, 3 + hour)
            key = signers[hour]
            signed = None if key is None else signature(collector.link.previous, key)
            collector.link = replace(collector.link, previous_signature=signed)
            hour += 1
        link = replace(collector.link, previous_signature=None)
    return bucket


def verdict(bucket, *keys, known=()):
    return verify(bucket, Check("acme", holds=holds_by(*(keys or (0,))), known=known), now=NOW)


def reasons(made):
    return {fault.reason for fault in made.faults}


def test_who_asks_for_no_signature_is_told_of_none():
    bucket = stored([None] * HOURS)
    assert verify(bucket, Check("acme"), now=NOW).holds
    assert reasons(verdict(bucket)) == {"NotSigned"}


def test_all_but_the_newest_is_vouched_for_and_the_newest_by_who_kept_its_signature():
    bucket = stored([0] * HOURS)
    made = verdict(bucket)
    assert made.holds
    assert len(made.not_yet_signed) == 1
    newest = made.heads[0].sha256
    kept = verdict(bucket, known=(Known("the cluster", signatures=((newest, signature(newest)),)),))
    assert (kept.holds, kept.not_yet_signed) == (True, ())
    # A signature of another key vouches for nothing.
    other = verdict(bucket, known=(Known("the cluster", signatures=((newest, signature(newest, 1)),)),))
    assert len(other.not_yet_signed) == 1


@given(st.lists(st.sampled_from([None, 0]), min_size=HOURS, max_size=HOURS))
@effort(12)
def test_a_signature_vouches_for_all_before_it_and_what_comes_after_the_last_is_named(signers):
    made = verdict(stored(signers))
    # That of the last hour stands in no manifest.
    last = max((hour for hour in range(HOURS - 1) if signers[hour] is not None), default=-1)
    after = HOURS - 1 - last
    if after == 1:
        assert made.holds
    else:
        [fault] = made.faults
        assert fault.reason == "NotSigned"
        assert f"and {after - 1} after it" in fault.detail
        assert f"-{last + 1:010}-" in fault.key


@pytest.mark.parametrize("spools", [(2, 3), (1, 1, 3), (4, 1), (1, 1, 1, 2)])
def test_a_pods_end_is_vouched_for_by_the_one_that_goes_on_from_it(spools):
    assert verdict(stored([0] * HOURS, spools=spools)).holds
    alone = verdict(stored([None] * HOURS, spools=spools))
    assert not alone.holds or max(spools) == 1


def test_a_key_is_rotated_by_giving_both_and_one_that_nobody_gives_is_named():
    bucket = stored([0, 0, 1, 1, 1])
    assert verdict(bucket, 0, 1).holds
    made = verdict(bucket, 1)
    assert made.faults[0].reason == "WrongSignature"
    assert "key 0" in made.faults[0].detail


def rewritten(bucket, at, change):
    """Whoever owns the bucket, and no key, writes a manifest and all after it anew, so that every hash fits."""
    keys = sorted(key for key in bucket.objects if key.startswith("manifest/account="))
    previous = {}
    for number, key in enumerate(keys[at:]):
        document = orjson.loads(bucket.objects[key])
        if not number:
            document["samples"] += 1
        document["previousManifestSha256"] = previous.get(
            document["previousManifestSha256"], document["previousManifestSha256"]
        )
        change(number, document)
        body = canonical(document)
        name, _ = manifest_entry(document)
        previous[hashlib.sha256(bucket.objects.pop(key)).hexdigest()] = hashlib.sha256(body).hexdigest()
        bucket.objects[f"{name[: name.rindex('-') + 1]}{hashlib.sha256(body).hexdigest()[:16]}.json"] = body


def keep(number, document):
    """The signatures that were there."""


def drop(number, document):
    if number:
        document.pop("previousSignature", None)


def another(number, document):
    if number:
        document["previousSignature"] = signature_document(signature(document["previousManifestSha256"], 2))


@pytest.mark.parametrize("change", [keep, drop, another], ids=lambda change: change.__name__)
@pytest.mark.parametrize("at", range(HOURS - 2))
def test_a_history_that_was_written_anew_without_the_key_is_named(at, change):
    bucket = stored([0] * HOURS)
    rewritten(bucket, at, change)
    # Without the key every sum fits.
    assert verify(bucket, Check("acme"), now=NOW).holds
    assert reasons(verdict(bucket)) <= {"NotSigned", "WrongSignature"}
    assert not verdict(bucket).holds


@pytest.mark.parametrize(
    "document",
    [
        3, [], {"algorithm": "a"}, {"algorithm": 1, "key": "k", "signature": ""},
        {"algorithm": "a", "key": "k", "signature": "%"}, {"algorithm": "a", "key": "k", "signature": "A" * 2000},
    ],
)  # fmt: skip
def test_what_is_no_signature_is_refused(document):
    with pytest.raises(Malformed, match="expected a signature"):
        signature_untrusted(document)


def test_a_signature_is_read_as_it_was_written():
    assert signature_untrusted(signature_document(signature("00"))) == signature("00")

"""Object lock: what is held cannot be deleted, and by whom a hold may be loosened."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from unit.local.cloud.s3.conftest import BUCKET
from unit.local.cloud.support import World, a_role, allow, refusal

HELD = "Access Denied because object protected by object lock."
EVERYTHING_BUT = {"NotAction": "s3:BypassGovernanceRetention", "Effect": "Allow", "Resource": "*"}


def at(world: World, days: int) -> datetime:
    return datetime.fromtimestamp(world.clock(), UTC) + timedelta(days=days)


def put(s3: Any, **params: Any) -> str:
    return str(s3.put_object(Bucket=BUCKET, Key="k", Body=b"x", **params)["VersionId"])


@pytest.mark.parametrize("mode", ["GOVERNANCE", "COMPLIANCE"])
def test_a_version_is_kept_until_its_retention_ends(world: World, locked: Any, mode: str) -> None:
    version = put(locked, ObjectLockMode=mode, ObjectLockRetainUntilDate=at(world, 2))
    named = {"Bucket": BUCKET, "Key": "k", "VersionId": version}
    assert refusal(locked.delete_object, **named) == ("AccessDenied", HELD, 403)
    # A delete without a version leaves a marker and takes nothing away.
    assert locked.delete_object(Bucket=BUCKET, Key="k")["DeleteMarker"]
    head = locked.head_object(**named)
    assert (head["ObjectLockMode"], head["ObjectLockRetainUntilDate"]) == (mode, at(world, 2))
    world.clock.pass_seconds(2 * 86_400 + 1)
    locked.delete_object(**named)


def test_governance_gives_way_to_who_may_bypass_it_and_asks_to(world: World, locked: Any) -> None:
    version = put(locked, ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=at(world, 2))
    named = {"Bucket": BUCKET, "Key": "k", "VersionId": version, "BypassGovernanceRetention": True}
    ordinary = world.aws("s3", a_role(world, EVERYTHING_BUT))
    _, text, _ = refusal(ordinary.delete_object, **named)
    assert "is not authorized to perform: s3:BypassGovernanceRetention" in text
    locked.delete_object(**named)


def test_compliance_gives_way_to_nobody(world: World, locked: Any) -> None:
    version = put(locked, ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=at(world, 2))
    named = {"Bucket": BUCKET, "Key": "k", "VersionId": version}
    assert refusal(locked.delete_object, **named, BypassGovernanceRetention=True)[1] == HELD
    sooner = {"Mode": "COMPLIANCE", "RetainUntilDate": at(world, 1)}
    assert refusal(locked.put_object_retention, **named, Retention=sooner)[1] == HELD
    milder = {"Mode": "GOVERNANCE", "RetainUntilDate": at(world, 3)}
    assert refusal(locked.put_object_retention, **named, Retention=milder)[1] == HELD
    longer = {"Mode": "COMPLIANCE", "RetainUntilDate": at(world, 3)}
    locked.put_object_retention(**named, Retention=longer)
    assert locked.get_object_retention(**named)["Retention"] == longer


def test_a_legal_hold_has_no_end_and_cannot_be_bypassed(world: World, locked: Any) -> None:
    version = put(locked, ObjectLockLegalHoldStatus="ON")
    named = {"Bucket": BUCKET, "Key": "k", "VersionId": version}
    world.clock.pass_seconds(600)
    assert refusal(locked.delete_object, **named, BypassGovernanceRetention=True)[1] == HELD
    errors = locked.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "k", "VersionId": version}]})["Errors"]
    assert [(one["Code"], one["Message"]) for one in errors] == [("AccessDenied", HELD)]
    locked.put_object_legal_hold(**named, LegalHold={"Status": "OFF"})
    assert locked.get_object_legal_hold(**named)["LegalHold"] == {"Status": "OFF"}
    locked.delete_object(**named)


def test_a_bucket_s_default_locks_what_is_put_into_it(world: World, locked: Any) -> None:
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    given = {"ObjectLockEnabled": "Enabled", "Rule": rule}
    locked.put_object_lock_configuration(Bucket=BUCKET, ObjectLockConfiguration=given)
    assert locked.get_object_lock_configuration(Bucket=BUCKET)["ObjectLockConfiguration"] == given
    put(locked)
    found = locked.get_object_retention(Bucket=BUCKET, Key="k")["Retention"]
    assert found == {"Mode": "GOVERNANCE", "RetainUntilDate": at(world, 1)}


def test_versions_cannot_be_suspended_where_objects_are_locked(locked: Any) -> None:
    suspended = {"Status": "Suspended"}
    refused = refusal(locked.put_bucket_versioning, Bucket=BUCKET, VersioningConfiguration=suspended)
    assert refused[::2] == ("InvalidBucketState", 409)


def test_a_bucket_without_versions_cannot_have_locks(world: World, bucket: Any) -> None:
    given = {"ObjectLockEnabled": "Enabled"}
    refused = refusal(bucket.put_object_lock_configuration, Bucket=BUCKET, ObjectLockConfiguration=given)
    assert refused[::2] == ("InvalidBucketState", 409)
    asked = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": at(world, 1)}
    refused = refusal(bucket.put_object, Bucket=BUCKET, Key="k", Body=b"", **asked)
    assert refused == ("InvalidRequest", "Bucket is missing Object Lock Configuration", 400)
    # Versions make it possible, as they do since November 2023.
    bucket.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    bucket.put_object_lock_configuration(Bucket=BUCKET, ObjectLockConfiguration=given)


def test_a_retention_in_the_past_is_refused(world: World, locked: Any) -> None:
    asked = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": at(world, -1)}
    assert refusal(locked.put_object, Bucket=BUCKET, Key="k", Body=b"", **asked)[0] == "InvalidArgument"
    half = {"ObjectLockMode": "GOVERNANCE"}
    assert refusal(locked.put_object, Bucket=BUCKET, Key="k", Body=b"", **half)[0] == "InvalidArgument"


def test_locking_what_is_put_takes_a_permission_more(world: World, locked: Any) -> None:
    writer = world.aws("s3", a_role(world, allow("s3:PutObject")))
    asked = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": at(world, 1)}
    _, text, _ = refusal(writer.put_object, Bucket=BUCKET, Key="k", Body=b"", **asked)
    assert "s3:PutObjectRetention" in text

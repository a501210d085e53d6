"""S3's versions and tags, as botocore sees them."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from keyless.local.cloud.database import Database
from keyless.local.cloud.s3.storage import STEPS, Storage
from unit.local.cloud.support import World, ask, refusal

BUCKET = "kept-versions"


@pytest.fixture
def s3(world: World) -> Any:
    client = world.aws("s3")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    return client


@pytest.fixture
def versioned(s3: Any) -> Any:
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    return s3


def put(s3: Any, body: str, key: str = "k", **more: Any) -> str:
    return str(s3.put_object(Bucket=BUCKET, Key=key, Body=body.encode(), **more).get("VersionId", ""))


def get(s3: Any, version: str = "", key: str = "k") -> str:
    named = {"VersionId": version} if version else {}
    return str(s3.get_object(Bucket=BUCKET, Key=key, **named)["Body"].read().decode())


def test_a_bucket_has_no_versions_until_it_is_told_to(s3: Any) -> None:
    assert "Status" not in s3.get_bucket_versioning(Bucket=BUCKET)
    assert put(s3, "one") == ""
    assert "VersionId" not in s3.get_object(Bucket=BUCKET, Key="k")
    deleted = s3.delete_object(Bucket=BUCKET, Key="k")
    assert "DeleteMarker" not in deleted
    assert "Versions" not in s3.list_object_versions(Bucket=BUCKET)


def test_each_write_is_a_version_and_none_is_lost(versioned: Any) -> None:
    assert versioned.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    first, second = put(versioned, "one"), put(versioned, "two")
    assert first != second
    assert (get(versioned), get(versioned, first), get(versioned, second)) == ("two", "one", "two")
    assert versioned.head_object(Bucket=BUCKET, Key="k", VersionId=first)["VersionId"] == first


def test_a_delete_leaves_a_marker_and_the_marker_s_end_brings_the_object_back(versioned: Any) -> None:
    version = put(versioned, "one")
    marker = versioned.delete_object(Bucket=BUCKET, Key="k")
    assert marker["DeleteMarker"] is True
    assert refusal(versioned.get_object, Bucket=BUCKET, Key="k")[0] == "NoSuchKey"
    assert "Contents" not in versioned.list_objects_v2(Bucket=BUCKET)
    assert get(versioned, version) == "one"
    code, _, status = refusal(versioned.get_object, Bucket=BUCKET, Key="k", VersionId=marker["VersionId"])
    assert (code, status) == ("MethodNotAllowed", 405)
    undone = versioned.delete_object(Bucket=BUCKET, Key="k", VersionId=marker["VersionId"])
    assert undone["DeleteMarker"] is True
    assert get(versioned) == "one"


def test_the_newest_version_s_end_makes_the_one_before_it_the_newest(versioned: Any) -> None:
    put(versioned, "one")
    second = put(versioned, "two")
    versioned.delete_object(Bucket=BUCKET, Key="k", VersionId=second)
    assert get(versioned) == "one"
    assert refusal(versioned.get_object, Bucket=BUCKET, Key="k", VersionId=second)[0] == "NoSuchVersion"


def test_suspended_writes_replace_the_null_version_alone(versioned: Any) -> None:
    kept = put(versioned, "kept")
    versioned.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Suspended"})
    assert [put(versioned, "two"), put(versioned, "three")] == ["null", "null"]
    assert (get(versioned), get(versioned, kept)) == ("three", "kept")
    assert versioned.delete_object(Bucket=BUCKET, Key="k")["VersionId"] == "null"
    listed = versioned.list_object_versions(Bucket=BUCKET)
    assert [one["VersionId"] for one in listed["Versions"]] == [kept]
    assert [one["VersionId"] for one in listed["DeleteMarkers"]] == ["null"]


def test_what_was_there_before_versions_is_the_null_version(s3: Any) -> None:
    put(s3, "before")
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    put(s3, "after")
    assert get(s3, "null") == "before"


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_a_listing_in_pages_shows_every_version_once_newest_first(versioned: Any, size: int) -> None:
    for key in ("a", "b", "dir/x", "dir/y"):
        put(versioned, "one", key)
        put(versioned, "two", key)
    versioned.delete_object(Bucket=BUCKET, Key="b")
    whole = versioned.list_object_versions(Bucket=BUCKET, Delimiter="/")
    assert [(one["Key"], one["IsLatest"]) for one in whole["Versions"]] == [
        ("a", True),
        ("a", False),
        ("b", False),
        ("b", False),
    ]
    assert [one["IsLatest"] for one in whole["DeleteMarkers"]] == [True]
    assert [one["Prefix"] for one in whole["CommonPrefixes"]] == ["dir/"]
    seen: list[str] = []
    marker: dict[str, str] = {}
    for _ in range(20):
        page = versioned.list_object_versions(Bucket=BUCKET, Delimiter="/", MaxKeys=size, **marker)
        seen += [one["VersionId"] for name in ("Versions", "DeleteMarkers") for one in page.get(name, ())]
        seen += [one["Prefix"] for one in page.get("CommonPrefixes", ())]
        if not page["IsTruncated"]:
            break
        marker = {"KeyMarker": page["NextKeyMarker"]}
        if "NextVersionIdMarker" in page:
            marker["VersionIdMarker"] = page["NextVersionIdMarker"]
    everything = [one["VersionId"] for name in ("Versions", "DeleteMarkers") for one in whole[name]]
    assert sorted(seen) == sorted([*everything, "dir/"])


def test_a_bucket_with_old_versions_is_not_empty(versioned: Any) -> None:
    version = put(versioned, "one")
    marker = versioned.delete_object(Bucket=BUCKET, Key="k")["VersionId"]
    assert refusal(versioned.delete_bucket, Bucket=BUCKET)[0] == "BucketNotEmpty"
    objects = [{"Key": "k", "VersionId": version}, {"Key": "k", "VersionId": marker}]
    deleted = versioned.delete_objects(Bucket=BUCKET, Delete={"Objects": objects})["Deleted"]
    assert [one.get("DeleteMarker", False) for one in deleted] == [False, True]
    versioned.delete_bucket(Bucket=BUCKET)


def test_a_version_can_be_copied(versioned: Any) -> None:
    first = put(versioned, "one")
    put(versioned, "two")
    source = {"Bucket": BUCKET, "Key": "k", "VersionId": first}
    assert versioned.copy_object(Bucket=BUCKET, Key="copy", CopySource=source)["CopySourceVersionId"] == first
    assert get(versioned, key="copy") == "one"


def test_to_read_a_version_is_a_permission_of_its_own(world: World, versioned: Any) -> None:
    version = put(versioned, "one")
    policy = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:GetObjectVersion",'
        f'"Resource":"arn:aws:s3:::{BUCKET}/*"}}]}}'
    )
    versioned.put_bucket_policy(Bucket=BUCKET, Policy=policy)
    assert get(versioned) == "one"
    assert refusal(versioned.get_object, Bucket=BUCKET, Key="k", VersionId=version)[0] == "AccessDenied"


def test_an_object_s_tags_are_kept_counted_and_condition_keys(versioned: Any) -> None:
    put(versioned, "one", Tagging="team=a&cost%20centre=7")
    tags = {tag["Key"]: tag["Value"] for tag in versioned.get_object_tagging(Bucket=BUCKET, Key="k")["TagSet"]}
    assert tags == {"team": "a", "cost centre": "7"}
    assert versioned.get_object(Bucket=BUCKET, Key="k")["TagCount"] == 2
    versioned.put_object_tagging(Bucket=BUCKET, Key="k", Tagging={"TagSet": [{"Key": "team", "Value": "secret"}]})
    policy = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:GetObject",'
        f'"Resource":"arn:aws:s3:::{BUCKET}/*",'
        '"Condition":{"StringEquals":{"s3:ExistingObjectTag/team":"secret"}}}]}'
    )
    versioned.put_bucket_policy(Bucket=BUCKET, Policy=policy)
    assert refusal(versioned.get_object, Bucket=BUCKET, Key="k")[0] == "AccessDenied"
    versioned.delete_object_tagging(Bucket=BUCKET, Key="k")
    assert get(versioned) == "one"


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ([("a", "1"), ("a", "2")], "InvalidTag"),
        ([(f"k{number}", "v") for number in range(11)], "BadRequest"),
        ([("aws:x", "1")], "InvalidTag"),
        ([("k", "v" * 257)], "InvalidTag"),
    ],
)
def test_tags_have_limits(s3: Any, tags: list[tuple[str, str]], code: str) -> None:
    put(s3, "one")
    tagging = {"TagSet": [{"Key": key, "Value": value} for key, value in tags]}
    found = refusal(s3.put_object_tagging, Bucket=BUCKET, Key="k", Tagging=tagging)[0]
    assert found in {code, "ValidationError"}  # the model's own limits speak first


def test_a_bucket_has_tags_of_its_own(s3: Any) -> None:
    assert refusal(s3.get_bucket_tagging, Bucket=BUCKET)[0] == "NoSuchTagSet"
    s3.put_bucket_tagging(Bucket=BUCKET, Tagging={"TagSet": [{"Key": "team", "Value": "a"}]})
    assert s3.get_bucket_tagging(Bucket=BUCKET)["TagSet"] == [{"Key": "team", "Value": "a"}]
    s3.delete_bucket_tagging(Bucket=BUCKET)
    assert refusal(s3.get_bucket_tagging, Bucket=BUCKET)[0] == "NoSuchTagSet"


def test_attributes_are_those_that_are_asked_for(versioned: Any) -> None:
    version = put(versioned, "one", ChecksumAlgorithm="SHA256")
    found = versioned.get_object_attributes(Bucket=BUCKET, Key="k", ObjectAttributes=["ETag", "ObjectSize", "Checksum"])
    assert found["ObjectSize"] == 3
    assert found["VersionId"] == version
    assert found["ETag"] == "f97c5d29941bfb1b2fdab0874906ab82"
    assert found["Checksum"]["ChecksumSHA256"]
    assert "StorageClass" not in found


def test_everything_is_there_after_a_restart(world: World, versioned: Any) -> None:
    first = put(versioned, "one")
    put(versioned, "two")
    world.restart()
    assert get(world.aws("s3"), first) == "one"


def test_presigned_urls_put_and_get(world: World, s3: Any) -> None:
    signer = world.aws("s3", signature_version="s3v4")
    for method, verb, body in (("put_object", "PUT", b"sent"), ("get_object", "GET", b"")):
        url = signer.generate_presigned_url(method, Params={"Bucket": BUCKET, "Key": "a b/ü"}, ExpiresIn=60)
        path, _, query = url.removeprefix("http://127.0.0.1:4566").partition("?")
        status, _, answer = world.loop.run(ask(world.cloud.app, verb, path, query=query, body=body))
        assert status == 200, answer
    assert answer == b"sent"


def test_presigned_urls_of_version_2_are_told_to_use_version_4(world: World, s3: Any) -> None:
    url = s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "k"})
    path, _, query = url.removeprefix("http://127.0.0.1:4566").partition("?")
    status, _, answer = world.loop.run(ask(world.cloud.app, "GET", path, query=query))
    assert status == 400
    assert b"AWS4-HMAC-SHA256" in answer


def test_a_state_of_the_first_version_is_carried_forward() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    database = Database(connection)
    database.migrate("cloud-s3", STEPS[:1])
    connection.execute("INSERT INTO s3_bucket VALUES ('old', 1.0, 'us-west-2', NULL)")
    connection.execute("INSERT INTO s3_object VALUES ('old', 'k', 1.0, '\"e\"', 1, '{}', x'61')")
    storage = Storage(database)
    bucket, stored = storage.bucket("old"), storage.object("old", "k")
    assert bucket is not None
    assert stored is not None
    assert (bucket.versioning, bucket.tags, stored.version, stored.tags) == ("", {}, "null", {})
    connection.close()

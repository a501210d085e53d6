"""What S3 says byte for byte: errors and their members, headers, answers without a body."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest

from keyless.local.cloud.s3.describing import shown
from keyless.local.cloud.s3.storage import Stored
from unit.local.cloud.s3.conftest import BUCKET
from unit.local.cloud.support import World, refusal


def members(text: str) -> dict[str, str]:
    """The members of an error document, in their order."""
    return {child.tag: child.text or "" for child in ElementTree.fromstring(text)}


@pytest.mark.parametrize(
    ("params", "status", "expected"),
    [
        (
            {"Key": "absent"},
            404,
            {"Code": "NoSuchKey", "Message": "The specified key does not exist.", "Key": "absent"},
        ),
        (
            {"Key": "k", "VersionId": "x" * 32},
            404,
            {
                "Code": "NoSuchVersion",
                "Message": "The specified version does not exist.",
                "Key": "k",
                "VersionId": "x" * 32,
            },
        ),
        (
            {"Key": "k", "VersionId": "short"},
            400,
            {
                "Code": "InvalidArgument",
                "Message": "Invalid version id specified",
                "ArgumentName": "versionId",
                "ArgumentValue": "short",
            },
        ),
        (
            {"Key": "x" * 1025},
            400,
            {
                "Code": "KeyTooLongError",
                "Message": "Your key is too long",
                "Size": "1025",
                "MaxSizeAllowed": "1024",
            },
        ),
    ],
)
def test_an_error_names_what_it_is_about(
    bucket: Any, send: Any, params: dict[str, str], status: int, expected: dict[str, str]
) -> None:
    bucket.put_object(Bucket=BUCKET, Key="k", Body=b"hello")
    answered, headers, text = send("get_object", "GET", Bucket=BUCKET, **params)
    assert (answered, headers["content-type"]) == (status, "application/xml")
    found = members(text)
    assert {name: value for name, value in found.items() if name not in {"RequestId", "HostId"}} == expected
    assert list(found)[-2:] == ["RequestId", "HostId"]
    assert found["RequestId"] == headers["x-amz-request-id"]


def test_a_bucket_that_is_not_there_is_named(send: Any) -> None:
    status, _, text = send("list_objects_v2", "GET", Bucket="nowhere-at-all")
    assert status == 404
    assert members(text)["BucketName"] == "nowhere-at-all"


def test_a_range_behind_the_end_tells_the_size(bucket: Any, send: Any) -> None:
    bucket.put_object(Bucket=BUCKET, Key="k", Body=b"hello")
    status, headers, text = send("get_object", "GET", Bucket=BUCKET, Key="k", headers={"range": "bytes=9-"})
    found = members(text)
    assert (status, found["Code"], headers["content-range"]) == (416, "InvalidRange", "bytes */5")
    assert (found["RangeRequested"], found["ActualObjectSize"]) == ("bytes=9-", "5")


def test_a_condition_that_fails_is_named(bucket: Any, send: Any) -> None:
    bucket.put_object(Bucket=BUCKET, Key="k", Body=b"hello")
    status, _, text = send("get_object", "GET", Bucket=BUCKET, Key="k", headers={"if-match": '"0"'})
    assert (status, members(text)["Condition"]) == (412, "If-Match")


def test_what_did_not_change_has_no_body_and_says_which_it_is(bucket: Any, send: Any) -> None:
    etag = bucket.put_object(Bucket=BUCKET, Key="k", Body=b"hello")["ETag"]
    status, headers, text = send("get_object", "GET", Bucket=BUCKET, Key="k", headers={"if-none-match": etag})
    assert (status, text, headers["etag"]) == (304, "", etag)
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", headers["last-modified"])
    assert "content-type" not in headers


def test_an_error_to_head_has_no_body(bucket: Any, send: Any) -> None:
    status, _, text = send("head_object", "HEAD", Bucket=BUCKET, Key="absent")
    assert (status, text) == (404, "")


def test_a_deleted_key_tells_of_its_marker(bucket: Any, send: Any) -> None:
    bucket.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    bucket.put_object(Bucket=BUCKET, Key="k", Body=b"hello")
    marker = bucket.delete_object(Bucket=BUCKET, Key="k")["VersionId"]
    for method, operation in (("GET", "get_object"), ("HEAD", "head_object")):
        status, headers, _ = send(operation, method, Bucket=BUCKET, Key="k")
        assert (status, headers["x-amz-delete-marker"], headers["x-amz-version-id"]) == (404, "true", marker)
        status, headers, _ = send(operation, method, Bucket=BUCKET, Key="k", VersionId=marker)
        assert (status, headers["x-amz-delete-marker"], headers["allow"]) == (405, "true", "DELETE")
        assert headers["last-modified"]


def test_metadata_that_is_not_ascii_comes_back_as_s3_writes_it() -> None:
    """The user guide's example: a header's bytes are taken for ISO 8859-1, and come back in the form of RFC 2047."""
    sent = "ÄMÄZÕÑ S3".encode().decode("latin-1")
    stored = Stored("k", 0.0, '"0"', 0, {"Metadata": {"nonascii": sent}})
    assert shown(stored, checksums=False)["Metadata"]["nonascii"] == "=?UTF-8?B?w4PChE3Dg8KEWsODwpXDg8KRIFMz?="


def test_an_archived_object_cannot_be_read(bucket: Any) -> None:
    bucket.put_object(Bucket=BUCKET, Key="k", Body=b"x", StorageClass="GLACIER")
    assert bucket.head_object(Bucket=BUCKET, Key="k")["StorageClass"] == "GLACIER"
    assert refusal(bucket.get_object, Bucket=BUCKET, Key="k")[::2] == ("InvalidObjectState", 403)
    source = {"Bucket": BUCKET, "Key": "k"}
    assert refusal(bucket.copy_object, Bucket=BUCKET, Key="c", CopySource=source)[0] == "InvalidObjectState"


def test_a_stranger_s_account_is_refused_before_anything(world: World, bucket: Any) -> None:
    bucket.put_object(Bucket=BUCKET, Key="k", Body=b"x")
    refused = refusal(bucket.get_object, Bucket=BUCKET, Key="k", ExpectedBucketOwner="999999999999")
    assert refused == ("AccessDenied", "Access Denied", 403)
    assert refusal(bucket.list_objects_v2, Bucket=BUCKET, ExpectedBucketOwner="999999999999")[0] == "AccessDenied"


def test_a_condition_that_s3_does_not_know_is_not_taken_for_another(bucket: Any) -> None:
    for condition in ({"IfNoneMatch": '"0"'}, {"IfMatch": "*"}, {"IfMatch": '"0"', "IfNoneMatch": "*"}):
        refused = refusal(bucket.put_object, Bucket=BUCKET, Key="k", Body=b"", **condition)
        assert refused[::2] == ("NotImplemented", 501)


def test_a_delete_holds_its_condition(bucket: Any) -> None:
    etag = bucket.put_object(Bucket=BUCKET, Key="k", Body=b"x")["ETag"]
    assert refusal(bucket.delete_object, Bucket=BUCKET, Key="k", IfMatch='"0"')[::2] == ("PreconditionFailed", 412)
    listed = bucket.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "k", "ETag": '"0"'}]})
    assert [one["Code"] for one in listed["Errors"]] == ["PreconditionFailed"]
    bucket.delete_object(Bucket=BUCKET, Key="k", IfMatch=etag)
    assert refusal(bucket.delete_object, Bucket=BUCKET, Key="k", IfMatch=etag)[::2] == ("NoSuchKey", 404)


def test_a_request_may_set_the_headers_of_its_answer(send: Any, bucket: Any) -> None:
    bucket.put_object(
        Bucket=BUCKET, Key="k", Body=b"a,b", ContentType="text/plain", Expires="Thu, 01 Jan 2032 00:00:00 GMT"
    )
    status, headers, _ = send("get_object", "GET", Bucket=BUCKET, Key="k")
    assert (status, headers["content-type"]) == (200, "text/plain")
    assert headers["expires"] == "Thu, 01 Jan 2032 00:00:00 GMT"
    wanted = {"ResponseContentType": "text/csv", "ResponseContentDisposition": 'attachment; filename="x.csv"'}
    expires = "Wed, 18 May 2033 03:33:20 GMT"
    _, headers, _ = send("get_object", "GET", Bucket=BUCKET, Key="k", ResponseExpires=expires, **wanted)
    assert headers["expires"] == expires
    assert (headers["content-type"], headers["content-disposition"]) == tuple(wanted.values())

"""Uploads in parts, beyond what the recorded answers hold."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from typing import Any

import pytest

from keyless.local.cloud.s3.checksums import computed
from unit.local.cloud.s3.conftest import BUCKET
from unit.local.cloud.support import World, refusal

MIB = 2**20
BODIES = (b"a" * 5 * MIB, b"b" * 5 * MIB, b"end")
WHOLE = b"".join(BODIES)


def start(s3: Any, **params: Any) -> str:
    return str(s3.create_multipart_upload(Bucket=BUCKET, Key="big", **params)["UploadId"])


def upload(s3: Any, bodies: tuple[bytes, ...] = BODIES, **params: Any) -> tuple[str, list[dict[str, Any]]]:
    """An upload with its parts, numbered 2, 4, 6 …, and what completes it."""
    made, parts = start(s3, **params), []
    for number, body in enumerate(bodies, 1):
        named = {"PartNumber": 2 * number}
        sums = _sums(params, body)
        answer = s3.upload_part(Bucket=BUCKET, Key="big", UploadId=made, Body=body, **named, **sums)
        sums = {name: value for name, value in answer.items() if name.startswith("Checksum")}
        parts.append(named | {"ETag": answer["ETag"]} | sums)
    return made, parts


def _sums(params: dict[str, Any], body: bytes) -> dict[str, str]:
    """The checksum of a part, computed here: botocore cannot compute them all."""
    algorithm = params.get("ChecksumAlgorithm")
    return {f"Checksum{algorithm}": computed(algorithm, body)} if algorithm else {}


def complete(s3: Any, made: str, parts: list[dict[str, Any]], **params: Any) -> Any:
    return s3.complete_multipart_upload(
        Bucket=BUCKET, Key="big", UploadId=made, MultipartUpload={"Parts": parts}, **params
    )


def test_a_checksum_of_parts_is_the_checksum_of_their_checksums(bucket: Any) -> None:
    made, parts = upload(bucket, ChecksumAlgorithm="SHA256")
    done = complete(bucket, made, parts)
    digests = b"".join(hashlib.sha256(body).digest() for body in BODIES)
    expected = b64encode(hashlib.sha256(digests).digest()).decode() + "-3"
    assert (done["ChecksumSHA256"], done["ChecksumType"]) == (expected, "COMPOSITE")
    found = bucket.get_object_attributes(
        Bucket=BUCKET, Key="big", ObjectAttributes=["Checksum", "ObjectParts"], MaxParts=2
    )
    assert found["Checksum"] == {"ChecksumSHA256": expected, "ChecksumType": "COMPOSITE"}
    listed = found["ObjectParts"]
    assert (listed["TotalPartsCount"], listed["IsTruncated"], listed["NextPartNumberMarker"]) == (3, True, 4)
    assert [part["PartNumber"] for part in listed["Parts"]] == [2, 4]
    assert listed["Parts"][0]["ChecksumSHA256"] == b64encode(hashlib.sha256(BODIES[0]).digest()).decode()


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME"])
def test_a_checksum_of_the_whole_object_is_that_of_its_bytes(bucket: Any, algorithm: str) -> None:
    made, parts = upload(bucket, ChecksumAlgorithm=algorithm, ChecksumType="FULL_OBJECT")
    wrong = {f"Checksum{algorithm}": computed(algorithm, b"other")}
    assert refusal(complete, s3=bucket, made=made, parts=parts, **wrong)[0] == "BadDigest"
    done = complete(bucket, made, parts, MpuObjectSize=len(WHOLE))
    assert (done[f"Checksum{algorithm}"], done["ChecksumType"]) == (computed(algorithm, WHOLE), "FULL_OBJECT")


def test_an_algorithm_that_cannot_be_of_the_whole_object_is_refused(bucket: Any) -> None:
    code, text, _ = refusal(start, s3=bucket, ChecksumAlgorithm="SHA1", ChecksumType="FULL_OBJECT")
    assert (code, text) == (
        "InvalidRequest",
        "The FULL_OBJECT checksum type cannot be used with the sha1 checksum algorithm.",
    )


def test_a_part_with_another_checksum_than_the_upload_s_is_refused(bucket: Any) -> None:
    made = start(bucket, ChecksumAlgorithm="SHA256")
    code, text, _ = refusal(
        bucket.upload_part, Bucket=BUCKET, Key="big", UploadId=made, PartNumber=1, Body=b"x", ChecksumAlgorithm="CRC32"
    )
    assert code == "InvalidRequest"
    assert text.startswith("Checksum Type mismatch occurred, expected checksum Type: sha256")


def test_parts_with_checksums_are_named_with_them(bucket: Any) -> None:
    made, parts = upload(bucket, (b"x",), ChecksumAlgorithm="SHA256")
    bare = [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in parts]
    code, text, _ = refusal(complete, s3=bucket, made=made, parts=bare)
    assert code == "InvalidRequest"
    assert text.endswith("It was missing for part 2 in the request.")
    wrong = [part | {"ChecksumSHA256": computed("SHA256", b"other")} for part in parts]
    assert refusal(complete, s3=bucket, made=made, parts=wrong)[0] == "InvalidPart"
    complete(bucket, made, parts)


def test_a_part_is_read_by_its_place_among_the_parts(bucket: Any) -> None:
    complete(bucket, *upload(bucket))
    found = bucket.get_object(Bucket=BUCKET, Key="big", PartNumber=3)
    assert (found["Body"].read(), found["PartsCount"]) == (b"end", 3)
    assert found["ContentRange"] == f"bytes {10 * MIB}-{10 * MIB + 2}/{10 * MIB + 3}"
    assert refusal(bucket.get_object, Bucket=BUCKET, Key="big", PartNumber=4)[::2] == ("InvalidPartNumber", 416)
    both = {"PartNumber": 1, "Range": "bytes=0-1"}
    assert refusal(bucket.get_object, Bucket=BUCKET, Key="big", **both)[0] == "InvalidRequest"


def test_a_part_sent_again_replaces_the_one_before(bucket: Any) -> None:
    made, parts = upload(bucket, (b"old",))
    again = bucket.upload_part(Bucket=BUCKET, Key="big", UploadId=made, PartNumber=2, Body=b"new")
    assert refusal(complete, s3=bucket, made=made, parts=parts)[0] == "InvalidPart"
    complete(bucket, made, [{"PartNumber": 2, "ETag": again["ETag"]}])
    assert bucket.get_object(Bucket=BUCKET, Key="big")["Body"].read() == b"new"


def test_uploads_are_listed_in_pages(bucket: Any) -> None:
    ids = {key: bucket.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"] for key in ("a", "b/1", "b/2", "c")}
    seen: list[str] = []
    marker: dict[str, str] = {}
    while True:
        page = bucket.list_multipart_uploads(Bucket=BUCKET, MaxUploads=1, **marker)
        seen += [one["UploadId"] for one in page.get("Uploads", ())]
        if not page["IsTruncated"]:
            break
        marker = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}
    assert seen == list(ids.values())
    folded = bucket.list_multipart_uploads(Bucket=BUCKET, Delimiter="/")
    assert [one["Key"] for one in folded["Uploads"]] == ["a", "c"]
    assert folded["CommonPrefixes"] == [{"Prefix": "b/"}]


def test_completing_holds_its_condition(bucket: Any) -> None:
    made, parts = upload(bucket, (b"x",))
    bucket.put_object(Bucket=BUCKET, Key="big", Body=b"first")
    taken = refusal(complete, s3=bucket, made=made, parts=parts, IfNoneMatch="*")
    assert taken[::2] == ("PreconditionFailed", 412)
    complete(bucket, made, parts, IfMatch='"8b04d5e3775d298e78455efc5ca404d5"')


def test_an_upload_that_an_older_cloud_began_can_be_completed(world: World, bucket: Any) -> None:
    made, parts = upload(bucket, (b"x",))
    # Before checksums were kept, an upload had what describes it alone.
    world.connection.execute("UPDATE s3_upload SET described = '{}'")
    world.connection.execute("UPDATE s3_part SET described = '{}'")
    bare = [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in parts]
    assert complete(bucket, made, bare)["ChecksumCRC64NVME"] == computed("CRC64NVME", b"x")

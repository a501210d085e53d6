"""Checksums: which are computed, verified and given back."""

from __future__ import annotations

import hashlib
import zlib
from base64 import b64encode
from typing import Any

import pytest

from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.s3 import checksums
from keyless.local.cloud.s3.integrity import verify_document
from keyless.local.cloud.wire.http import HttpRequest
from unit.local.cloud.s3.conftest import BUCKET
from unit.local.cloud.support import World, ask, refusal

#: of "123456789": the check values of the catalogue of CRCs (reveng), and of FIPS 180
CHECK = {
    "CRC32": "cbf43926",
    "CRC32C": "e3069283",
    "CRC64NVME": "ae8b14860a799888",
    "SHA1": "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
    "SHA256": "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
}


@pytest.mark.parametrize("algorithm", CHECK)
def test_an_algorithm_gives_its_published_check_value(algorithm: str) -> None:
    expected = b64encode(bytes.fromhex(CHECK[algorithm])).decode()
    assert checksums.computed(algorithm, b"123456789") == expected


def test_an_object_without_a_checksum_is_given_one(world: World, bucket: Any) -> None:
    silent = world.aws("s3", request_checksum_calculation="when_required")
    silent.put_object(Bucket=BUCKET, Key="k", Body=b"123456789")
    found = bucket.head_object(Bucket=BUCKET, Key="k", ChecksumMode="ENABLED")
    assert found["ChecksumCRC64NVME"] == b64encode(bytes.fromhex(CHECK["CRC64NVME"])).decode()
    assert found["ChecksumType"] == "FULL_OBJECT"


@pytest.mark.parametrize("algorithm", sorted(CHECK))
def test_a_wrong_checksum_is_told_by_its_name(bucket: Any, algorithm: str) -> None:
    wrong = {f"Checksum{algorithm}": checksums.computed(algorithm, b"other")}
    code, text, status = refusal(bucket.put_object, Bucket=BUCKET, Key="k", Body=b"x", **wrong)
    assert (code, status) == ("BadDigest", 400)
    assert text == f"The {algorithm} you specified did not match the calculated checksum."


def test_two_checksums_are_one_too_many() -> None:
    sums = {"ChecksumCRC32": "AAAAAA==", "ChecksumSHA1": checksums.computed("SHA1", b"")}
    with pytest.raises(AwsError, match="Expecting a single x-amz-checksum- header"):
        checksums.checked(sums, b"")


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"ChecksumCRC32": "AAA="}, "Value for x-amz-checksum-crc32 header is invalid"),
        ({"ChecksumCRC32": "?"}, "Value for x-amz-checksum-crc32 header is invalid"),
        ({"ChecksumAlgorithm": "SHA256"}, "no corresponding x-amz-checksum-"),
        ({"ChecksumXXHASH3": "AAAAAAAAAAA="}, "Checksum algorithm provided is unsupported"),
        (
            {"ChecksumAlgorithm": "SHA256", "ChecksumCRC32": "AAAAAA=="},
            "x-amz-sdk-checksum-algorithm header is invalid",
        ),
    ],
)
def test_a_checksum_that_cannot_be_one_is_refused(params: dict[str, str], text: str) -> None:
    with pytest.raises(AwsError, match=text) as caught:
        checksums.checked(params, b"")
    assert (caught.value.code, caught.value.status) == ("InvalidRequest", 400)


def test_a_digest_that_does_not_fit_comes_with_both_digests(send: Any) -> None:
    claimed, actual = b64encode(hashlib.md5(b"other").digest()), b64encode(hashlib.md5(b"x").digest())
    headers = {"content-md5": claimed.decode()}
    status, _, text = send(
        "put_object", "PUT", body=b"x", headers=headers, Bucket=BUCKET, Key="k", ContentMD5=claimed.decode()
    )
    assert status == 400
    assert "<Code>BadDigest</Code>" in text
    assert f"<ExpectedDigest>{claimed.decode()}</ExpectedDigest>" in text
    assert f"<CalculatedDigest>{actual.decode()}</CalculatedDigest>" in text


def test_a_checksum_in_the_trailer_of_chunks_is_verified(world: World, bucket: Any) -> None:
    """The form that the SDKs send over TLS: unsigned chunks, the checksum behind them."""
    bucket.put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration={"BlockPublicPolicy": False})
    everyone = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*",'
        f'"Resource":"arn:aws:s3:::{BUCKET}/*"}}]}}'
    )
    bucket.put_bucket_policy(Bucket=BUCKET, Policy=everyone)
    good = b64encode(zlib.crc32(b"hello").to_bytes(4, "big")).decode()

    def put(trailer: str) -> int:
        line = f"x-amz-checksum-crc32:{trailer}\r\n" if trailer else ""
        body = f"5\r\nhello\r\n0\r\n{line}\r\n".encode()
        headers = {
            "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            "x-amz-decoded-content-length": "5",
            "x-amz-trailer": "x-amz-checksum-crc32",
            "content-encoding": "aws-chunked",
        }
        return world.loop.run(ask(world.cloud.app, "PUT", f"/{BUCKET}/k", headers=headers, body=body))[0]

    assert put(good) == 200
    assert bucket.get_object(Bucket=BUCKET, Key="k")["Body"].read() == b"hello"
    assert put("AAAAAA==") == 400
    assert put("") == 400
    assert world.audit()[-1]["code"] == "MalformedTrailerError"


def test_a_list_of_keys_to_delete_needs_a_checksum_that_fits() -> None:
    bare = HttpRequest("POST", f"/{BUCKET}", "delete", (), b"<Delete/>")
    with pytest.raises(AwsError, match="Missing required header for this request"):
        verify_document(bare, required=True)
    verify_document(bare, required=False)
    wrong = HttpRequest("POST", f"/{BUCKET}", "delete", (("x-amz-checksum-crc32", "AAAAAA=="),), b"<Delete/>")
    with pytest.raises(AwsError, match="did not match"):
        verify_document(wrong, required=False)

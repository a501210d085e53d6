"""Large objects go by in parts, and what was begun and not finished is taken back."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from keyless.api import Permanent
from keyless.aws import AwsPermanent, AwsTransient
from keyless.backup import bucket as module
from unit.backup.stage import MemoryS3


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PART_BYTES", 100)


async def pieces(*lengths: int, then: BaseException | None = None) -> AsyncGenerator[bytes]:
    for number, length in enumerate(lengths):
        yield bytes([number]) * length
    if then is not None:
        raise then


@pytest.mark.parametrize(
    "lengths", [(0,), (), (1,), (99,), (100,), (101,), (60, 60, 60), (350,), (100, 100), (1,) * 210]
)
async def test_what_goes_up_in_parts_comes_down_the_same(lengths: tuple[int, ...]) -> None:
    s3 = MemoryS3()
    await s3.bucket().upload("a/b", pieces(*lengths))
    whole = b"".join([piece async for piece in pieces(*lengths)])
    assert s3.objects == {"a/b": whole}
    assert s3.uploads == {}
    if whole:
        assert b"".join([part async for part in s3.bucket().download("a/b")]) == whole


@pytest.mark.parametrize("lengths", [(10,), (99,), (250,)])
async def test_a_source_that_breaks_off_leaves_nothing(lengths: tuple[int, ...]) -> None:
    s3 = MemoryS3()
    with pytest.raises(Permanent):
        await s3.bucket().upload("a", pieces(*lengths, then=Permanent("broken")))
    assert (s3.objects, s3.uploads) == ({}, {})


@pytest.mark.parametrize("refused", ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"])
async def test_a_refusal_at_any_step_leaves_nothing(refused: str) -> None:
    s3 = MemoryS3()
    s3.refuse = lambda operation, key: (403, "AccessDenied") if operation == refused else None
    with pytest.raises(AwsPermanent) as raised:
        await s3.bucket().upload("a", pieces(250))
    assert (raised.value.code, s3.objects, s3.uploads) == ("AccessDenied", {}, {})


async def test_where_even_taking_back_is_refused_the_first_refusal_is_told() -> None:
    s3 = MemoryS3()
    s3.refuse = lambda operation, key: (
        (403, {"UploadPart": "First", "AbortMultipartUpload": "Second"}[operation])
        if operation in {"UploadPart", "AbortMultipartUpload"}
        else None
    )
    with pytest.raises(AwsPermanent) as raised:
        await s3.bucket().upload("a", pieces(250))
    assert raised.value.code == "First"


async def test_every_write_says_how_it_is_encrypted_and_whose_the_bucket_is() -> None:
    s3 = MemoryS3()
    bucket = s3.bucket(encryption="aws:kms", kms_key="alias/mine", owner="111122223333")
    await bucket.upload("a", pieces(250))
    await bucket.put("b", b"c")
    begun = [
        h
        for asked, h in zip(s3.asked, s3.headers, strict=True)
        if asked.split()[0] in {"CreateMultipartUpload", "PutObject"}
    ]
    assert [h["x-amz-server-side-encryption-aws-kms-key-id"] for h in begun] == ["alias/mine"] * 2
    assert {h["x-amz-expected-bucket-owner"] for h in s3.headers} == {"111122223333"}


async def test_a_list_goes_on_over_pages() -> None:
    s3 = MemoryS3()
    s3.objects = {f"p/{number:02}": b"" for number in range(10)} | {"q/1": b""}
    assert await s3.bucket().keys("p/") == tuple(f"p/{number:02}" for number in range(10))


async def test_an_object_that_changes_while_it_is_read_is_not_mixed_with_the_one_before() -> None:
    s3 = MemoryS3()
    s3.objects["a"] = b"1" * 250
    reading = s3.bucket().download("a")
    await anext(reading)
    s3.objects["a"] = b"2" * 250
    with pytest.raises(AwsPermanent, match="PreconditionFailed"):
        await anext(reading)


async def test_a_small_object_that_is_not_small_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SMALL_BYTES", 150)
    s3 = MemoryS3()
    s3.objects["a"] = b"1" * 1000
    with pytest.raises(AwsPermanent, match="EntityTooLarge"):
        await s3.bucket().get("a")


async def test_a_bucket_elsewhere_is_told_with_the_value_to_set() -> None:
    s3 = MemoryS3()
    s3.refuse = lambda operation, key: (400, "AuthorizationHeaderMalformed")
    with pytest.raises(AwsPermanent, match=r"backup\.storage\.aws\.region"):
        await s3.bucket().put("a", b"")


async def test_a_server_that_is_busy_is_tried_again_later() -> None:
    s3 = MemoryS3()
    s3.refuse = lambda operation, key: (403, "RequestTimeTooSkewed")
    bucket = s3.bucket()
    with pytest.raises(AwsTransient):
        await bucket.delete("a")

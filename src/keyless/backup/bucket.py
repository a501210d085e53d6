"""The bucket of snapshots, as the pod's own identity.

Memory is bounded: a snapshot goes by in parts, up and down. Payloads are signed, so S3 refuses a part that changed on
its way. https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from botocore.config import Config

from keyless.api import KeylessError
from keyless.api.numbers import is_digits
from keyless.aws import AwsPermanent, AwsTransient, Session, caller_identity, in_pool
from keyless.aws.errors import Said
from keyless.aws.writing import Writing

PART_BYTES = 8 * 1024 * 1024
"""S3 takes 10,000 parts: 80 GiB, ten times what etcd may hold."""
SMALL_BYTES = 1024 * 1024
"""Manifests and keys are far smaller; a stranger's object that is not is refused."""
_ABORT_SECONDS = 5.0
_REDIRECTS = frozenset({"PermanentRedirect", "AuthorizationHeaderMalformed", "301"})


class Bucket:
    """One bucket; every failure is an ``AwsTransient`` or ``AwsPermanent`` with AWS's code."""

    def __init__(self, session: Session, name: str, *, writing: Writing, style: str = "auto") -> None:
        self.name = name
        self._session = session
        self._writing = writing
        # The payload is signed also over TLS: it is the checksum that every S3 server knows.
        s3 = {"addressing_style": style, "payload_signing_enabled": True}
        self._config = Config(s3=s3, request_checksum_calculation="when_required")

    @classmethod
    def from_environment(
        cls, environ: Mapping[str, str], name: str, *, region: str, endpoint: str, writing: Writing, style: str
    ) -> Bucket:
        """With the SDK's default chain: IRSA, Pod Identity."""
        session = Session.from_environment(environ, region=region, endpoints={"s3": endpoint} if endpoint else {})
        return cls(session, name, writing=writing, style=style)

    async def identity(self) -> str:
        """The session's ARN, from STS."""
        return (await caller_identity(self._session)).arn

    async def put(self, key: str, body: bytes) -> None:
        """A small object."""
        await self._call("PutObject", Key=key, Body=body, **self._encryption())

    async def upload(self, key: str, pieces: AsyncGenerator[bytes]) -> None:
        """A large object; there is none unless ``pieces`` came to their end. What was begun is taken back."""
        async with aclosing(_parts(pieces)) as parts:
            first = await anext(parts, b"")
            if len(first) < PART_BYTES:
                # Asked for more, so that what is wrong with the last piece is raised before anything is stored.
                async for more in parts:
                    first += more
                await self.put(key, first)
                return
            await self._in_parts(key, first, parts)

    async def _in_parts(self, key: str, first: bytes, parts: AsyncGenerator[bytes]) -> None:
        upload = (await self._call("CreateMultipartUpload", Key=key, **self._encryption()))["UploadId"]
        try:
            done = [await self._part(key, upload, 1, first)]
            async for part in parts:
                done.append(await self._part(key, upload, len(done) + 1, part))
            await self._call("CompleteMultipartUpload", Key=key, UploadId=upload, MultipartUpload={"Parts": done})
        except BaseException:
            await asyncio.shield(self._abort(key, upload))
            raise

    async def keys(self, prefix: str) -> tuple[str, ...]:
        """Every key below ``prefix``."""
        found: list[str] = []
        more: dict[str, Any] = {}
        while True:
            page = await self._call("ListObjectsV2", Prefix=prefix, **more)
            found += [each["Key"] for each in page.get("Contents", ())]
            token = page.get("NextContinuationToken")
            if not page.get("IsTruncated") or not token:
                return tuple(found)
            more = {"ContinuationToken": token}

    async def get(self, key: str) -> bytes:
        """A small object."""
        body = b""
        async for piece in self.download(key):
            body += piece
            if len(body) > SMALL_BYTES:
                raise AwsPermanent(Said("GetObject", "EntityTooLarge", f"{key}: expected at most {SMALL_BYTES} bytes"))
        return body

    async def download(self, key: str) -> AsyncGenerator[bytes]:
        """A large object, part by part; each is asked for anew, so a connection that breaks costs a part."""
        start, size = 0, 1
        etag = ""
        while start < size:
            same = {"IfMatch": etag} if etag else {}
            wanted = f"bytes={start}-{start + PART_BYTES - 1}"
            part, size, etag = await in_pool(functools.partial(self._range, key, wanted, same))
            if not part:
                return
            start += len(part)
            yield part

    async def delete(self, key: str) -> None:
        """One object."""
        await self._call("DeleteObject", Key=key)

    def _range(self, key: str, wanted: str, same: Mapping[str, str]) -> tuple[bytes, int, str]:
        answer = self._blocking("GetObject", Key=key, Range=wanted, **same)
        try:
            body: bytes = answer["Body"].read()
        except Exception as error:
            raise _cut_off(key, error) from error
        total = str(answer.get("ContentRange", "")).rpartition("/")[2]
        return body, int(total) if is_digits(total) else len(body), str(answer.get("ETag", ""))

    async def _part(self, key: str, upload: str, number: int, body: bytes) -> dict[str, Any]:
        answer = await self._call("UploadPart", Key=key, UploadId=upload, PartNumber=number, Body=body)
        return {"PartNumber": number, "ETag": answer["ETag"]}

    async def _abort(self, key: str, upload: str) -> None:
        """What cannot be taken back is the bucket's lifecycle rule's to remove."""
        try:
            async with asyncio.timeout(_ABORT_SECONDS):
                await self._call("AbortMultipartUpload", Key=key, UploadId=upload)
        except (KeylessError, TimeoutError):
            return

    def _encryption(self) -> dict[str, str]:
        said = {"ServerSideEncryption": self._writing.encryption, "SSEKMSKeyId": self._writing.kms_key}
        return {name: value for name, value in said.items() if value}

    async def _call(self, operation: str, **params: Any) -> dict[str, Any]:
        return await in_pool(lambda: self._blocking(operation, **params))

    def _blocking(self, operation: str, **params: Any) -> dict[str, Any]:
        if self._writing.owner:
            params["ExpectedBucketOwner"] = self._writing.owner
        self._session.service_blocking("s3", config=self._config)
        try:
            return self._session.call_blocking("s3", operation, Bucket=self.name, **params)
        except AwsPermanent as error:
            if error.code not in _REDIRECTS:
                raise
            message = (
                f"bucket {self.name} is in another region than {self._session.region}: set "
                f"backup.storage.aws.region; {error.message}"
            )
            raise AwsPermanent(Said(operation, "PermanentRedirect", message, error.request_id)) from error


def _cut_off(key: str, error: Exception) -> KeylessError:
    return AwsTransient(Said("GetObject", "BrokenAnswer", f"{key}: cut off: {type(error).__name__}"))


async def _parts(pieces: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Parts of one length, but for the last."""
    held = bytearray()
    async with aclosing(pieces):
        async for piece in pieces:
            held += piece
            while len(held) >= PART_BYTES:
                yield bytes(held[:PART_BYTES])
                del held[:PART_BYTES]
    if held:
        yield bytes(held)

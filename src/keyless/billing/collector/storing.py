"""The bucket behind ``ObjectStore``: S3 as the pod's own identity.

Writes are conditional (``If-None-Match: *``): https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
Every answer's ``Date`` sets the clock. What went wrong is told in AWS's own code: see
``docs/reference/usage.md``.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from keyless.aws import AWS_FAILURES, AwsPermanent, AwsTransient, Session, caller_identity, failure, in_pool
from keyless.aws.errors import Said
from keyless.aws.sessions import shared_loader
from keyless.aws.writing import BARE, Spared, Writing, spare
from keyless.billing.collector.clock import Clock
from keyless.billing.collector.ports import Put

# Worth another try although S3 answers them with 4xx.
AGAIN = frozenset({"ConditionalRequestConflict", "OperationAborted", "RequestTimeout", "TemporaryRedirect"})
# How S3 says that the bucket is in another region; it names the region in a header or in the answer's body.
ELSEWHERE = frozenset(
    {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301"}
)
_TIME_SECONDS = 3


class S3:
    """One bucket, as one identity."""

    def __init__(
        self,
        session: Session,
        bucket: str,
        clock: Clock,
        *,
        endpoint: str = "",
        writing: Writing = BARE,
        addressing_style: str = "auto",
    ) -> None:
        self._session = session
        self._bucket = bucket
        self._clock = clock
        self._endpoint = endpoint
        self._writing = writing
        self._style = addressing_style
        self._spared: frozenset[Spared] = frozenset()
        self._service: Any = None
        self._date: tuple[datetime, float] | None = None

    @classmethod
    def from_environment(
        cls,
        environ: Mapping[str, str],
        bucket: str,
        clock: Clock,
        *,
        region: str,
        endpoint: str,
        writing: Writing = BARE,
        addressing_style: str = "auto",
    ) -> S3:
        """The pod's identity; the endpoint is ``endpoint``, else what the AWS SDKs would use."""
        endpoints = {"s3": endpoint} if endpoint else {}
        session = Session.from_environment(environ, region=region, endpoints=endpoints)
        return cls(session, bucket, clock, endpoint=endpoint, writing=writing, addressing_style=addressing_style)

    async def put_new(self, key: str, body: bytes, content_type: str) -> Put:
        """Write unless the key is taken; without what the server turns out not to know, where nothing is lost by it."""
        spared = self._spared
        while True:
            members = self._writing.members(body, content_type, spared)
            try:
                answer = await self._call("PutObject", Key=key, Body=body, **members)
            except AWS_FAILURES as error:
                if error.code == "PreconditionFailed":
                    return Put()
                more = spare(error.code, error.message, spared, checksum=self._writing.checksum)
                if more is None:
                    raise
                spared |= {more}
            else:
                # Only what was stored without it proves that the server lacks it: a proxy says 501 for a moment, too.
                self._spared = spared
                # Without the condition it does not tell whether an earlier try had stored them.
                return Put() if Spared.CONDITION in spared else _receipt(answer)

    async def identity(self) -> str:
        """The session's ARN, from STS."""
        return (await caller_identity(self._session)).arn

    async def last(self, prefixes: Sequence[str]) -> tuple[str, bytes] | None:
        """The greatest key below the first prefix that holds any, and its bytes."""
        for prefix in prefixes:
            key = ""
            more: dict[str, Any] = {}
            while True:
                page = await self._call("ListObjectsV2", Prefix=prefix, **more)
                key = max([key, *(each["Key"] for each in page.get("Contents", ()))])
                if not page.get("IsTruncated"):
                    break
                more = {"ContinuationToken": page["NextContinuationToken"]}
            if key:
                body = (await self._call("GetObject", Key=key))["Body"]
                return key, await in_pool(functools.partial(self._guarded, "GetObject", body.read))
        return None

    async def learn_time(self) -> None:
        """One request without credentials; S3 refuses it and tells the time."""
        await in_pool(self._ask_time)
        self._tell_time()

    async def _call(self, operation: str, **params: Any) -> dict[str, Any]:
        place = {"Bucket": self._bucket}
        if self._writing.owner:
            # Of reads, too: the head of a chain is taken from no stranger's bucket.
            place["ExpectedBucketOwner"] = self._writing.owner
        try:
            answer: dict[str, Any] = await in_pool(
                lambda: self._guarded(
                    operation,
                    lambda: getattr(self._opened(), botocore.xform_name(operation))(**place, **params),
                )
            )
        finally:
            self._tell_time()
        return answer

    def _guarded(self, operation: str, work: Callable[[], Any]) -> Any:
        """Run one call; whatever it raises becomes a failure with a code."""
        try:
            return work()
        except AWS_FAILURES:
            raise
        except (BotoCoreError, ClientError, OSError) as error:
            raise self._failure(operation, error) from error
        except Exception as error:
            # Something answers that is not S3, or half of an answer came: a proxy's page, say.
            raise AwsTransient(Said(operation, "BrokenAnswer", f"not S3's: {str(error)[:300]}")) from error

    def _failure(self, operation: str, error: Exception) -> AwsTransient | AwsPermanent:
        told = failure(operation, error)
        if told.code in AGAIN:
            return AwsTransient(Said(told.operation, told.code, told.message, told.request_id))
        if not isinstance(error, ClientError) or told.code not in ELSEWHERE:
            return told
        detail, headers = error.response.get("Error", {}), error.response["ResponseMetadata"].get("HTTPHeaders", {})
        region = headers.get("x-amz-bucket-region") or detail.get("Region") or "another region"
        message = (
            f"bucket {self._bucket} is in {region}, the request went to {self._session.region}: set "
            f"billing.storage.aws.region={region}; {told.message}"
        )
        code = "PermanentRedirect" if told.code == "301" else told.code
        return AwsPermanent(Said(operation, code, message, told.request_id))

    def _opened(self) -> Any:
        if self._service is None:
            service = self._session.service_blocking("s3", config=self._config())
            service.meta.events.register("response-received.s3", self._note_time)
            # Before botocore's own handler, which would follow the bucket silently while the values stay wrong.
            service.meta.events.register_first("needs-retry.s3", _refuse_redirect)
            self._service = service
        return self._service

    def _config(self) -> Config:
        # The payload is signed also over TLS: a policy may demand it, and a checksum may have to be spared.
        s3 = {"addressing_style": self._style, "payload_signing_enabled": True}
        return Config(s3=s3, request_checksum_calculation="when_required")

    def _ask_time(self) -> None:
        session = botocore.session.Session()
        session.register_component("data_loader", shared_loader())
        config = Config(
            signature_version=UNSIGNED,
            connect_timeout=_TIME_SECONDS,
            read_timeout=_TIME_SECONDS,
            retries={"total_max_attempts": 1},
            s3={"addressing_style": self._style},
        )
        # No answer, or none that can be read, is no failure: the next write asks again.
        with contextlib.suppress(BotoCoreError, ClientError, ResponseParserError, ValueError, KeyError, OSError):
            service = session.create_client(
                "s3", region_name=self._session.region, endpoint_url=self._endpoint or None, config=config
            )
            service.meta.events.register("response-received.s3", self._note_time)
            service.meta.events.register_first("needs-retry.s3", _refuse_redirect)
            service.head_bucket(Bucket=self._bucket)

    def _note_time(self, response_dict: dict[str, Any] | None = None, **_: Any) -> None:
        """Called in the pool for every answer."""
        date = _date((response_dict or {}).get("headers", {}).get("date"))
        if date is not None:
            self._date = (date, self._clock.read_ticks())

    def _tell_time(self) -> None:
        date, self._date = self._date, None
        if date is not None:
            self._clock.learn(*date)


def _receipt(answer: dict[str, Any]) -> Put:
    said = answer.get("ResponseMetadata", {})
    return Put(str(said.get("RequestId") or ""), _date(said.get("HTTPHeaders", {}).get("date")))


def _date(text: Any) -> datetime | None:
    """An answer's ``Date``; None where it has none that can be read."""
    try:
        read = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def _refuse_redirect(response: Any = None, operation: Any = None, **_: Any) -> None:
    if response is None:
        return
    parsed = response[1]
    if str(parsed.get("Error", {}).get("Code")) in ELSEWHERE:
        raise ClientError(parsed, operation.name)

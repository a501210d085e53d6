"""The bucket behind ``ObjectStore``: S3 by obstore, with the credentials of the pod's own identity.

obstore's own web-identity exchange refuses plain http and trips over a token file that ends in a newline, so the
credentials come from botocore's chain (``keyless.aws``), which also renews them. Writes are conditional
(``If-None-Match: *``): https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC
from typing import Any

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store

from keyless.api import KeylessError, Permanent, Transient
from keyless.aws import AWS_FAILURES, Session, caller_identity
from keyless.billing.collector.ports import Put

# What AWS documents as worth another try, beside any 5xx.
TRANSIENT_CODES = frozenset(
    {"SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "ConditionalRequestConflict", "ExpiredToken"}
)
_CODE = re.compile(r"<Code>([A-Za-z0-9.]+)</Code>")
_MESSAGE = re.compile(r"<Message>([^<]*)</Message>")


class StoreTransient(Transient):
    """The write may succeed later."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class StorePermanent(Permanent):
    """The write fails until someone changes a policy, a name or a setting."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class S3:
    """One bucket, as one identity."""

    def __init__(self, session: Session, bucket: str, *, endpoint: str = "") -> None:
        self._session = session
        self._bucket = bucket
        self._endpoint = endpoint
        # The reason that the credentials could not be had; obstore would only pass on its text.
        self._credential_failure: KeylessError | None = None
        self._store: Any = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], bucket: str, *, region: str, endpoint: str) -> S3:
        """The pod's identity; the endpoint is ``endpoint``, else what the AWS SDKs would use."""
        chosen = endpoint or environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL") or ""
        return cls(Session.from_environment(environ, region=region), bucket, endpoint=chosen)

    async def put_new(self, key: str, body: bytes, content_type: str) -> Put:
        """Write unless the key is taken."""
        self._credential_failure = None
        try:
            await obstore.put_async(
                self._opened(), key, body, mode="create", attributes={"Content-Type": content_type}, use_multipart=False
            )
        except AlreadyExistsError:
            return Put.ALREADY_THERE
        except BaseError as error:
            if self._credential_failure is not None:
                raise self._credential_failure from error
            raise _failure(f"PutObject s3://{self._bucket}/{key}", str(error)) from None
        return Put.STORED

    async def identity(self) -> str:
        """The session's ARN, from STS."""
        return (await caller_identity(self._session)).arn

    def _opened(self) -> Any:
        if self._store is None:
            options: dict[str, Any] = {"region": self._session.region}
            if self._endpoint:
                options |= {"endpoint": self._endpoint, "virtual_hosted_style_request": False}
            self._store = S3Store(
                self._bucket,
                **options,
                client_options={"allow_http": True, "timeout": "20s", "connect_timeout": "5s"},
                # Retrying is the uploader's business: it also tells the user.
                retry_config={"max_retries": 1},
                credential_provider=self._credentials,
            )
        return self._store

    async def _credentials(self) -> Any:
        try:
            keys = await self._session.keys()
        except AWS_FAILURES as error:
            self._credential_failure = error
            raise
        return {
            "access_key_id": keys.access_key_id,
            "secret_access_key": keys.secret_access_key,
            "token": keys.session_token or None,
            # obstore takes no zone but this one; botocore has an object of its own for it.
            "expires_at": keys.expires_at.astimezone(UTC) if keys.expires_at else None,
        }


def _failure(operation: str, text: str) -> StoreTransient | StorePermanent:
    """The failure that obstore's text stands for; only AWS's own code and message are passed on."""
    code = found.group(1) if (found := _CODE.search(text)) else ""
    message = found.group(1) if (found := _MESSAGE.search(text)) else ""
    if code:
        said = f"{operation}: {code}: {message}"
        return StoreTransient(code, said) if code in TRANSIENT_CODES else StorePermanent(code, said)
    return StoreTransient("Unreachable", f"{operation}: no answer from S3: {text.splitlines()[0][:200]}")

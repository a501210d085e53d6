"""The signature of one kind of request, made in a tenth of the time: GET of an object, nothing in its query or body.

botocore signs everything else. AWS Signature Version 4:
https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote

from keyless.aws import Keys

_PLAIN = re.compile(r"[A-Za-z0-9._~-]*")
_EMPTY = hashlib.sha256(b"").hexdigest()


class Signer:
    """Whole requests for objects of one bucket, as of one second; ``host`` is as the URL says it."""

    def __init__(self, keys: Keys, *, region: str, host: str, bucket: str, now: datetime) -> None:
        stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{stamp[:8]}/{region}/s3/aws4_request"
        headers = {"host": host, "x-amz-content-sha256": _EMPTY, "x-amz-date": stamp}
        if keys.session_token:
            headers["x-amz-security-token"] = keys.session_token
        names = ";".join(headers)
        sent = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._bucket = bucket
        self._canonical = "".join(f"{name}:{value}\n" for name, value in headers.items()) + f"\n{names}\n{_EMPTY}"
        self._to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n"
        self._head = (
            f"{sent}authorization: AWS4-HMAC-SHA256 Credential={keys.access_key_id}/{scope},"
            f" SignedHeaders={names}, Signature="
        )
        self._key = _signing_key(keys.secret_access_key, stamp[:8], region)

    def get(self, key: str) -> bytes:
        """The request for the object ``key``."""
        folder, slash, name = key.rpartition("/")
        path = f"/{self._bucket}/{_quoted(folder)}{slash}{name if _PLAIN.fullmatch(name) else quote(name, safe='~')}"
        asked = hashlib.sha256(f"GET\n{path}\n\n{self._canonical}".encode()).hexdigest()
        signature = hmac.digest(self._key, f"{self._to_sign}{asked}".encode(), "sha256").hex()
        return f"GET {path} HTTP/1.1\r\n{self._head}{signature}\r\n\r\n".encode()


@lru_cache(maxsize=64)
def _quoted(folder: str) -> str:
    # The objects of an hour share theirs.
    return quote(folder, safe="/~")


def _signing_key(secret: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key

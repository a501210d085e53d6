"""Verifying one signature, without the network: header form, a form body of 200 bytes."""

from __future__ import annotations

import time
from collections.abc import Iterator

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from keyless.local.cloud.signatures import Signature, check, read_untrusted
from keyless.local.cloud.wire.http import HttpRequest
from tests.bench.row import Row, microseconds

KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


def bench() -> Iterator[Row]:
    """Reading and checking, a new request each time: nothing is remembered but the day's signing key."""
    body = b"Action=GetCallerIdentity&Version=2011-06-15&" + b"x" * 156
    headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8", "user-agent": "bench"}
    request = AWSRequest("POST", "http://127.0.0.1:4566/", data=body, headers=headers)
    SigV4Auth(Credentials(KEY, SECRET), "sts", "us-west-2").add_auth(request)
    sent = (("host", "127.0.0.1:4566"), *((name.lower(), value) for name, value in request.headers.items()))
    now = time.time()

    def verify() -> object:
        arrived = HttpRequest("POST", "/", "", sent, body)
        signature = read_untrusted(arrived)
        assert isinstance(signature, Signature)
        return check(arrived, signature, SECRET, now)

    assert verify() is None
    found = microseconds(verify)
    yield Row("sigv4", "verify one signature", f"{found:.1f} µs", "", "≤ 60 µs", found <= 60)

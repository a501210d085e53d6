"""Buckets in the host's name: ``http://bucket.s3.localhost:4566/key`` is ``/bucket/key``. Pure.

SDKs address buckets so where the endpoint is a name and not an address (``*.localhost`` is loopback on most systems).
What was signed is what was sent, so this comes after the signature.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
"""

from __future__ import annotations

import re
from dataclasses import replace

from keyless.local.cloud.wire.http import HttpRequest

_HOST = re.compile(r"(?P<bucket>.+?)(\.s3([.-][a-z0-9-]+)?)?\.localhost(:[0-9]+)?", re.IGNORECASE)
_ENDPOINT = re.compile(r"s3([.-][a-z0-9-]+)?\.localhost(:[0-9]+)?", re.IGNORECASE)


def path_style(request: HttpRequest) -> HttpRequest:
    """The request with the bucket in its path, wherever it was."""
    host = request.header("host")
    found = None if _ENDPOINT.fullmatch(host) else _HOST.fullmatch(host)
    if found is None:
        return request
    return replace(request, path=f"/{found['bucket'].lower()}{request.path}")

"""A bucket, and requests to it as bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from unit.local.cloud.support import World, ask

BUCKET = "a-bucket"
HERE = {"LocationConstraint": "us-west-2"}
Sent = tuple[int, dict[str, str], str]


@pytest.fixture
def bucket(world: World) -> Any:
    """A client, and the bucket it has made."""
    client = world.aws("s3", signature_version="s3v4")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=HERE)
    return client


@pytest.fixture
def locked(world: World) -> Any:
    """A client, and the bucket with object lock that it has made."""
    client = world.aws("s3")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=HERE, ObjectLockEnabledForBucket=True)
    return client


@pytest.fixture
def send(world: World, bucket: Any) -> Callable[..., Sent]:
    """Send a presigned request by itself: status, headers and text as they are on the wire."""

    def sent(operation: str, method: str, *, body: bytes = b"", headers: Any = None, **params: Any) -> Sent:
        url = urlsplit(bucket.generate_presigned_url(operation, Params=params, HttpMethod=method))
        asked = ask(world.cloud.app, method, url.path, query=url.query, headers=headers, body=body)
        status, answer, content = world.loop.run(asked)
        return status, answer, content.decode()

    return sent

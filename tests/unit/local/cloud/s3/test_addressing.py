"""Buckets in the host's name."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from botocore.awsrequest import AWSRequest

from keyless.local.cloud.s3.addressing import path_style
from keyless.local.cloud.wire.http import HttpRequest
from unit.local.cloud.s3.conftest import BUCKET, HERE
from unit.local.cloud.support import World, ask


@pytest.mark.parametrize(
    ("host", "path", "expected"),
    [
        ("127.0.0.1:4566", "/b/k", "/b/k"),
        ("localhost:4566", "/b/k", "/b/k"),
        ("s3.localhost:4566", "/b/k", "/b/k"),
        ("s3.us-west-2.localhost", "/b/k", "/b/k"),
        ("a-bucket.s3.localhost:4566", "/k", "/a-bucket/k"),
        ("a-bucket.s3.us-west-2.localhost", "/k/", "/a-bucket/k/"),
        ("a.bucket.localhost:4566", "/", "/a.bucket/"),
        ("A-Bucket.s3.localhost", "//k", "/a-bucket//k"),
        ("example.com", "/k", "/k"),
    ],
)
def test_a_bucket_is_found_in_the_host_or_the_path(host: str, path: str, expected: str) -> None:
    assert path_style(HttpRequest("GET", path, "", (("host", host),))).path == expected


def test_what_is_signed_for_a_bucket_s_host_is_served(world: World) -> None:
    world.aws("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=HERE)
    client = world.aws("s3", signature_version="s3v4", s3={"addressing_style": "virtual"})
    client.meta.events.register("before-sign.s3", _on_a_named_host, unique_id="host")
    for operation, method, body in (("put_object", "PUT", b"by host"), ("get_object", "GET", b"")):
        url = urlsplit(
            client.generate_presigned_url(operation, Params={"Bucket": BUCKET, "Key": "k"}, HttpMethod=method)
        )
        assert (url.netloc, url.path) == (f"{BUCKET}.s3.localhost:4566", "/k")
        asked = ask(world.cloud.app, method, url.path, query=url.query, headers={"host": url.netloc}, body=body)
        status, _, answer = world.loop.run(asked)
        assert status == 200
    assert answer == b"by host"


def _on_a_named_host(request: AWSRequest, **_: object) -> None:
    """botocore keeps addresses in the path: the bucket is moved before the signature."""
    request.url = request.url.replace(f"http://127.0.0.1:4566/{BUCKET}/", f"http://{BUCKET}.s3.localhost:4566/")

"""s3fs, by steps; see ``boto3_steps.py``."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import urllib.request
from collections.abc import Callable
from typing import Any

import s3fs

BUCKET = os.environ["BUCKET"]
PREFIX = f"{BUCKET}/s3fs/"
PART = 5 * 2**20


def opened(**options: Any) -> s3fs.S3FileSystem:
    return s3fs.S3FileSystem(endpoint_url=os.environ["AWS_ENDPOINT_URL"], skip_instance_cache=True, **options)


def name_of(error: type[OSError], path: str) -> str:
    try:
        opened().cat_file(path)
    except error as found:
        return type(found).__name__
    return "Success"


def objects() -> Any:
    files, path = opened(), PREFIX + "a b+ü/%41.txt"
    files.pipe_file(path, b"hello")
    found = {
        "read": files.cat_file(path).decode(),
        "range": files.cat_file(path, start=1, end=3).decode(),
        "listed": [one == path for one in files.find(PREFIX + "a b+ü")],
        "missing": name_of(OSError, PREFIX + "none"),
    }
    files.rm_file(path)
    return {**found, "after": name_of(OSError, path)}


def large() -> Any:
    files, body = opened(), os.urandom(2 * PART + 1)
    with files.open(PREFIX + "large", "wb", block_size=PART) as target:
        for at in range(0, len(body), PART):
            target.write(body[at : at + PART])
    with files.open(PREFIX + "large", "rb") as source:
        same = hashlib.sha256(source.read()).digest() == hashlib.sha256(body).digest()
    return {"same": same, "parts": files.info(PREFIX + "large")["ETag"].strip('"').partition("-")[2]}


def presigned() -> Any:
    files = opened(config_kwargs={"signature_version": "s3v4"})
    files.pipe_file(PREFIX + "presigned", b"by url")
    with urllib.request.urlopen(files.sign(PREFIX + "presigned")) as answer:
        return {"get": answer.read().decode()}


def denied() -> Any:
    return {"s3": name_of(PermissionError, f"{BUCKET}/forbidden/x")}


def put() -> Any:
    opened().pipe_file(PREFIX + "put", b"once")
    return "Success"


def retried() -> Any:
    files, path = opened(), PREFIX + "retried"
    files.pipe_file(path, b"once")
    read, size = files.cat_file(path).decode(), files.info(path, refresh=True)["size"]
    listed = len(files.find(path, refresh=True))
    files.rm_file(path)
    return {"read": read, "size": size, "listed": listed}


STEPS = (objects, large, presigned, denied, put, retried)


def outcome(step: Callable[[], Any]) -> Any:
    try:
        return step()
    except Exception as error:  # noqa: BLE001 - one step that fails leaves the others
        return {"failed": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    print(json.dumps({step.__name__: outcome(step) for step in STEPS if step.__name__ in sys.argv[1:]}))

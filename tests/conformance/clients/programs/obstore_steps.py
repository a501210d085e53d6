"""obstore, which our own billing writes with, by steps; see ``boto3_steps.py``."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import urllib.request
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import obstore
from obstore.store import S3Store

BUCKET = os.environ["BUCKET"]
PREFIX = "obstore/"
PART = 5 * 2**20


def opened() -> S3Store:
    options = {
        "endpoint": os.environ["AWS_ENDPOINT_URL"],
        "region": os.environ["AWS_REGION"],
        "access_key_id": os.environ["AWS_ACCESS_KEY_ID"],
        "secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"],
        "session_token": os.environ.get("AWS_SESSION_TOKEN"),
    }
    return S3Store(BUCKET, client_options={"allow_http": True}, **{k: v for k, v in options.items() if v})


def name_of(path: str, **options: Any) -> str:
    try:
        if options:
            obstore.put(opened(), path, b"", **options)
        else:
            obstore.get(opened(), path)
    except Exception as error:  # noqa: BLE001 - its name is what is asked for
        return type(error).__name__
    return "Success"


def objects() -> Any:
    store, path = opened(), PREFIX + "a b+ü/x.txt"
    obstore.put(store, path, b"hello", attributes={"Content-Type": "text/plain", "team": "blue"})
    found = {
        "read": bytes(obstore.get(store, path).bytes()).decode(),
        "range": bytes(obstore.get_range(store, path, start=1, end=3)).decode(),
        "listed": [one["path"] == path for page in obstore.list(store, PREFIX + "a b+ü") for one in page],
        "missing": name_of(PREFIX + "none"),
        "exists": name_of(path, mode="create"),
    }
    obstore.delete(store, path)
    return {**found, "after": name_of(path)}


def large() -> Any:
    store, body = opened(), os.urandom(2 * PART + 1)
    obstore.put(store, PREFIX + "large", body, use_multipart=True, chunk_size=PART)
    same = hashlib.sha256(bytes(obstore.get(store, PREFIX + "large").bytes())).digest() == hashlib.sha256(body).digest()
    etag = obstore.head(store, PREFIX + "large")["e_tag"] or ""
    return {"same": same, "parts": etag.strip('"').partition("-")[2]}


def presigned() -> Any:
    store, path = opened(), PREFIX + "presigned"
    put = urllib.request.Request(obstore.sign(store, "PUT", path, timedelta(minutes=1)), b"by url", method="PUT")
    with urllib.request.urlopen(put) as answer:
        status = answer.status
    with urllib.request.urlopen(obstore.sign(store, "GET", path, timedelta(minutes=1))) as answer:
        return {"put": status, "get": answer.read().decode()}


def denied() -> Any:
    return {"s3": name_of("forbidden/x")}


def put() -> Any:
    obstore.put(opened(), PREFIX + "put", b"once")
    return "Success"


def retried() -> Any:
    store, path = opened(), PREFIX + "retried"
    obstore.put(store, path, b"once")
    read, size = bytes(obstore.get(store, path).bytes()).decode(), obstore.head(store, path)["size"]
    listed = len([one for page in obstore.list(store, PREFIX) for one in page if one["path"] == path])
    obstore.delete(store, path)
    return {"read": read, "size": size, "listed": listed}


STEPS = (objects, large, presigned, denied, put, retried)


def outcome(step: Callable[[], Any]) -> Any:
    try:
        return step()
    except Exception as error:  # noqa: BLE001 - one step that fails leaves the others
        return {"failed": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    print(json.dumps({step.__name__: outcome(step) for step in STEPS if step.__name__ in sys.argv[1:]}))

"""aiobotocore, by steps; see ``boto3_steps.py``. Runs in the same venv, for it pins botocore."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import ClientError

BUCKET, SECRET, PARAMETER = (os.environ[name] for name in ("BUCKET", "SECRET", "PARAMETER"))
PREFIX = "aiobotocore/"
PART = 5 * 2**20


@asynccontextmanager
async def aws(service: str, **options: Any) -> AsyncIterator[Any]:
    async with get_session().create_client(service, **options) as made:
        yield made


async def code(call: Awaitable[Any]) -> str:
    try:
        await call
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return "Success"


async def read(answer: dict[str, Any]) -> bytes:
    async with answer["Body"] as body:
        found: bytes = await body.read()
        return found


async def who() -> Any:
    async with aws("sts") as sts:
        return {"arn": (await sts.get_caller_identity())["Arn"]}


async def objects() -> Any:
    key = PREFIX + "a b+ü/%41.txt"
    async with aws("s3") as s3:
        await s3.put_object(Bucket=BUCKET, Key=key, Body=b"hello", Metadata={"team": "blue"})
        got = await s3.get_object(Bucket=BUCKET, Key=key)
        listed = await s3.list_objects_v2(Bucket=BUCKET, Prefix=PREFIX + "a")
        found = {
            "read": (await read(got)).decode(),
            "metadata": got["Metadata"],
            "range": (await read(await s3.get_object(Bucket=BUCKET, Key=key, Range="bytes=1-2"))).decode(),
            "listed": [one["Key"] == key for one in listed["Contents"]],
            "missing": await code(s3.get_object(Bucket=BUCKET, Key=PREFIX + "none")),
            "exists": await code(s3.put_object(Bucket=BUCKET, Key=key, Body=b"", IfNoneMatch="*")),
            "no_bucket": await code(s3.list_objects_v2(Bucket="nobody-has-made-this")),
        }
        await s3.delete_object(Bucket=BUCKET, Key=key)
        return {**found, "after": await code(s3.get_object(Bucket=BUCKET, Key=key))}


async def large() -> Any:
    body, place = os.urandom(2 * PART + 1), {"Bucket": BUCKET, "Key": PREFIX + "large"}
    async with aws("s3") as s3:
        upload = {**place, "UploadId": (await s3.create_multipart_upload(**place))["UploadId"]}
        pieces = [body[at : at + PART] for at in range(0, len(body), PART)]
        sent = [s3.upload_part(**upload, PartNumber=number, Body=piece) for number, piece in enumerate(pieces, 1)]
        parts = [{"PartNumber": n, "ETag": one["ETag"]} for n, one in enumerate(await asyncio.gather(*sent), 1)]
        etag = (await s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}))["ETag"].strip('"')
        back = await read(await s3.get_object(**place))
    same = hashlib.sha256(back).digest() == hashlib.sha256(body).digest()
    return {"same": same, "parts": etag.partition("-")[2]}


async def presigned() -> Any:
    place = {"Bucket": BUCKET, "Key": PREFIX + "presigned"}
    async with aws("s3", config=AioConfig(signature_version="s3v4")) as s3, aiohttp.ClientSession() as http:
        async with http.put(await s3.generate_presigned_url("put_object", Params=place), data=b"by url") as answer:
            status = answer.status
        async with http.get(await s3.generate_presigned_url("get_object", Params=place)) as answer:
            return {"put": status, "get": await answer.text()}


async def secrets() -> Any:
    async with aws("secretsmanager") as manager:
        return {
            "value": (await manager.get_secret_value(SecretId=SECRET))["SecretString"],
            "missing": await code(manager.get_secret_value(SecretId="no-such-secret")),
        }


async def parameters() -> Any:
    async with aws("ssm") as ssm:
        many = await ssm.get_parameters(Names=[PARAMETER, "no-such"], WithDecryption=True)
        return {
            "value": (await ssm.get_parameter(Name=PARAMETER, WithDecryption=True))["Parameter"]["Value"],
            "many": [one["Value"] for one in many["Parameters"]],
            "invalid": many["InvalidParameters"],
            "missing": await code(ssm.get_parameter(Name="no-such")),
        }


async def denied() -> Any:
    async with aws("s3") as s3, aws("secretsmanager") as manager, aws("ssm") as ssm:
        return {
            "s3": await code(s3.get_object(Bucket=BUCKET, Key="forbidden/x")),
            "secretsmanager": await code(manager.get_secret_value(SecretId="forbidden")),
            "ssm": await code(ssm.get_parameter(Name="forbidden")),
        }


async def unserved() -> Any:
    async with aws("s3") as s3, aws("ssm") as ssm:
        return {
            "s3": await code(s3.get_object_torrent(Bucket=BUCKET, Key="any")),
            "ssm": await code(ssm.list_documents()),
        }


async def put() -> Any:
    async with aws("s3") as s3:
        await s3.put_object(Bucket=BUCKET, Key=PREFIX + "put", Body=b"once")
    return "Success"


async def retried() -> Any:
    place = {"Bucket": BUCKET, "Key": PREFIX + "retried"}
    async with aws("s3") as s3:
        await s3.put_object(**place, Body=b"once")
        found = (await read(await s3.get_object(**place))).decode()
        size = (await s3.head_object(**place))["ContentLength"]
        listed = (await s3.list_objects_v2(Bucket=BUCKET, Prefix=place["Key"]))["KeyCount"]
        await s3.delete_object(**place)
    return {"read": found, "size": size, "listed": listed}


STEPS = (who, objects, large, presigned, secrets, parameters, denied, unserved, put, retried)


def outcome(step: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    try:
        return asyncio.run(step())
    except Exception as error:  # noqa: BLE001 - one step that fails leaves the others
        return {"failed": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    print(json.dumps({step.__name__: outcome(step) for step in STEPS if step.__name__ in sys.argv[1:]}))

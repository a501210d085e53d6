"""boto3, by steps: ``python boto3_steps.py STEP…``; prints what each saw as JSON. Runs in a venv of its own.

What is asked of whom comes from the environment, as any user of boto3 has it: ``AWS_…``, and the names ``BUCKET``,
``SECRET`` and ``PARAMETER``. Every program here knows the same steps and must print the same.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
import urllib.request
from collections.abc import Callable
from typing import Any

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

BUCKET, SECRET, PARAMETER = (os.environ[name] for name in ("BUCKET", "SECRET", "PARAMETER"))
PREFIX = "boto3/"
PART = 5 * 2**20


def code(call: Callable[..., Any], **params: Any) -> str:
    try:
        call(**params)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return "Success"


def who() -> Any:
    return {"arn": boto3.client("sts").get_caller_identity()["Arn"]}


def objects() -> Any:
    s3, key = boto3.client("s3"), PREFIX + "a b+ü/%41.txt"
    s3.put_object(Bucket=BUCKET, Key=key, Body=b"hello", Metadata={"team": "blue"})
    got = s3.get_object(Bucket=BUCKET, Key=key)
    found = {
        "read": got["Body"].read().decode(),
        "metadata": got["Metadata"],
        "range": s3.get_object(Bucket=BUCKET, Key=key, Range="bytes=1-2")["Body"].read().decode(),
        "listed": [one["Key"] == key for one in s3.list_objects_v2(Bucket=BUCKET, Prefix=PREFIX + "a")["Contents"]],
        "missing": code(s3.get_object, Bucket=BUCKET, Key=PREFIX + "none"),
        "exists": code(s3.put_object, Bucket=BUCKET, Key=key, Body=b"", IfNoneMatch="*"),
        "no_bucket": code(s3.list_objects_v2, Bucket="nobody-has-made-this"),
    }
    s3.delete_object(Bucket=BUCKET, Key=key)
    return {**found, "after": code(s3.get_object, Bucket=BUCKET, Key=key)}


def large() -> Any:
    s3, body = boto3.client("s3"), os.urandom(2 * PART + 1)
    parts = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART)
    s3.upload_fileobj(io.BytesIO(body), BUCKET, PREFIX + "large", Config=parts)
    back = io.BytesIO()
    s3.download_fileobj(BUCKET, PREFIX + "large", back, Config=parts)
    etag = s3.head_object(Bucket=BUCKET, Key=PREFIX + "large")["ETag"].strip('"')
    same = hashlib.sha256(back.getvalue()).digest() == hashlib.sha256(body).digest()
    return {"same": same, "parts": etag.partition("-")[2]}


def streamed() -> Any:
    """A source that cannot be read twice, with a checksum that travels behind it."""
    s3 = boto3.client("s3")
    s3.put_object(Bucket=BUCKET, Key=PREFIX + "streamed", Body=io.BytesIO(b"s" * 70_000), ChecksumAlgorithm="SHA256")
    return {"size": s3.head_object(Bucket=BUCKET, Key=PREFIX + "streamed")["ContentLength"]}


def presigned() -> Any:
    s3 = boto3.client("s3", config=Config(signature_version="s3v4"))
    place = {"Bucket": BUCKET, "Key": PREFIX + "presigned"}
    put = urllib.request.Request(s3.generate_presigned_url("put_object", Params=place), b"by url", method="PUT")
    with urllib.request.urlopen(put) as answer:
        status = answer.status
    with urllib.request.urlopen(s3.generate_presigned_url("get_object", Params=place)) as answer:
        return {"put": status, "get": answer.read().decode()}


def secrets() -> Any:
    manager = boto3.client("secretsmanager")
    return {
        "value": manager.get_secret_value(SecretId=SECRET)["SecretString"],
        "missing": code(manager.get_secret_value, SecretId="no-such-secret"),
    }


def parameters() -> Any:
    ssm = boto3.client("ssm")
    many = ssm.get_parameters(Names=[PARAMETER, "no-such"], WithDecryption=True)
    return {
        "value": ssm.get_parameter(Name=PARAMETER, WithDecryption=True)["Parameter"]["Value"],
        "many": [one["Value"] for one in many["Parameters"]],
        "invalid": many["InvalidParameters"],
        "missing": code(ssm.get_parameter, Name="no-such"),
    }


def denied() -> Any:
    return {
        "s3": code(boto3.client("s3").get_object, Bucket=BUCKET, Key="forbidden/x"),
        "secretsmanager": code(boto3.client("secretsmanager").get_secret_value, SecretId="forbidden"),
        "ssm": code(boto3.client("ssm").get_parameter, Name="forbidden"),
    }


def unserved() -> Any:
    return {
        "s3": code(boto3.client("s3").get_object_torrent, Bucket=BUCKET, Key="any"),
        "ssm": code(boto3.client("ssm").list_documents),
    }


def put() -> Any:
    boto3.client("s3").put_object(Bucket=BUCKET, Key=PREFIX + "put", Body=b"once")
    return "Success"


def retried() -> Any:
    """Each of these meets a fault once."""
    s3, place = boto3.client("s3"), {"Bucket": BUCKET, "Key": PREFIX + "retried"}
    s3.put_object(**place, Body=b"once")
    read = s3.get_object(**place)["Body"].read().decode()
    size = s3.head_object(**place)["ContentLength"]
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix=place["Key"])["KeyCount"]
    s3.delete_object(**place)
    return {"read": read, "size": size, "listed": listed}


def made_once() -> Any:
    """The answer to the first try is lost; the second one carries the same token."""
    manager = boto3.client("secretsmanager")
    name = "client/made-once"
    made = manager.create_secret(Name=name, SecretString="x")
    changed = manager.put_secret_value(SecretId=name, SecretString="y")
    versions = manager.list_secret_version_ids(SecretId=name, IncludeDeprecated=True)["Versions"]
    return sorted(one["VersionId"] for one in versions) == sorted((made["VersionId"], changed["VersionId"]))


STEPS = (who, objects, large, streamed, presigned, secrets, parameters, denied, unserved, put, retried, made_once)


def outcome(step: Callable[[], Any]) -> Any:
    try:
        return step()
    except Exception as error:  # noqa: BLE001 - one step that fails leaves the others
        return {"failed": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    print(json.dumps({step.__name__: outcome(step) for step in STEPS if step.__name__ in sys.argv[1:]}))

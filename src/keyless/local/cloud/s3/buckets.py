"""Operations on buckets."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from ipaddress import IPv4Address
from typing import Any

from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.s3.storage import Bucket, Storage
from keyless.policy import MalformedPolicy, parse

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


def no_such_bucket(name: str) -> AwsError:
    """The bucket is not there."""
    return AwsError("NoSuchBucket", "The specified bucket does not exist", status=404, fields={"BucketName": name})


class Buckets:
    """Create, find, describe and delete buckets; their policies."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def existing(self, call: Call) -> Bucket:
        """The bucket that the parameters name; raises NoSuchBucket."""
        name = str(call.params["Bucket"])
        found = self._storage.bucket(name)
        if found is None:
            raise no_such_bucket(name)
        return found

    def create(self, call: Call) -> dict[str, Any]:
        name = str(call.params["Bucket"])
        if not _valid(name):
            raise AwsError("InvalidBucketName", "The specified bucket is not valid.", fields={"BucketName": name})
        region = (call.params.get("CreateBucketConfiguration") or {}).get("LocationConstraint", "") or "us-east-1"
        if region != call.region:
            raise AwsError(
                "IllegalLocationConstraintException",
                f"The {'unspecified' if region == 'us-east-1' else region} location constraint is incompatible "
                "for the region specific endpoint this request was sent to.",
            )
        if self._storage.bucket(name) is not None:
            raise AwsError(
                "BucketAlreadyOwnedByYou",
                "Your previous request to create the named bucket succeeded and you already own it.",
                status=409,
                fields={"BucketName": name},
            )
        self._storage.add_bucket(Bucket(name, call.now, region))
        return {"Location": f"/{name}"}

    def head(self, call: Call) -> dict[str, Any]:
        return {"BucketRegion": self.existing(call).region}

    def delete(self, call: Call) -> None:
        bucket = self.existing(call)
        if not self._storage.remove_bucket(bucket.name):
            text = "The bucket you tried to delete is not empty"
            raise AwsError("BucketNotEmpty", text, status=409, fields={"BucketName": bucket.name})

    def list_all(self, call: Call) -> dict[str, Any]:
        buckets = [
            {"Name": b.name, "CreationDate": datetime.fromtimestamp(b.created, UTC), "BucketRegion": b.region}
            for b in self._storage.buckets()
        ]
        return {"Buckets": buckets, "Owner": {"ID": call.account}}

    def location(self, call: Call) -> dict[str, Any]:
        region = self.existing(call).region
        # us-east-1 is the empty constraint, as it has been since 2006.
        return {"LocationConstraint": "" if region == "us-east-1" else region}

    def get_policy(self, call: Call) -> dict[str, Any]:
        bucket = self.existing(call)
        if not bucket.policy:
            text = "The bucket policy does not exist"
            raise AwsError("NoSuchBucketPolicy", text, status=404, fields={"BucketName": bucket.name})
        return {"Policy": bucket.policy}

    def put_policy(self, call: Call) -> None:
        text = str(call.params["Policy"])
        try:
            parse(text, "resource")
        except MalformedPolicy as error:
            raise AwsError("MalformedPolicy", str(error), status=400) from None
        self._storage.set_policy(self.existing(call).name, text)

    def delete_policy(self, call: Call) -> None:
        self._storage.set_policy(self.existing(call).name, "")


def _valid(name: str) -> bool:
    if not _NAME.fullmatch(name) or ".." in name or name.startswith("xn--"):
        return False
    try:
        IPv4Address(name)
    except ValueError:
        return True
    return False

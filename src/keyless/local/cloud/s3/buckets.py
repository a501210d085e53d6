"""Operations on buckets: create, find, delete, list, where they are.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.s3.acls import must_create_with, owner
from keyless.local.cloud.s3.names import must_be_a_name, must_be_a_new_name
from keyless.local.cloud.s3.settings import LOCK, OWNERSHIP
from keyless.local.cloud.s3.storage import Bucket, Storage
from keyless.local.cloud.s3.tags import MOST_ON_BUCKETS, checked_tags

OLDEST_REGION = "us-east-1"
_MOST_LISTED = 10_000
#: answered in every region
_ANYWHERE = {"GetBucketLocation"}


def no_such_bucket(name: str) -> AwsError:
    """The bucket is not there."""
    return AwsError("NoSuchBucket", "The specified bucket does not exist", status=404, fields={"BucketName": name})


def _elsewhere(bucket: Bucket) -> AwsError:
    """The request was signed for another region: there is one endpoint here, and the signature names the region."""
    return AwsError(
        "PermanentRedirect",
        "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future"
        " requests to this endpoint.",
        status=301,
        fields={"Endpoint": f"{bucket.name}.s3.{bucket.region}.amazonaws.com", "Bucket": bucket.name},
        headers={"x-amz-bucket-region": bucket.region},
    )


class Buckets:
    """Create, find, describe and delete buckets."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def existing(self, call: Call) -> Bucket:
        """The bucket that the parameters name; raises where it is not there, or not whose the caller thinks it is."""
        name = str(call.params["Bucket"])
        found = self._storage.bucket(name)
        if found is None:
            must_be_a_name(name)
            raise no_such_bucket(name)
        if (expected := call.params.get("ExpectedBucketOwner")) and expected != call.account:
            raise AwsError("AccessDenied", "Access Denied", status=403)
        if found.region != call.region and call.caller.kind != "Anonymous" and call.operation not in _ANYWHERE:
            raise _elsewhere(found)
        return found

    def is_there(self, name: str) -> bool:
        """Whether there is a bucket of this name."""
        return self._storage.bucket(name) is not None

    def set(self, call: Call, name: str, value: object) -> None:
        """Keep a setting of the bucket; None: the setting was deleted."""
        bucket = self.existing(call)
        self._storage.set_settings(bucket.name, {**bucket.settings, name: value})

    def create(self, call: Call) -> dict[str, Any]:
        name = str(call.params["Bucket"])
        must_be_a_new_name(name)
        given = call.params.get("CreateBucketConfiguration") or {}
        region = _region(call, given.get("LocationConstraint"))
        must_create_with(call)
        location = f"/{name}" if region == OLDEST_REGION else f"http://{name}.s3.amazonaws.com/"
        if self._storage.bucket(name) is not None:
            if region == OLDEST_REGION:
                # The oldest region answers as it did before there was a word for this.
                return {"Location": location}
            raise AwsError(
                "BucketAlreadyOwnedByYou",
                "Your previous request to create the named bucket succeeded and you already own it.",
                status=409,
                fields={"BucketName": name},
            )
        settings: dict[str, Any] = {}
        if wanted := call.params.get("ObjectOwnership"):
            settings[OWNERSHIP] = {"Rules": [{"ObjectOwnership": wanted}]}
        locked = bool(call.params.get("ObjectLockEnabledForBucket"))
        if locked:
            settings[LOCK] = {"ObjectLockEnabled": "Enabled"}
        bucket = Bucket(name, call.now, region, versioning="Enabled" if locked else "", settings=settings)
        self._storage.add_bucket(bucket)
        if tags := checked_tags([(tag["Key"], tag["Value"]) for tag in given.get("Tags") or ()], MOST_ON_BUCKETS):
            self._storage.set_bucket_tags(name, tags)
        return {"Location": location}

    def head(self, call: Call) -> dict[str, Any]:
        return {"BucketRegion": self.existing(call).region, "AccessPointAlias": False}

    def delete(self, call: Call) -> None:
        bucket = self.existing(call)
        if not self._storage.remove_bucket(bucket.name):
            text = "The bucket you tried to delete is not empty"
            if bucket.versioning:
                text += ". You must delete all versions in the bucket."
            raise AwsError("BucketNotEmpty", text, status=409, fields={"BucketName": bucket.name})

    def list_all(self, call: Call) -> dict[str, Any]:
        prefix, region = call.params.get("Prefix") or "", call.params.get("BucketRegion")
        after = _token(call.params.get("ContinuationToken"))
        limit = int(call.params.get("MaxBuckets") or _MOST_LISTED)
        found = [
            bucket
            for bucket in self._storage.buckets()
            if bucket.name.startswith(prefix) and bucket.name > after and region in {None, bucket.region}
        ]
        result: dict[str, Any] = {"Buckets": [_listed(one) for one in found[:limit]], "Owner": owner(call.account)}
        if prefix:
            result["Prefix"] = prefix
        if len(found) > limit:
            result["ContinuationToken"] = found[limit - 1].name.encode().hex()
        return result

    def location(self, call: Call) -> str:
        """The location constraint: the oldest region's is empty, as it has been since 2006."""
        region = self.existing(call).region
        return "" if region == OLDEST_REGION else region


def _region(call: Call, constraint: str | None) -> str:
    if constraint == OLDEST_REGION:
        text = "The specified location-constraint is not valid"
        raise AwsError("InvalidLocationConstraint", text, status=400, fields={"LocationConstraint": constraint})
    region = constraint or OLDEST_REGION
    # The oldest region's endpoint makes buckets anywhere.
    if call.region not in {region, OLDEST_REGION}:
        raise AwsError(
            "IllegalLocationConstraintException",
            f"The {constraint or 'unspecified'} location constraint is incompatible for the region specific endpoint"
            " this request was sent to.",
            status=400,
        )
    return region


def _listed(bucket: Bucket) -> dict[str, Any]:
    created = datetime.fromtimestamp(bucket.created, UTC)
    return {"Name": bucket.name, "CreationDate": created, "BucketRegion": bucket.region}


def _token(token: str | None) -> str:
    try:
        return bytes.fromhex(token or "").decode()
    except ValueError:
        raise AwsError("InvalidArgument", "The continuation token provided is incorrect", status=400) from None

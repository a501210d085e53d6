"""Operations on object locks: a bucket's default, an object's retention and legal hold.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html
"""

from __future__ import annotations

from typing import Any

from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.s3.buckets import Buckets
from keyless.local.cloud.s3.locks import HOLD, MODE, UNTIL, retained, retention_of, until
from keyless.local.cloud.s3.objects import Objects
from keyless.local.cloud.s3.settings import LOCK, setting
from keyless.local.cloud.s3.storage import Stored
from keyless.local.cloud.s3.targets import Targets
from keyless.local.cloud.s3.versions import Versions

_MALFORMED = "The XML you provided was not well-formed or did not validate against our published schema"


class Locking:
    """Retention and legal holds."""

    def __init__(self, buckets: Buckets, objects: Objects, targets: Targets, versions: Versions) -> None:
        self._buckets = buckets
        self._objects = objects
        self._targets = targets
        self._versions = versions

    def get(self, call: Call) -> dict[str, Any]:
        bucket = self._buckets.existing(call)
        found = setting(bucket, LOCK)
        if found is None:
            text = "Object Lock configuration does not exist for this bucket"
            fields = {"BucketName": bucket.name}
            raise AwsError("ObjectLockConfigurationNotFoundError", text, status=404, fields=fields)
        return {LOCK: found}

    def put(self, call: Call) -> dict[str, Any]:
        bucket, given = self._buckets.existing(call), call.params.get(LOCK) or {}
        if bucket.versioning != "Enabled":
            text = "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration"
            raise AwsError("InvalidBucketState", text, status=409)
        default = (given.get("Rule") or {}).get("DefaultRetention")
        whole = default is None or (default.get("Mode") and (bool(default.get("Days")) != bool(default.get("Years"))))
        if given.get("ObjectLockEnabled") != "Enabled" or ("Rule" in given and not default) or not whole:
            raise AwsError("MalformedXML", _MALFORMED, status=400)
        self._buckets.set(call, LOCK, given)
        return {}

    def retention(self, call: Call) -> dict[str, Any]:
        found = retention_of(self._lockable(call))
        if found is None:
            raise _nothing_locked()
        return {"Retention": found}

    def put_retention(self, call: Call) -> dict[str, Any]:
        stored, wanted = self._lockable(call), call.params.get("Retention") or {}
        if bool(wanted.get("Mode")) != bool(wanted.get("RetainUntilDate")):
            raise AwsError("MalformedXML", _MALFORMED, status=400)
        end = until(wanted["RetainUntilDate"], call.now) if wanted else 0.0
        self._must_be_loosened(call, stored, str(wanted.get("Mode", "")), end)
        kept = {name: value for name, value in stored.described.items() if name not in {MODE, UNTIL}}
        self._versions.set_described(
            call.params["Bucket"], stored, kept | ({MODE: wanted["Mode"], UNTIL: end} if wanted else {})
        )
        return {}

    def _must_be_loosened(self, call: Call, stored: Stored, mode: str, end: float) -> None:
        """A retention in force may be made longer; governance may be loosened by who may bypass it."""
        force = retained(stored, call.now)
        if not force or (end >= stored.described[UNTIL] and (mode == force or mode == "COMPLIANCE")):
            return
        if force == "GOVERNANCE" and call.params.get("BypassGovernanceRetention"):
            bucket = call.params["Bucket"]
            call.authorise(self._targets.object(call, "BypassGovernanceRetention", bucket, stored.key))
            return
        raise AwsError("AccessDenied", "Access Denied because object protected by object lock.", status=403)

    def legal_hold(self, call: Call) -> dict[str, Any]:
        stored = self._lockable(call)
        if HOLD not in stored.described:
            raise _nothing_locked()
        return {"LegalHold": {"Status": stored.described[HOLD]}}

    def put_legal_hold(self, call: Call) -> dict[str, Any]:
        stored, status = self._lockable(call), (call.params.get("LegalHold") or {}).get("Status")
        if not status:
            raise AwsError("MalformedXML", _MALFORMED, status=400)
        self._versions.set_described(call.params["Bucket"], stored, {**stored.described, HOLD: status})
        return {}

    def _lockable(self, call: Call) -> Stored:
        if setting(self._buckets.existing(call), LOCK) is None:
            raise AwsError("InvalidRequest", "Bucket is missing Object Lock Configuration", status=400)
        return self._objects.readable(call).stored


def _nothing_locked() -> AwsError:
    text = "The specified object does not have a ObjectLock configuration"
    return AwsError("NoSuchObjectLockConfiguration", text, status=404)

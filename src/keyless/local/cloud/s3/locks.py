"""Object lock: retention and legal holds that keep a version from being deleted.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.s3.settings import LOCK, setting
from keyless.local.cloud.s3.storage import Bucket, Stored
from keyless.local.cloud.s3.targets import Targets

MODE, UNTIL, HOLD = "ObjectLockMode", "ObjectLockRetainUntilDate", "ObjectLockLegalHoldStatus"
_DAY = 86_400


def locked_as(params: Mapping[str, Any], bucket: Bucket, now: float) -> dict[str, Any]:
    """The lock that a new object has: what the request says, else the bucket's default."""
    asked = {name: params[name] for name in (MODE, UNTIL, HOLD) if params.get(name)}
    configured = setting(bucket, LOCK)
    if asked and configured is None:
        text = "Bucket is missing Object Lock Configuration"
        raise AwsError("InvalidRequest", text, status=400)
    if (MODE in asked) != (UNTIL in asked):
        text = "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied"
        raise AwsError("InvalidArgument", text, status=400)
    if UNTIL in asked:
        asked[UNTIL] = until(asked[UNTIL], now)
    default = ((configured or {}).get("Rule") or {}).get("DefaultRetention")
    if default and MODE not in asked:
        days = default.get("Days") or int(default["Years"]) * 365
        asked |= {MODE: default["Mode"], UNTIL: now + int(days) * _DAY}
    return asked


def until(moment: datetime, now: float) -> float:
    """The end of a retention; raises where it is past."""
    if moment.timestamp() <= now:
        raise AwsError("InvalidArgument", "The retain until date must be in the future!", status=400)
    return moment.timestamp()


def retained(stored: Stored, now: float) -> str:
    """The mode of the retention in force; empty where there is none."""
    return str(stored.described.get(MODE, "")) if stored.described.get(UNTIL, 0) > now else ""


def must_be_deletable(stored: Stored, call: Call, targets: Targets) -> None:
    """Refuse to delete a version that is held; governance gives way to who may and asks to bypass it."""
    mode = retained(stored, call.now)
    held = stored.described.get(HOLD) == "ON"
    if mode == "GOVERNANCE" and not held and call.params.get("BypassGovernanceRetention"):
        call.authorise(targets.object(call, "BypassGovernanceRetention", call.params["Bucket"], stored.key))
        return
    if mode or held:
        raise AwsError("AccessDenied", "Access Denied because object protected by object lock.", status=403)


def retention_of(stored: Stored) -> dict[str, Any] | None:
    """The retention as boto3 has it."""
    if MODE not in stored.described:
        return None
    return {"Mode": stored.described[MODE], "RetainUntilDate": datetime.fromtimestamp(stored.described[UNTIL], UTC)}

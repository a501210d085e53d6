"""Settings of a bucket that are kept and given back, and those that are only ever absent.

What is kept here changes nothing else: lifecycle rules are not run, no access logs are written, no rules of CORS are
sent to browsers (aws-differences lists it). A notification would go to queues, topics and functions that are not here,
so it is refused as AWS refuses a destination that it cannot reach.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from keyless.local.cloud.call import Call
from keyless.local.cloud.errors import AwsError
from keyless.local.cloud.s3.buckets import Buckets
from keyless.local.cloud.s3.encryption import DEFAULT_RULES
from keyless.local.cloud.s3.settings import ENCRYPTION, setting

_MALFORMED = "The XML you provided was not well-formed or did not validate against our published schema"
_MOST_RULES = {"LifecycleConfiguration": 1000, "CORSConfiguration": 100}
_SMALLEST = "TransitionDefaultMinimumObjectSize"
_METHODS = {"GET", "PUT", "HEAD", "POST", "DELETE"}


@dataclass(frozen=True, slots=True)
class Kept:
    """One setting: the parameter it comes in, whether its members are the answer, and what its absence is called."""

    parameter: str
    #: the answer is the structure's members; else the structure under the parameter's name
    flat: bool = True
    absent: tuple[str, str] | None = None
    check: Callable[[dict[str, Any]], None] | None = None


class Configurations:
    """Get, put and delete what is kept."""

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets

    def get(self, kept: Kept) -> Callable[[Call], dict[str, Any]]:
        """The operation that reads ``kept``."""

        def run(call: Call) -> dict[str, Any]:
            bucket = self._buckets.existing(call)
            found = setting(bucket, kept.parameter)
            if found is None:
                if kept.absent:
                    code, text = kept.absent
                    raise AwsError(code, text, status=404, fields={"BucketName": bucket.name})
                return {}
            return dict(found) if kept.flat else {kept.parameter: found}

        return run

    def put(self, kept: Kept) -> Callable[[Call], None]:
        """The operation that writes ``kept``."""

        def run(call: Call) -> None:
            given = call.params[kept.parameter]
            if kept.check:
                kept.check(given)
            self._buckets.set(call, kept.parameter, _storable(given))

        return run

    def put_lifecycle(self, call: Call) -> dict[str, Any]:
        """Lifecycle rules come with a header that is kept and given back beside them."""
        given = dict(call.params.get(LIFECYCLE.parameter) or {})
        _lifecycle(given)
        size = {_SMALLEST: call.params.get(_SMALLEST) or "all_storage_classes_128K"}
        self._buckets.set(call, LIFECYCLE.parameter, _storable(given | size))
        return size

    def put_logging(self, call: Call) -> None:
        """No log is written, but where one would go must be there."""
        given = call.params[LOGGING.parameter]
        target = (given.get("LoggingEnabled") or {}).get("TargetBucket")
        if target and not self._buckets.is_there(target):
            text = "The target bucket for logging does not exist"
            raise AwsError("InvalidTargetBucketForLogging", text, status=400, fields={"TargetBucket": target})
        self._buckets.set(call, LOGGING.parameter, given)

    def delete(self, kept: Kept) -> Callable[[Call], None]:
        """The operation that removes ``kept``; an encryption that is removed is the default again."""
        value = {"Rules": DEFAULT_RULES} if kept.parameter == ENCRYPTION else None
        return lambda call: self._buckets.set(call, kept.parameter, value)


def _storable(value: Any) -> Any:
    """The structure with its times as JSON can keep them: epoch seconds."""
    if isinstance(value, dict):
        return {name: _storable(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_storable(item) for item in value]
    return value.timestamp() if isinstance(value, datetime) else value


def _cors(given: dict[str, Any]) -> None:
    _some_rules(given["CORSRules"], "CORSConfiguration")
    for rule in given["CORSRules"]:
        for method in rule["AllowedMethods"]:
            if method not in _METHODS:
                text = f"Found unsupported HTTP method in CORS config. Unsupported method is {method}"
                raise AwsError("InvalidRequest", text, status=400)


def _lifecycle(given: dict[str, Any]) -> None:
    rules = given.get("Rules") or []
    _some_rules(rules, "LifecycleConfiguration")
    ids = [rule["ID"] for rule in rules if rule.get("ID")]
    if len(set(ids)) != len(ids):
        text = "Rule ID must be unique. Found same ID for more than one rule"
        raise AwsError("InvalidArgument", text, status=400)
    for rule in rules:
        # Each rule has one filter (an old one: a prefix) and at least one action.
        if ("Filter" in rule) == ("Prefix" in rule) or not _ACTIONS & rule.keys():
            raise AwsError("MalformedXML", _MALFORMED, status=400)
        rule.setdefault("ID", secrets.token_urlsafe(36))


_ACTIONS = {
    "Expiration", "Transitions", "NoncurrentVersionExpiration", "NoncurrentVersionTransitions",
    "AbortIncompleteMultipartUpload",
}  # fmt: skip


def _some_rules(rules: list[Any], what: str) -> None:
    if not 0 < len(rules) <= _MOST_RULES[what]:
        raise AwsError("MalformedXML", _MALFORMED, status=400)


def _encryption(given: dict[str, Any]) -> None:
    if len(given["Rules"]) != 1:
        raise AwsError("MalformedXML", _MALFORMED, status=400)
    rule = given["Rules"][0]
    default = rule.setdefault("ApplyServerSideEncryptionByDefault", {"SSEAlgorithm": "AES256"})
    if default.get("KMSMasterKeyID") and default["SSEAlgorithm"] == "AES256":
        text = "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse"
        raise AwsError("InvalidArgument", text, status=400)


def _notifications(given: dict[str, Any]) -> None:
    for name, kind in _DESTINATIONS.items():
        if found := given.get(name):
            text = "Unable to validate the following destination configurations"
            fields = {"ArgumentName1": f"{found[0].get(kind, '')}, null", "ArgumentValue1": "Not authorized to invoke"}
            raise AwsError("InvalidArgument", text, status=400, fields=fields)


_DESTINATIONS = {
    "TopicConfigurations": "TopicArn",
    "QueueConfigurations": "QueueArn",
    "LambdaFunctionConfigurations": "LambdaFunctionArn",
}

CORS = Kept(
    "CORSConfiguration", absent=("NoSuchCORSConfiguration", "The CORS configuration does not exist"), check=_cors
)
LIFECYCLE = Kept(
    "LifecycleConfiguration",
    absent=("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist"),
)
DEFAULT_ENCRYPTION = Kept(ENCRYPTION, flat=False, check=_encryption)
LOGGING = Kept("BucketLoggingStatus")
NOTIFICATIONS = Kept("NotificationConfiguration", check=_notifications)
PAYMENT = Kept("RequestPaymentConfiguration")
#: never there: what would have to act is not
REPLICATION = Kept(
    "ReplicationConfiguration",
    flat=False,
    absent=("ReplicationConfigurationNotFoundError", "The replication configuration was not found"),
)
WEBSITE = Kept(
    "WebsiteConfiguration",
    absent=("NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration"),
)
ACCELERATION = Kept("AccelerateConfiguration")

"""What a status says of each thing that was read: its version, how fresh it is, and why it could not be had. Pure.

A row names what the spec names, and the provider's own name of a version; never a value, nor anything computed from
one. ``version`` is what the Secret holds: one that was read and not written is ``seenVersion``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from keyless.api import Reason
from keyless.kube import KubeObject, set_condition, timestamp
from keyless.shared_secrets.stores.model import RemoteRef
from keyless.shared_secrets.stores.resolution import StoreRef

AUTHORIZED = "Authorized"
ALLOWED = "the provider let everything be read that was asked for"
# A version id is its writer's: one that is none as AWS, its SDKs or Terraform make them could be anything, a value too.
_VERSION = re.compile(r"[0-9]{1,10}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|terraform-[0-9]{26}")
_PENDING = frozenset({"InvalidRequestException", "InvalidParameterException"})
_CLASSES = {
    "NotFound": ("ResourceNotFoundException", "ParameterNotFound", "ParameterVersionNotFound"),
    "Denied": (
        "AccessDenied",
        "AccessDeniedException",
        "UnauthorizedOperation",
        "NotAuthorized",
        Reason.KEY_NOT_IN_SCOPE,
    ),
    "Throttled": (
        "ThrottlingException",
        "Throttling",
        "ThrottledException",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "LimitExceededException",
        "KMSThrottlingException",
    ),
    "KMS": ("DecryptionFailure", "EncryptionFailure", "InvalidKeyId", "KMSAccessDeniedException", "KMSInvalidState"),
    "Network": (
        "ConnectionError",
        "Connection",
        "ConnectTimeout",
        "ReadTimeout",
        "EndpointConnection",
        "ConnectionClosed",
        "ProxyConnection",
        "HTTPClient",
        "ResponseParser",
        "SSL",
    ),
    "Credentials": (
        "NoCredentials",
        "CredentialRetrieval",
        "MetadataRetrieval",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "InvalidIdentityToken",
        "UnrecognizedClientException",
        "InvalidSignatureException",
    ),
    "Unavailable": (
        "InternalServiceError",
        "InternalServerError",
        "InternalFailure",
        "InternalError",
        "ServiceUnavailable",
        "ServiceUnavailableException",
    ),
}
_CLASS_OF = {str(code): name for name, codes in _CLASSES.items() for code in codes}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something could not be read: a class that says whose turn it is, and AWS's own code and request id."""

    code: str
    request_id: str = ""
    kms: bool = False

    @property
    def name(self) -> str:
        """Return the class: Denied, NotFound, PendingDeletion, Throttled, KMS, Network, Credentials … or Invalid."""
        if self.kms:
            return "KMS"
        return _CLASS_OF.get(self.code, "PendingDeletion" if self.code in _PENDING else "Invalid")

    @property
    def denied(self) -> bool:
        """Return whether a permission is missing."""
        return self.name == "Denied" or (self.kms and "AccessDenied" in self.code)


@dataclass(frozen=True, slots=True)
class Seen:
    """One thing that was asked for in a refresh; ``remote`` None is a search.

    ``waiting`` is a newer version that was read and is held back.
    """

    store: StoreRef
    remote: RemoteRef | None
    version: str = ""
    age_seconds: float = 0.0
    failure: Failure | None = None
    waiting: str = ""


@dataclass(frozen=True, slots=True)
class Truth:
    """What one refresh found out; ``written`` says whether the Secret holds it."""

    seen: tuple[Seen, ...] = ()
    written: bool = False
    message: str = ""


def rows(before: Iterable[KubeObject] | None, truth: Truth, now: datetime) -> list[KubeObject]:
    """Return ``status.sources``: a row of what this refresh did not come to stays as it was."""
    known = {_key_of(row): row for row in before or ()}
    made = {_key(seen): _row(known.get(_key(seen), {}), seen, truth, now) for seen in truth.seen}
    if truth.written:
        return list(made.values())  # what the spec no longer names is gone
    return [made.get(key, row) for key, row in known.items()] + [row for key, row in made.items() if key not in known]


def _row(before: KubeObject, seen: Seen, truth: Truth, now: datetime) -> KubeObject:
    row = _named(seen)
    version = seen.version if _VERSION.fullmatch(seen.version) else ""
    kept = {name: before[name] for name in ("version", "versionTime") if name in before}
    if seen.failure is not None:
        older = {name: before[name] for name in ("readTime", "seenVersion") if name in before}
        return row | kept | older | {"failure": _failure(before, seen.failure, now)}
    row["readTime"] = timestamp(now - timedelta(seconds=seen.age_seconds))
    held = before.get("version")
    if truth.written:
        since = before.get("versionTime") if version == held else None
        if seen.waiting and seen.waiting != version and _VERSION.fullmatch(seen.waiting):
            row["seenVersion"] = seen.waiting
        return row | ({"version": version, "versionTime": since or row["readTime"]} if version else {})
    return row | kept | ({"seenVersion": version} if version and version != held else {})


def _failure(before: KubeObject, failure: Failure, now: datetime) -> KubeObject:
    old = before.get("failure") or {}
    same = (old.get("class"), old.get("code")) == (failure.name, failure.code)
    told = {"class": failure.name, "code": failure.code, "requestID": failure.request_id}
    # Since when it fails this way: the request's id is the last one's.
    told["since"] = old["since"] if same and old.get("since") else timestamp(now)
    return {name: value for name, value in told.items() if value}


def authorized(before: Any, truth: Truth, now: datetime) -> Any:
    """Return the conditions with ``Authorized``: told by real reads alone, so other failures leave it as it is."""
    denied = [seen for seen in truth.seen if seen.failure and seen.failure.denied]
    if denied and denied[0].failure:
        return set_condition(before, AUTHORIZED, False, denied[0].failure.code, truth.message, now=now)
    if truth.seen and not any(seen.failure for seen in truth.seen):
        return set_condition(before, AUTHORIZED, True, Reason.READ_ALLOWED, ALLOWED, now=now)
    return before


def _named(seen: Seen) -> KubeObject:
    row: KubeObject = {"store": seen.store.name, "storeKind": seen.store.kind}
    if seen.remote is None:
        return row | {"find": True}
    row["key"] = seen.remote.key
    if seen.remote.version:
        row["requestedVersion"] = seen.remote.version
    return row | ({"metadata": True} if seen.remote.metadata else {})


def _key(seen: Seen) -> tuple[Any, ...]:
    return _key_of(_named(seen))


def _key_of(row: KubeObject) -> tuple[Any, ...]:
    named = ("store", "storeKind", "key", "requestedVersion", "metadata", "find")
    return tuple(row.get(name) for name in named)

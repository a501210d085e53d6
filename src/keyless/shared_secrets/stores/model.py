"""Stores as values: the provider that a store's spec names, and what was read from it. Pure.

Fields: https://external-secrets.io/latest/provider/aws-secrets-manager/ and .../aws-parameter-store/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from keyless.api import Permanent, Reason
from keyless.shared_secrets.durations import seconds_of

SECRETS_MANAGER, PARAMETER_STORE = "SecretsManager", "ParameterStore"
CONTROLLER_CLASS = "keyless"
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]+")


class StoreFault(Permanent):
    """A store that cannot be used as it is; ``reason`` is External Secrets' word, the text says what to change."""

    def __init__(self, reason: str, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.reason, self.code = reason, code


class SecretMissing(Permanent):
    """The provider has no such secret (or parameter, or version); feeds the deletion policy."""

    def __init__(self, message: str, *, code: str, request_id: str) -> None:
        super().__init__(message)
        self.message, self.code, self.request_id = message, code, request_id


@dataclass(frozen=True, slots=True)
class KeyRef:
    """One key of a Kubernetes Secret; an empty ``namespace`` means the reader's own."""

    name: str
    key: str
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class StaticAuth:
    """Keys kept in Secrets."""

    access_key_id: KeyRef
    secret_access_key: KeyRef
    session_token: KeyRef | None = None


@dataclass(frozen=True, slots=True)
class ServiceAccountAuth:
    """A token of a service account, exchanged at STS."""

    name: str
    namespace: str = ""
    audiences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AwsProvider:
    """``spec.provider.aws``; ``auth`` None is the controller's own identity."""

    service: str
    region: str
    auth: StaticAuth | ServiceAccountAuth | None = None
    role: str = ""
    additional_roles: tuple[str, ...] = ()
    external_id: str = ""
    session_tags: tuple[tuple[str, str], ...] = ()
    transitive_tag_keys: tuple[str, ...] = ()
    prefix: str = ""
    force_delete: bool = False
    recovery_days: int = 0
    """How what a PushSecret made is deleted: at once, or after so many days (0: AWS's thirty)."""


@dataclass(frozen=True, slots=True)
class RetrySettings:
    """``spec.retrySettings``: reads are tried again so often, after so many seconds each."""

    max_retries: int = 0
    interval_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class SharedProvider:
    """``spec.provider.upboundspaces``: a shared store of the Space, whose credentials stay outside."""

    shared_store: str


@dataclass(frozen=True, slots=True)
class RemoteRef:
    """What to read: ``key`` is the remote name without the store's prefix."""

    key: str
    version: str = ""
    metadata: bool = False


@dataclass(frozen=True, slots=True)
class Search:
    """What to look for: names that begin with ``path``, and carry each of ``tags`` as it stands here."""

    path: str = ""
    tags: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Payload:
    """What was read; the representation hides it. ``version`` names the provider's version."""

    text: str | None = field(default=None, repr=False)
    binary: bytes | None = field(default=None, repr=False)
    version: str = ""

    def plain(self) -> bytes:
        """Return the value when no property is asked for: the string wins."""
        if self.text is None:
            return self.binary or b""
        # Half a surrogate pair has no UTF-8: U+FFFD stands for it, as Go's reader of AWS's answer puts.
        return self.text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()

    def structured(self) -> bytes:
        """Return the value that a property is looked up in: the binary wins."""
        return self.binary if self.binary is not None else self.plain()


def provider_of(spec: Mapping[str, Any]) -> AwsProvider | SharedProvider:
    """Read ``spec.provider``; raises ``StoreFault``."""
    provider = spec.get("provider") or {}
    shared = provider.get("upboundspaces")
    if isinstance(shared, Mapping):
        name = (shared.get("storeRef") or {}).get("name")
        if not name:
            raise StoreFault(Reason.INVALID_PROVIDER_CONFIG, "provider.upboundspaces.storeRef.name is missing")
        return SharedProvider(str(name))
    aws = provider.get("aws")
    if not isinstance(aws, Mapping):
        found = ", ".join(sorted(provider)) or "none"
        raise StoreFault(Reason.INVALID_PROVIDER_CONFIG, f"spec.provider: expected aws, found {found}")
    return _aws(aws)


def retries_of(spec: Mapping[str, Any]) -> RetrySettings:
    """Read ``spec.retrySettings``; raises ``StoreFault``."""
    settings = spec.get("retrySettings") or {}
    said = str(settings.get("retryInterval") or "0")
    try:
        seconds = seconds_of(said)
    except ValueError as error:
        raise StoreFault(Reason.INVALID_STORE_CONFIGURATION, f"retrySettings.retryInterval: {error}") from None
    return RetrySettings(max(0, int(settings.get("maxRetries") or 0)), max(0.0, seconds))


def is_ours(spec: Mapping[str, Any]) -> bool:
    """Return whether a store is of our class: none, or the one that is named after us. Another is left alone."""
    return (spec.get("controller") or "") in {"", CONTROLLER_CLASS}


def _aws(aws: Mapping[str, Any]) -> AwsProvider:
    service, region = str(aws.get("service", "")), str(aws.get("region", ""))
    if service not in {SECRETS_MANAGER, PARAMETER_STORE}:
        raise StoreFault(
            Reason.INVALID_PROVIDER_CONFIG,
            f"provider.aws.service: expected {SECRETS_MANAGER} or {PARAMETER_STORE}, found {service!r}",
        )
    if not _REGION.fullmatch(region):
        raise StoreFault(Reason.INVALID_PROVIDER_CONFIG, f"provider.aws.region: expected a region, found {region!r}")
    manager = aws.get("secretsManager") or {}
    return AwsProvider(
        service=service,
        region=region,
        auth=auth_of(aws.get("auth") or {}),
        role=str(aws.get("role") or ""),
        additional_roles=tuple(aws.get("additionalRoles") or ()),
        external_id=str(aws.get("externalID") or ""),
        session_tags=tuple((tag["key"], tag["value"]) for tag in aws.get("sessionTags") or ()),
        transitive_tag_keys=tuple(aws.get("transitiveTagKeys") or ()),
        prefix=str(aws.get("prefix") or ""),
        force_delete=bool(manager.get("forceDeleteWithoutRecovery")),
        recovery_days=int(manager.get("recoveryWindowInDays") or 0),
    )


def auth_of(auth: Mapping[str, Any]) -> StaticAuth | ServiceAccountAuth | None:
    """Read a provider's ``auth``; raises ``StoreFault``."""
    static, account = auth.get("secretRef"), (auth.get("jwt") or {}).get("serviceAccountRef")
    if static and account:
        raise StoreFault(Reason.INVALID_PROVIDER_CONFIG, "provider.aws.auth: give jwt or secretRef, not both")
    if account:
        name, namespace = str(account.get("name", "")), str(account.get("namespace") or "")
        return ServiceAccountAuth(name, namespace, tuple(account.get("audiences") or ()))
    if static:
        token = static.get("sessionTokenSecretRef")
        return StaticAuth(
            _key_ref(static.get("accessKeyIDSecretRef"), "accessKeyIDSecretRef"),
            _key_ref(static.get("secretAccessKeySecretRef"), "secretAccessKeySecretRef"),
            _key_ref(token, "sessionTokenSecretRef") if token else None,
        )
    return None


def _key_ref(ref: Mapping[str, Any] | None, what: str) -> KeyRef:
    if not ref or not ref.get("name") or not ref.get("key"):
        raise StoreFault(Reason.INVALID_PROVIDER_CONFIG, f"provider.aws.auth.secretRef.{what}: name and key are needed")
    return KeyRef(str(ref["name"]), str(ref["key"]), str(ref.get("namespace") or ""))

"""From a store's ``auth`` to a session, kept per full chain of credentials.

The key names everything that decides whose credentials they are: source, region, roles, external id, tags. So two
stores with the same chain share one STS session an hour, and no two chains ever share one.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from keyless.api import Arn, Reason
from keyless.aws import Keys, RoleRequest, Session, by_web_identity, chained
from keyless.kube import Kube, NotFound
from keyless.kube.resources import SECRETS, SERVICEACCOUNTS
from keyless.shared_secrets.stores.metered import Caller
from keyless.shared_secrets.stores.model import AwsProvider, KeyRef, ServiceAccountAuth, StaticAuth, StoreFault

SESSION_NAME = "external-secrets-provider-aws"
ROLE_ANNOTATION, AUDIENCE_ANNOTATION = "eks.amazonaws.com/role-arn", "eks.amazonaws.com/audience"
DEFAULT_AUDIENCE = "sts.amazonaws.com"
TOKEN_SECONDS = 3600
MAX_CHAINS = 500
_KUBE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a store's references live: ``name`` is ``host`` or ``tenant``."""

    name: str
    kube: Kube


@dataclass(frozen=True, slots=True)
class Opened:
    """A session and the name of its chain.

    ``by_controller``: the chain begins with this pod's own identity; ``of_space``: or with others of the Space's.
    ``account`` is that of the chain's last role, empty where none is named.
    """

    session: Caller
    identity: str
    by_controller: bool
    of_space: bool = False
    account: str = ""


class Sessions:
    """``own`` is the pod's own identity; ``own_account`` its service account in the host, as (namespace, name)."""

    def __init__(self, own: Session, own_account: tuple[str, str]) -> None:
        self._own = own
        self._own_account = own_account
        self._chains: OrderedDict[str, Session] = OrderedDict()

    async def open(self, provider: AwsProvider, place: Place) -> Opened:
        """Return the session for a provider whose references carry namespaces; raises ``StoreFault``."""
        base, make = await self._base(provider, place)
        requests = _role_requests(provider)
        identity = hashlib.sha256(repr((base, provider.region, requests)).encode()).hexdigest()[:32]
        session = self._chains.get(identity)
        if session is None:
            session = self._chains[identity] = chained(make(), requests)
        self._chains.move_to_end(identity)
        while len(self._chains) > MAX_CHAINS:
            self._chains.popitem(last=False)
        own = base == "pod" or (place.name == "host" and self._is_own(provider))
        role = provider.role or next(iter(provider.additional_roles[-1:]), "") or _annotated(base)
        return Opened(session, identity, own, place.name == "host" or own, _account(role))

    def _is_own(self, provider: AwsProvider) -> bool:
        auth = provider.auth
        return isinstance(auth, ServiceAccountAuth) and (auth.namespace, auth.name) == self._own_account

    async def _base(self, provider: AwsProvider, place: Place) -> tuple[object, Callable[[], Session]]:
        region = provider.region
        match provider.auth:
            case StaticAuth() as auth:
                keys = await _static_keys(auth, place)
                digest = hashlib.sha256(
                    f"{keys.access_key_id}\0{keys.secret_access_key}\0{keys.session_token}".encode()
                )
                return ("static", digest.hexdigest()), lambda: Session.with_keys(keys, region=region)
            case ServiceAccountAuth() as auth:
                return await self._service_account(auth, place, region)
            case _:
                return "pod", lambda: self._own.in_region(region)

    async def _service_account(
        self, auth: ServiceAccountAuth, place: Place, region: str
    ) -> tuple[object, Callable[[], Session]]:
        try:
            account = await place.kube.get(SERVICEACCOUNTS, auth.name, auth.namespace)
        except NotFound as error:
            raise _fault(f"serviceaccount {auth.namespace}/{auth.name} does not exist") from error
        annotations = account["metadata"].get("annotations") or {}
        role = annotations.get(ROLE_ANNOTATION, "")
        if not role:
            if place.name == "host" and (auth.namespace, auth.name) == self._own_account:
                # Our own service account: with Pod Identity it carries no annotation, and the pod has its credentials.
                return "pod", lambda: self._own.in_region(region)
            raise _fault(
                f"serviceaccount {auth.namespace}/{auth.name} has no annotation {ROLE_ANNOTATION}; "
                "annotate it, or leave auth out to use the controller's own identity"
            )
        audiences = (annotations.get(AUDIENCE_ANNOTATION) or DEFAULT_AUDIENCE, *auth.audiences)
        fetch = _token_fetcher(place.kube, auth, audiences)
        key = ("serviceaccount", place.name, account["metadata"].get("uid", ""), role, audiences)

        def make() -> Session:
            credentials = by_web_identity(fetch, role_arn=role, session_name=SESSION_NAME, region=region)
            return Session.with_credentials(credentials, region=region)

        return key, make


def _annotated(base: object) -> str:
    """The role of a service account, as its annotation names it."""
    return str(base[3]) if isinstance(base, tuple) and base[0] == "serviceaccount" else ""


def _account(role: str) -> str:
    try:
        return Arn.parse(role).account
    except ValueError:
        return ""


def _token_fetcher(kube: Kube, auth: ServiceAccountAuth, audiences: tuple[str, ...]) -> Callable[[], str]:
    """Return a blocking fetch for the pool's threads; requests run on the loop that owns the connection."""
    loop = asyncio.get_running_loop()

    def fetch() -> str:
        asked = kube.token(auth.name, auth.namespace, audiences=audiences, expiration_seconds=TOKEN_SECONDS)
        return asyncio.run_coroutine_threadsafe(asked, loop).result(_KUBE_SECONDS).token

    return fetch


def _role_requests(provider: AwsProvider) -> tuple[RoleRequest, ...]:
    before = tuple(RoleRequest(role, SESSION_NAME) for role in provider.additional_roles)
    if not provider.role:
        return before
    last = RoleRequest(
        provider.role, SESSION_NAME, provider.external_id, provider.session_tags, provider.transitive_tag_keys
    )
    return (*before, last)


async def _static_keys(auth: StaticAuth, place: Place) -> Keys:
    token = await _secret_value(auth.session_token, place) if auth.session_token else ""
    return Keys(
        await _secret_value(auth.access_key_id, place), await _secret_value(auth.secret_access_key, place), token
    )


async def _secret_value(ref: KeyRef, place: Place) -> str:
    try:
        secret = await place.kube.get(SECRETS, ref.name, ref.namespace)
    except NotFound as error:
        raise _fault(f"secret {ref.namespace}/{ref.name} does not exist") from error
    encoded = (secret.get("data") or {}).get(ref.key)
    if encoded is None:
        raise _fault(f"secret {ref.namespace}/{ref.name} has no key {ref.key}")
    try:
        value = base64.b64decode(encoded).decode().strip()
    except (binascii.Error, UnicodeDecodeError):
        raise _fault(f"secret {ref.namespace}/{ref.name}, key {ref.key}: the value is no text") from None
    if not value:
        # With half a key an SDK might look for the other half elsewhere: in this pod.
        raise _fault(f"secret {ref.namespace}/{ref.name}, key {ref.key}: the value is empty")
    return value


def _fault(message: str) -> StoreFault:
    return StoreFault(Reason.INVALID_PROVIDER_CONFIG, message)

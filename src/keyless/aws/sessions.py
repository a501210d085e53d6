"""Sessions: whose credentials a call is signed with, in which region.

``Session.from_environment`` is botocore's default chain of this process: static keys, web identity, container
credentials (Pod Identity), instance metadata. ``Session.with_credentials`` carries credentials from elsewhere, such as
an assumed role. Both keep credentials until botocore finds that they must be renewed, so that any number of calls
costs one STS request an hour. A chain that found nothing is asked again at the next call.

Calls run in one bounded pool of threads: botocore blocks. See ``errors`` for what they raise.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import botocore.session
from botocore.config import Config
from botocore.credentials import CredentialProvider, CredentialResolver, Credentials, DeferredRefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from botocore.parsers import ResponseParserError
from botocore.utils import parse_to_aware_datetime

from keyless.aws.errors import failure
from keyless.aws.models import lean_loader

T = TypeVar("T")
_RAISED = (BotoCoreError, ClientError, ResponseParserError, ValueError, OSError)
"""All that botocore raises; a page in place of an answer is no ``BotoCoreError``."""

POOL_SIZE = 8
DEFAULT_REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class Keys:
    """A set of credentials as it stands now; ``expires_at`` is None for static keys. Its repr hides the secrets."""

    access_key_id: str
    secret_access_key: str
    session_token: str = ""
    expires_at: datetime | None = None

    def __repr__(self) -> str:
        return f"Keys(access_key_id={self.access_key_id!r}, expires_at={self.expires_at})"


class Session:
    """Credentials and a region; makes and keeps one botocore service object per service."""

    def __init__(
        self,
        make: Callable[[], botocore.session.Session],
        region: str,
        endpoints: Mapping[str, str] | None = None,
    ) -> None:
        self.region = region
        self._make = make
        self._endpoints = endpoints or {}
        self._lock = threading.Lock()
        self._resolved: botocore.session.Session | None = None
        self._services: dict[str, Any] = {}

    @classmethod
    def from_environment(
        cls, environ: Mapping[str, str], *, region: str = "", endpoints: Mapping[str, str] | None = None
    ) -> Session:
        """Use this process's default chain; the region is ``region``, else AWS_REGION, else AWS_DEFAULT_REGION.

        ``endpoints`` are URLs by service name, over what the SDK finds by itself.
        """
        chosen = region or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or DEFAULT_REGION
        return cls(functools.partial(_botocore_session, chosen), chosen, endpoints)

    @classmethod
    def with_credentials(
        cls, credentials: Credentials, *, region: str, endpoints: Mapping[str, str] | None = None
    ) -> Session:
        """Sign with ``credentials`` (static, or refreshable as :func:`refreshing` makes them)."""
        return cls(functools.partial(_botocore_session, region, credentials), region, endpoints)

    @classmethod
    def with_keys(cls, keys: Keys, *, region: str, endpoints: Mapping[str, str] | None = None) -> Session:
        """Sign with a fixed set of keys."""
        static = Credentials(keys.access_key_id, keys.secret_access_key, keys.session_token or None)
        return cls.with_credentials(static, region=region, endpoints=endpoints)

    def in_region(self, region: str) -> Session:
        """Return a session with the same credentials in another region; renewals are shared."""
        if region == self.region:
            return self
        return Session(lambda: _botocore_session(region, self._credentials()), region, self._endpoints)

    async def call(self, service: str, operation: str, /, **params: Any) -> dict[str, Any]:
        """Call ``operation`` (its API name, as ``GetSecretValue``); raises ``AwsTransient`` or ``AwsPermanent``."""
        return await in_pool(functools.partial(self.call_blocking, service, operation, **params))

    def call_blocking(self, service: str, operation: str, /, **params: Any) -> dict[str, Any]:
        """Do what :meth:`call` does in the calling thread: for credential chains, which botocore resolves so."""
        try:
            made = self._service(service)
            answer: dict[str, Any] = getattr(made, botocore.xform_name(operation))(**params)
        except _RAISED as error:
            raise failure(operation, error) from error
        return answer

    @property
    def ca_bundle(self) -> str:
        """The file of authorities that AWS_CA_BUNDLE or the profile names; empty: the SDK's own."""
        return str(self._make().get_config_variable("ca_bundle") or "")

    async def service(self, name: str) -> Any:
        """Return the botocore service object (signed by this session), for :func:`call`."""
        return await in_pool(functools.partial(self.service_blocking, name))

    async def keys(self) -> Keys:
        """Return the credentials as they stand, renewed if they must be."""
        return await in_pool(self.keys_blocking)

    def keys_blocking(self) -> Keys:
        """Do what :meth:`keys` does in the calling thread."""
        try:
            credentials = self._credentials()
            frozen = credentials.get_frozen_credentials()
        except _RAISED as error:
            raise failure("credentials", error) from error
        expires_at = getattr(credentials, "_expiry_time", None)  # botocore publishes it nowhere else
        return Keys(frozen.access_key, frozen.secret_key, frozen.token or "", expires_at)

    def service_blocking(self, name: str, *, config: Config | None = None) -> Any:
        """Do what :meth:`service` does in the calling thread; ``config`` holds for all calls of that service."""
        try:
            return self._service(name, config)
        except _RAISED as error:
            raise failure("credentials", error) from error

    def _service(self, name: str, config: Config | None = None) -> Any:
        session = self._session()
        with self._lock:
            if name not in self._services:
                self._services[name] = session.create_client(
                    name, config=_CONFIG.merge(config) if config else _CONFIG, endpoint_url=self._endpoints.get(name)
                )
            return self._services[name]

    def _credentials(self) -> Credentials:
        return self._session().get_credentials()

    def _session(self) -> botocore.session.Session:
        # Kept only once it has credentials: botocore would keep "there are none" for the life of the object.
        with self._lock:
            if self._resolved is None:
                session = self._make()
                if session.get_credentials() is None:
                    raise NoCredentialsError
                self._resolved = session
            return self._resolved


def refreshing(fetch: Callable[[], Keys], *, method: str) -> Credentials:
    """Return credentials that call ``fetch`` (blocking, in the calling thread) when none are held or they run out."""

    def refresh() -> dict[str, str]:
        keys = fetch()
        if keys.expires_at is None:
            raise ValueError(f"{method} returned credentials without an expiry")
        return {
            "access_key": keys.access_key_id,
            "secret_key": keys.secret_access_key,
            "token": keys.session_token,
            "expiry_time": keys.expires_at.isoformat(),
        }

    return DeferredRefreshableCredentials(refresh, method)


def keys_of(answer: Mapping[str, Any]) -> Keys:
    """Read the ``Credentials`` of an STS answer."""
    found = answer["Credentials"]
    expires = found["Expiration"]
    return Keys(
        found["AccessKeyId"],
        found["SecretAccessKey"],
        found.get("SessionToken", ""),
        expires if isinstance(expires, datetime) else parse_to_aware_datetime(expires),
    )


async def call(service: Any, operation: str, /, **params: Any) -> dict[str, Any]:
    """Call a botocore service object made elsewhere, in the pool, with failures mapped."""

    def run() -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(service, botocore.xform_name(operation))(**params)
        except _RAISED as error:
            raise failure(operation, error) from error
        return answer

    return await in_pool(run)


async def in_pool(work: Callable[[], T]) -> T:
    """Run blocking AWS work in the bounded pool."""
    return await asyncio.get_running_loop().run_in_executor(_pool(), work)


@functools.cache
def _pool() -> ThreadPoolExecutor:
    # Made at first use: threads do not survive a fork, and components are forked from a preloaded parent.
    return ThreadPoolExecutor(max_workers=POOL_SIZE, thread_name_prefix="aws")


_CONFIG = Config(
    connect_timeout=5,
    read_timeout=20,
    max_pool_connections=POOL_SIZE,
    retries={"mode": "standard", "total_max_attempts": 3},
)


@functools.cache
def shared_loader() -> Any:
    """Return the one loader of service models: they are large and the same for every session."""
    return lean_loader()


class _Given(CredentialProvider):  # type: ignore[misc]  # botocore is untyped
    METHOD = "given"
    CANONICAL_NAME = "given"

    def __init__(self, credentials: Credentials) -> None:
        super().__init__()
        self._given = credentials

    def load(self) -> Credentials:
        return self._given


def _botocore_session(region: str, credentials: Credentials | None = None) -> botocore.session.Session:
    session = botocore.session.Session()
    session.register_component("data_loader", shared_loader())
    # botocore itself reads AWS_DEFAULT_REGION only; the webhook may set either.
    session.set_config_variable("region", region)
    if credentials is not None:
        session.register_component("credential_provider", CredentialResolver([_Given(credentials)]))
    return session

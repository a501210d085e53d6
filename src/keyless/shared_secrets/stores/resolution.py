"""From a store's name to a reader: which store, may this namespace use it, with whose credentials.

A store in the control plane resolves its references there. One that names a shared store of the Space resolves in the
Space: Secrets in the group, service accounts in the host namespace; and only if that shared store selects this control
plane and this namespace, whoever wrote the ClusterSecretStore.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from keyless.api import Reason
from keyless.kube import KubeObject
from keyless.shared_secrets.stores.batching import Batchers
from keyless.shared_secrets.stores.metered import Calls
from keyless.shared_secrets.stores.model import (
    AwsProvider,
    RetrySettings,
    ServiceAccountAuth,
    SharedProvider,
    StoreFault,
    is_ours,
    provider_of,
    retries_of,
)
from keyless.shared_secrets.stores.plan import allows_namespace, is_referent, reference_namespaces, selects
from keyless.shared_secrets.stores.ports import Reader
from keyless.shared_secrets.stores.readers import open_reader
from keyless.shared_secrets.stores.scopes import Scope, prefixes_of
from keyless.shared_secrets.stores.scoping import Bounds, RetryingReader, ScopedReader
from keyless.shared_secrets.stores.sessions import Opened, Place, Sessions

SECRET_STORE, CLUSTER_SECRET_STORE = "SecretStore", "ClusterSecretStore"


@dataclass(frozen=True, slots=True)
class StoreRef:
    """``secretStoreRef``; the kind defaults to SecretStore."""

    name: str
    kind: str = SECRET_STORE


class Facts(Protocol):
    """The objects that decide, as last seen."""

    def store(self, ref: StoreRef, namespace: str) -> KubeObject | None:
        """Return the store of the control plane."""
        ...

    def shared_store(self, name: str) -> KubeObject | None:
        """Return the SharedSecretStore of the group."""
        ...

    def control_plane(self) -> KubeObject | None:
        """Return this controller's ControlPlane."""
        ...

    def namespace_labels(self, name: str) -> Mapping[str, str]:
        """Return a namespace's labels in the control plane."""
        ...


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome of validating a store that has no fault."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Use:
    """A store as a namespace may use it: with whose credentials, and within which keys (None: any)."""

    opened: Opened
    provider: AwsProvider
    retries: RetrySettings
    bounds: Bounds | None


@dataclass(frozen=True, slots=True)
class StorePolicy:
    """What the platform lets stores do with its own credentials. ``scopes`` None: every key, as the role allows."""

    tenant_stores_may_use_controller_identity: bool = False
    scopes: tuple[Scope, ...] | None = None


STRICT = StorePolicy()
NO_AUTH = (
    "provider.aws.auth is missing: a store that is made in the control plane brings its own credentials (auth.jwt or "
    "auth.secretRef); what the Space shares is read through its SharedSecretStore (or the platform sets the Helm value "
    "controlPlanes.sharedSecrets.tenantStoresMayUseControllerIdentity=true)"
)


def _require_cluster_wide(kind: str) -> None:
    # Only the projection of a shared store carries this provider, and it is a ClusterSecretStore.
    if kind != CLUSTER_SECRET_STORE:
        text = "provider.upboundspaces: only a ClusterSecretStore refers to a shared store"
        raise StoreFault(Reason.INVALID_PROVIDER_CONFIG, text)


class Stores:
    """Opens stores. ``group`` and ``host_namespace`` are where shared stores' references live."""

    def __init__(
        self,
        facts: Facts,
        sessions: Sessions,
        *,
        tenant: Place,
        host: Place,
        group: str,
        host_namespace: str,
        policy: StorePolicy = STRICT,
        batchers: Batchers | None = None,
        calls: Calls | None = None,
    ) -> None:
        self._facts, self._policy, self._batchers, self._calls = facts, policy, batchers, calls
        self._sessions = sessions
        self._tenant, self._host = tenant, host
        self._group, self._host_namespace = group, host_namespace

    async def open(self, ref: StoreRef, namespace: str) -> Reader:
        """Return a reader for an ExternalSecret in ``namespace``; raises ``StoreFault`` and what AWS or the API say."""
        found = await self.use(ref, namespace)
        reader = open_reader(found.opened, found.provider, self._batchers)
        if found.retries.max_retries:
            reader = RetryingReader(reader, found.retries)
        if found.bounds is None:
            return reader
        return ScopedReader(reader, found.opened.session, found.provider, found.bounds)

    async def use(self, ref: StoreRef, namespace: str) -> Use:
        """Return a store as ``namespace`` may use it; raises as ``open``."""
        store = self._facts.store(ref, namespace)
        if store is None:
            raise StoreFault(Reason.INVALID_STORE_CONFIGURATION, f"{ref.kind} {ref.name!r} does not exist")
        spec = store.get("spec") or {}
        if not is_ours(spec):
            text = (
                f"{ref.kind} {ref.name!r} is of controller class {spec['controller']!r}: another controller serves it"
            )
            raise StoreFault(Reason.INVALID_STORE_CONFIGURATION, text)
        labels = self._facts.namespace_labels(namespace)
        cluster_wide = ref.kind == CLUSTER_SECRET_STORE
        if cluster_wide and not allows_namespace(spec, namespace, labels):
            raise StoreFault(
                Reason.INVALID_STORE_CONFIGURATION,
                f"using {ref.kind} {ref.name!r} is not allowed from namespace {namespace!r}: denied by spec.conditions",
            )
        provider, retries = provider_of(spec), retries_of(spec)
        if isinstance(provider, SharedProvider):
            _require_cluster_wide(ref.kind)
            shared = self._shared(provider.shared_store)
            if not selects(shared["spec"].get("namespaceSelector"), namespace, labels):
                raise StoreFault(
                    Reason.INVALID_STORE_CONFIGURATION,
                    f"SharedSecretStore {provider.shared_store!r} does not select namespace {namespace!r}",
                )
            aws, place = self._shared_provider(shared)
        else:
            aws = reference_namespaces(self._own(provider), cluster_wide=cluster_wide, namespace=namespace)
            place = self._tenant
        opened = await self._opened(aws, place)
        return Use(opened, aws, retries, self._bounds(opened, namespace))

    async def open_generator(self, provider: AwsProvider, namespace: str) -> Opened:
        """Return the session of a generator in ``namespace``: as a SecretStore there, it brings its own credentials."""
        aws = reference_namespaces(self._own(provider), cluster_wide=False, namespace=namespace)
        return await self._opened(aws, self._tenant)

    async def _opened(self, aws: AwsProvider, place: Place) -> Opened:
        opened = await self._sessions.open(aws, place)
        if self._calls is None:
            return opened
        return replace(opened, session=self._calls.of(opened.session, opened.account, aws.region))

    def _own(self, provider: AwsProvider) -> AwsProvider:
        """A store that was made in the control plane: it brings credentials of its own, unless the Space lends its."""
        if provider.auth is None and not self._policy.tenant_stores_may_use_controller_identity:
            raise StoreFault(Reason.INVALID_PROVIDER_CONFIG, NO_AUTH)
        return provider

    def _bounds(self, opened: Opened, namespace: str) -> Bounds | None:
        # A tenant's own credentials are bounded by their own policies.
        if not (opened.of_space or opened.by_controller) or self._policy.scopes is None:
            return None
        return Bounds(namespace, prefixes_of(self._policy.scopes, namespace))

    async def check(self, store: KubeObject) -> Checked:
        """Validate a store as External Secrets does: can credentials be had. No secret is read."""
        spec = store.get("spec") or {}
        provider = provider_of(spec)
        retries_of(spec)
        if isinstance(provider, SharedProvider):
            _require_cluster_wide(store["kind"])
            aws, place = self._shared_provider(self._shared(provider.shared_store))
        elif store["kind"] == CLUSTER_SECRET_STORE and is_referent(provider):
            return Checked(
                Reason.STORE_VALIDATION_UNKNOWN, "could not validate store: credentials are the ExternalSecrets' own"
            )
        else:
            namespace = store["metadata"].get("namespace", "")
            cluster_wide = store["kind"] == CLUSTER_SECRET_STORE
            aws = reference_namespaces(self._own(provider), cluster_wide=cluster_wide, namespace=namespace)
            place = self._tenant
        opened: Opened = await self._sessions.open(aws, place)
        await opened.session.keys()
        return Checked(Reason.STORE_VALID, "store validated")

    def _shared(self, name: str) -> KubeObject:
        shared, control_plane = self._facts.shared_store(name), self._facts.control_plane()
        if shared is None or control_plane is None:
            raise StoreFault(Reason.INVALID_PROVIDER_CONFIG, f"SharedSecretStore {name!r} does not exist in the group")
        metadata = control_plane["metadata"]
        if not selects(shared["spec"].get("controlPlaneSelector"), metadata["name"], metadata.get("labels") or {}):
            raise StoreFault(
                Reason.INVALID_PROVIDER_CONFIG,
                f"SharedSecretStore {name!r} does not select control plane {metadata['name']!r}",
            )
        return shared

    def _shared_provider(self, shared: KubeObject) -> tuple[AwsProvider, Place]:
        provider = provider_of(shared["spec"])
        if isinstance(provider, SharedProvider):
            raise StoreFault(Reason.INVALID_PROVIDER_CONFIG, "a SharedSecretStore cannot refer to another one")
        auth = provider.auth
        if isinstance(auth, ServiceAccountAuth):
            # A service account of a shared store is that of the same name in each host namespace.
            return replace(provider, auth=replace(auth, namespace=self._host_namespace)), self._host
        return reference_namespaces(provider, cluster_wide=False, namespace=self._group), self._host

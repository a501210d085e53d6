"""The loop for ClusterExternalSecrets: one ExternalSecret in every chosen namespace, and a status that names each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from keyless.api import Reason, Transient
from keyless.kube import ApiError, Kube, KubeObject, Name, NotFound, set_condition
from keyless.kube.resources import CLUSTEREXTERNALSECRETS, EXTERNALSECRETS
from keyless.shared_secrets.durations import seconds_of
from keyless.shared_secrets.stores.classes import FindStore, serves
from keyless.shared_secrets.stores.resolution import CLUSTER_SECRET_STORE, StoreRef
from keyless.shared_secrets.sync.answers import of_kubernetes
from keyless.shared_secrets.sync.cluster_plan import FAILED, Spread, spread

FIELD_MANAGER = "external-secrets-cluster"
DEFAULT_SECONDS = 3600.0


class NotSpread(Transient):
    """Some namespaces failed; the status names them."""


class ClusterController:
    """``namespaces`` and ``existing`` read the informers."""

    def __init__(
        self,
        kube: Kube,
        namespaces: Callable[[], Iterable[KubeObject]],
        existing: Callable[[], Iterable[KubeObject]],
        now: Callable[[], datetime],
        store: FindStore,
    ) -> None:
        self._kube, self._namespaces, self._existing, self._now = kube, namespaces, existing, now
        self._store = store

    async def reconcile(self, key: Name) -> float | None:
        """Spread one; returns the seconds to the next look at the namespaces."""
        try:
            cluster = await self._kube.get(CLUSTEREXTERNALSECRETS, key.name)
        except NotFound:
            return None
        if cluster["metadata"].get("deletionTimestamp"):
            return None
        external_secret = cluster["spec"].get("externalSecretSpec") or {}
        if not serves(external_secret, "", self._cluster_store):
            return None  # another controller's: its status is not ours to write
        plan = spread(cluster, self._served(external_secret, self._namespaces()), self._existing())
        if not (plan.apply or plan.refused) and spread(cluster, self._namespaces(), ()).apply:
            return None  # in every chosen namespace the store is another controller's
        failed = dict(plan.refused)
        for item in plan.delete:
            # What another controller spread for the same ClusterExternalSecret has the same owner as ours.
            if serves(item.get("spec") or {}, item["metadata"]["namespace"], self._store):
                await self._delete(item)
        for item in plan.apply:
            if reason := await self._apply(item):
                failed[item["metadata"]["namespace"]] = reason
        await self._say(cluster, plan, failed)
        if failed:
            raise NotSpread(f"ClusterExternalSecret {key.name}: {FAILED}: {', '.join(sorted(failed))}")
        return _refresh_seconds(cluster["spec"])

    def _served(self, external_secret: KubeObject, spaces: Iterable[KubeObject]) -> list[KubeObject]:
        return [space for space in spaces if serves(external_secret, space["metadata"]["name"], self._store)]

    def _cluster_store(self, ref: StoreRef, namespace: str) -> KubeObject | None:
        return self._store(ref, namespace) if ref.kind == CLUSTER_SECRET_STORE else None

    async def _apply(self, item: KubeObject) -> str:
        try:
            await self._kube.apply(EXTERNALSECRETS, item, field_manager=FIELD_MANAGER)
        except ApiError as error:
            return f"could not apply the ExternalSecret: {of_kubernetes(error)}"
        return ""

    async def _delete(self, item: KubeObject) -> None:
        metadata = item["metadata"]
        try:
            await self._kube.delete(EXTERNALSECRETS, metadata["name"], metadata["namespace"], uid=metadata["uid"])
        except NotFound:
            return

    async def _say(self, cluster: KubeObject, plan: Spread, failed: dict[str, str]) -> None:
        status = cluster.get("status") or {}
        message = FAILED if failed else ""
        reason = Reason.NAMESPACES_FAILED if failed else Reason.PROVISIONED
        new: KubeObject = {
            "externalSecretName": plan.name,
            "conditions": set_condition(
                status.get("conditions"), "Ready", not failed, reason, message, now=self._now()
            ),
            "failedNamespaces": [{"namespace": name, "reason": failed[name]} for name in sorted(failed)],
            "provisionedNamespaces": [
                item["metadata"]["namespace"] for item in plan.apply if item["metadata"]["namespace"] not in failed
            ],
        }
        if {key: status.get(key) for key in new} == new:
            return
        try:
            await self._kube.patch(
                CLUSTEREXTERNALSECRETS, cluster["metadata"]["name"], {"status": new}, subresource="status"
            )
        except NotFound:
            return  # deleted meanwhile


def _refresh_seconds(spec: KubeObject) -> float:
    try:
        return seconds_of(spec.get("refreshTime") or "") or DEFAULT_SECONDS
    except ValueError:
        return DEFAULT_SECONDS

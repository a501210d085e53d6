"""The loop over WorkloadIdentities: gather, plan, apply, probe; then say how far each control plane is.

What is done in AWS is what ``keyless identity apply`` does, by the same plan: killed at any call, the next run goes on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from keyless.api import KeylessError, Permanent, Reason, Refusal, Transient
from keyless.identity.grants import Asked, Caller, Mode, Plan, Way, Wish, apply, gather, per_role, plan
from keyless.identity.grants.model import HeldAssociation
from keyless.identity.verify import Cluster
from keyless.identity.verify.model import Unread
from keyless.kube import Kube, KubeObject, NotFound, timestamp
from keyless.kube.resources import CONTROLPLANES, DEPLOYMENTS, WORKLOADIDENTITIES
from keyless.space.control_planes.ports import ReadValues
from keyless.space.workload_identity import plan as deciding
from keyless.space.workload_identity.model import BILLING, Host, Row, Spec, host_of, rows_of, spec_of
from keyless.space.workload_identity.plan import Seen, Trouble
from keyless.space.workload_identity.proof import Prover
from keyless.space.workload_identity.wishes import billing_wish, prefix_fault, secrets_wish, signs_with

FIELD_MANAGER = "keyless-identity"
PROBES_AT_ONCE = 20
SOON_SECONDS, LATER_SECONDS, SWEEP_SECONDS = 2.0, 30.0, 600.0
TROUBLE_SECONDS = 60.0
RESTART_EVERY = timedelta(minutes=5)
_log = structlog.get_logger("keyless.identity")


class Clusters:
    """The cluster's issuer and account, read once: they do not change while it lives."""

    def __init__(self, read: Callable[[str], Awaitable[Cluster | Unread]]) -> None:
        self._read = read
        self._known: dict[str, Cluster] = {}

    async def of(self, name: str) -> Cluster | Unread:
        """The facts of the cluster with this name in EKS, empty where it has none."""
        if name not in self._known:
            found = await self._read(name)
            if not isinstance(found, Cluster):
                return found
            self._known[name] = found
        return self._known[name]


@dataclass(frozen=True, slots=True)
class Done:
    """What AWS was brought to: for which wish, when, with which roles by host namespace."""

    digest: str
    at: datetime
    roles: Mapping[str, str]
    extra: Mapping[str, str]


class Follower:
    """``reconcile`` is given to a Controller with one worker: two components share the OIDC provider."""

    def __init__(
        self,
        host: Kube,
        aws: Caller,
        prover: Prover,
        clusters: Clusters,
        read_values: ReadValues,
        *,
        now: Callable[[], datetime],
        pause: Callable[[float], Awaitable[None]],
    ) -> None:
        self._host, self._aws, self._prover, self._clusters = host, aws, prover, clusters
        self._read_values, self._now, self._pause = read_values, now, pause
        self._done: dict[str, Done] = {}
        self._probed: dict[str, dict[str, datetime]] = {}
        self._known: dict[str, tuple[datetime, Mapping[str, HeldAssociation]]] = {}

    async def reconcile(self, name: str) -> float | None:
        """One run; returns the seconds after which to look again without a change."""
        try:
            obj = await self._host.get(WORKLOADIDENTITIES, name)
        except NotFound:
            self._done.pop(name, None)
            return None  # what was granted stays: taking it away is `keyless identity destroy`
        spec = spec_of(obj)
        if not spec.manage:
            self._done.pop(name, None)
            await self._write(obj, deciding.status(obj, spec, (), None, {}, self._now()))
            return None
        listed = (await self._host.list(CONTROLPLANES)).items
        hosts = [found for plane in listed if (found := host_of(plane)) is not None]
        trouble = await self._bring(name, spec, hosts)
        done = self._done.get(name)
        before = rows_of(obj)
        roles = done.roles if done else {each: row.role for each, row in before.items() if row.role}
        made = deciding.rows(spec, hosts, roles, before, Seen(), trouble, self._now())
        seen = await self._probe(spec, {host.namespace: host for host in hosts}, made)
        rows = deciding.rows(spec, hosts, roles, before, seen, trouble, self._now())
        extra = done.extra if done else {}
        await self._write(obj, deciding.status(obj, spec, rows, trouble, extra, self._now()))
        return _again(rows, trouble, self._now())

    async def _bring(self, name: str, spec: Spec, hosts: list[Host]) -> Trouble | None:
        """Bring AWS to what is wanted, unless it was found so a moment ago; says why that did not succeed."""
        cluster = await self._clusters.of(spec.cluster)
        if not isinstance(cluster, Cluster):
            return Trouble(Reason.AWS_NOT_READABLE, f"the cluster's issuer and account: {cluster.why}")
        wish = self._wish(spec, cluster, tuple(sorted(host.namespace for host in hosts)))
        if isinstance(wish, Trouble):
            return wish
        asked = Asked(cluster, Way(spec.mode), Mode.EXACT, (wish,), spec.quota, spec.boundary)
        digest = _digest(asked)
        done = self._done.get(name)
        if done and done.digest == digest and self._now() - done.at < timedelta(seconds=SWEEP_SECONDS):
            return None
        swept, known = self._known.get(name, (datetime.min.replace(tzinfo=UTC), {}))
        if self._now() - swept >= timedelta(seconds=SWEEP_SECONDS):
            swept, known = self._now(), {}  # a sweep reads everything: somebody may have changed an association
        try:
            have = await gather(asked, self._aws, known=known)
            self._known[name] = (swept, {one.association_id: one for one in have.associations})
            made = plan(asked, have)
            outcome = await apply(made, self._aws, pause=self._pause, tell=_tell)
        except Permanent as error:
            return Trouble(Reason.GRANT_REFUSED, str(error))
        except Transient as error:
            return Trouble(Reason.THROTTLED, str(error))
        except KeylessError as error:
            return Trouble(Reason.GRANT_REFUSED, str(error))
        if outcome.stopped:
            return Trouble(Reason.THROTTLED if outcome.passes else Reason.GRANT_REFUSED, outcome.stopped)
        self._done[name] = Done(digest, self._now(), _roles(asked, made, spec, hosts), _extra(asked, made, wish, spec))
        return None

    def _wish(self, spec: Spec, cluster: Cluster, namespaces: tuple[str, ...]) -> Wish | Trouble:
        values = self._read_values()
        if isinstance(values, Refusal):
            return Trouble(values.reason, values.detail)
        if spec.component != BILLING:
            if fault := prefix_fault(spec.prefix):
                return Trouble(Reason.GRANT_REFUSED, f"spec.secretPrefix: {fault}")
            return secrets_wish(spec.prefix, spec.role, spec.key, cluster, namespaces)
        if not values.billing.bucket:
            return Trouble(
                Reason.BILLING_NOT_CONFIGURED, "billing.storage.aws.bucket is empty: there is nothing to grant"
            )
        billing = values.billing
        try:
            signs = signs_with(billing.signing_kms, billing.region, cluster)
        except Permanent as error:
            return Trouble(Reason.GRANT_REFUSED, str(error))
        return billing_wish(billing.bucket, spec.role, spec.key, cluster, namespaces, signs=signs)

    async def _probe(self, spec: Spec, hosts: Mapping[str, Host], made: Iterable[Row]) -> Seen:
        effective, refused, bare = set(), {}, set()
        probed = self._probed.setdefault(spec.component, {})
        for gone in probed.keys() - hosts.keys():
            del probed[gone]
        for row in deciding.unprobed(made, PROBES_AT_ONCE, probed):
            host = hosts[row.namespace]
            probed[row.namespace] = self._now()
            why = await self._prover.refusal(spec, host, row)
            if await self._prover.is_bare(spec, host, row):
                bare.add(row.namespace)
                if spec.restarts:
                    await self._restart(spec, row)
            elif why:
                refused[row.namespace] = why
            else:
                effective.add(row.namespace)
        return Seen(effective, refused, bare)

    async def _restart(self, spec: Spec, row: Row) -> None:
        """``kubectl rollout restart``, unless there was one a moment ago: a new pod takes its time to come up.

        The Deployment itself says when that was, by whosever hand: nothing that is kept here outlives this process.
        """
        try:
            live = await self._host.get(DEPLOYMENTS, spec.deployment, row.namespace)
            wanted = deciding.identity(spec, row)
            if deciding.was_restarted(live, self._now(), RESTART_EVERY, wanted):
                return
            annotations = {deciding.RESTARTED_AT: timestamp(self._now())}
            patch: KubeObject = {
                "metadata": {"annotations": {deciding.RESTARTED_FOR: wanted}},
                "spec": {"template": {"metadata": {"annotations": annotations}}},
            }
            await self._host.patch(DEPLOYMENTS, spec.deployment, patch, row.namespace, kind="strategic")
        except NotFound:
            return  # it is made with its identity

    async def _write(self, obj: KubeObject, status: KubeObject) -> None:
        if (obj.get("status") or {}) == status:
            return
        written: KubeObject = {"metadata": {"name": obj["metadata"]["name"]}, "status": status}
        try:
            await self._host.apply(WORKLOADIDENTITIES, written, field_manager=FIELD_MANAGER, subresource="status")
        except NotFound:
            return


def _tell(step: object) -> None:
    _log.info("granted", step=getattr(step, "says", ""))


def _digest(asked: Asked) -> str:
    words = [asked.cluster.provider_arn, asked.cluster.name, asked.way, asked.quota, asked.boundary]
    words += [[one.role, list(one.namespaces), [dict(each) for each in one.statements]] for one in asked.wishes]
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()


def _roles(asked: Asked, made: Plan, spec: Spec, hosts: Iterable[Host]) -> dict[str, str]:
    prefix = f"arn:{asked.cluster.partition}:iam::{asked.cluster.account}:role/"
    arns = {role: f"{prefix}{role}" for role in made.places.values()}
    return deciding.placed(spec, made.places, arns, hosts)


def _extra(asked: Asked, made: Plan, wish: Wish, spec: Spec) -> dict[str, str]:
    prefix = f"arn:{asked.cluster.partition}:iam::{asked.cluster.account}:role/"
    return {
        "forecast": deciding.forecast(spec, made.places, per_role(asked, wish)),
        "nextRole": f"{prefix}{made.nexts.get(wish.title, wish.role)}",
    }


def _again(rows: Iterable[Row], trouble: Trouble | None, now: datetime) -> float:
    if trouble:
        return TROUBLE_SECONDS
    waiting = [row for row in rows if row.role and not deciding.settled(row)]
    if not waiting:
        return SWEEP_SECONDS
    youngest = min((now - row.since).total_seconds() for row in waiting)
    return SOON_SECONDS if youngest < deciding.SLOW.total_seconds() else LATER_SECONDS

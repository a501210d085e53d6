"""The values of a WorkloadIdentity: what its author wants, the control planes, and a row for each. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from keyless.api import Reason
from keyless.identity.verify import Condition, condition_from
from keyless.kube import KubeObject, timestamp
from keyless.space.values import ROLE_ANNOTATION, Values

BILLING, SHARED_SECRETS = "billing", "shared-secrets"
IRSA, PODS = "irsa", "pod-identity"
ACCOUNTS = {BILLING: "vector", SHARED_SECRETS: "external-secrets-controller"}
"""The service accounts that trust policies and associations are written for."""


@dataclass(frozen=True, slots=True)
class Spec:
    """What its author wants; ``quota``: characters of a trust policy."""

    component: str
    mode: str = IRSA
    manage: bool = False
    restarts: bool = False
    role: str = ""
    cluster: str = ""
    prefix: str = ""
    key: str = ""
    boundary: str = ""
    quota: int = 2048

    @property
    def service_account(self) -> str:
        """Whose tokens the roles admit."""
        return ACCOUNTS[self.component]

    @property
    def deployment(self) -> str:
        """What runs as it."""
        return "vector" if self.component == BILLING else "external-secrets"


def spec_of(obj: KubeObject) -> Spec:
    """The spec of an object that the API server has checked."""
    spec = obj["spec"]
    component = str(spec["component"])
    return Spec(
        component,
        spec.get("mode") or IRSA,
        bool(spec.get("manage")),
        spec.get("restart") == "Automatic",
        spec.get("roleName") or f"keyless-{component}",
        spec.get("clusterName") or "",
        spec.get("secretPrefix") or "",
        spec.get("kmsKeyArn") or "",
        spec.get("permissionsBoundary") or "",
        int(spec.get("trustPolicyQuota") or 2048),
    )


@dataclass(frozen=True, slots=True)
class Host:
    """A control plane that has its host namespace; ``proofs``: its conditions by type."""

    group: str
    name: str
    namespace: str
    leaving: bool = False
    proofs: Mapping[str, Condition] = field(default_factory=dict)


def host_of(plane: KubeObject) -> Host | None:
    """A control plane, or None where it has no host namespace yet: nothing can be admitted then."""
    status, metadata = plane.get("status") or {}, plane["metadata"]
    if not status.get("hostNamespace"):
        return None
    proofs = {each["type"]: condition_from(each) for each in status.get("conditions") or ()}
    leaving = bool(metadata.get("deletionTimestamp"))
    return Host(metadata["namespace"], metadata["name"], status["hostNamespace"], leaving, proofs)


@dataclass(frozen=True, slots=True)
class Row:
    """How far one control plane is; ``since`` when its reason last changed."""

    group: str
    name: str
    namespace: str
    role: str
    reason: str
    message: str
    since: datetime

    @property
    def is_effective(self) -> bool:
        """Whether a probe has shown that AWS gives the role."""
        return self.reason == Reason.EFFECTIVE

    def written(self) -> KubeObject:
        """The row in the status."""
        return {
            "group": self.group,
            "name": self.name,
            "hostNamespace": self.namespace,
            **({"role": self.role} if self.role else {}),
            "reason": self.reason,
            "message": self.message,
            "since": timestamp(self.since),
        }


_WORDS = ("group", "name", "hostNamespace", "role", "reason", "message")


def rows_of(obj: KubeObject) -> dict[str, Row]:
    """The rows that were written last, by host namespace; the memory of whoever starts anew."""
    found: dict[str, Row] = {}
    for one in (obj.get("status") or {}).get("controlPlanes") or ():
        try:
            since = datetime.fromisoformat(str(one.get("since")))
        except ValueError:
            continue
        group, name, namespace, role, reason, message = (str(one.get(key) or "") for key in _WORDS)
        row = Row(group, name, namespace, role, reason, message, since)
        found[row.namespace] = row
    return found


def with_roles(values: Values, namespace: str, identities: Iterable[KubeObject]) -> Values:
    """The values for one host namespace: a managed IRSA role stands over the Helm value, which can name only one."""
    for obj in identities:
        spec, status = spec_of(obj), obj.get("status") or {}
        if not spec.manage or spec.mode != IRSA:
            continue
        row = rows_of(obj).get(namespace)
        # A new control plane's pod is made with the role that it will most likely get: pods never get one later.
        role = (row.role if row else "") or status.get("nextRole") or ""
        if role and spec.component == BILLING:
            annotations = {**values.vector.annotations, ROLE_ANNOTATION: role}
            values = replace(values, vector=replace(values.vector, annotations=annotations))
        elif role and spec.component == SHARED_SECRETS:
            annotations = {**values.external_secrets.annotations, ROLE_ANNOTATION: role}
            values = replace(values, external_secrets=replace(values.external_secrets, annotations=annotations))
    return values

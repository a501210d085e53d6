"""The facts that a chain is judged by, and the links that come out.

A fact is a value, ``None`` where the thing does not exist, or :class:`Unread` where it could not be read; those of
AWS are in :mod:`keyless.identity.verify.found`. Only :mod:`keyless.identity.verify.gather` makes facts from live
systems; :func:`keyless.identity.verify.verify` judges them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from keyless.api import Access, Reason
from keyless.identity.verify.around import Around
from keyless.identity.verify.behind import Reached
from keyless.identity.verify.found import ANOTHER as ANOTHER
from keyless.identity.verify.found import Association as Association
from keyless.identity.verify.found import Bucket as Bucket
from keyless.identity.verify.found import Cluster as Cluster
from keyless.identity.verify.found import Missing as Missing
from keyless.identity.verify.found import Provider as Provider
from keyless.identity.verify.found import Role as Role
from keyless.identity.verify.found import Unread as Unread
from keyless.policy import Document

ANNOTATION = "eks.amazonaws.com/role-arn"
STS_AUDIENCE = "sts.amazonaws.com"
POD_IDENTITY_AUDIENCE = "pods.eks.amazonaws.com"
SKIP_CONTAINERS = "eks.amazonaws.com/skip-containers"
SKIP_LABEL = "eks.amazonaws.com/skip-pod-identity-webhook"
AGENT_ADDON = "eks-pod-identity-agent"
STORAGE_VARIABLES = {
    "KEYLESS_BILLING_BUCKET": "aws.bucket",
    "KEYLESS_BILLING_REGION": "aws.region",
    "KEYLESS_BILLING_ENDPOINT": "aws.endpoint",
    "KEYLESS_BILLING_SERVER_SIDE_ENCRYPTION": "aws.serverSideEncryption",
    "KEYLESS_BILLING_SSEKMS_KEY_ID": "aws.ssekmsKeyId",
    "KEYLESS_BILLING_EXPECTED_BUCKET_OWNER": "aws.expectedBucketOwner",
    "KEYLESS_BILLING_ACL": "aws.acl",
}
"""What a collector is told in its environment, and the value below ``Subject.storage`` that it comes from."""


class State(StrEnum):
    """How a link stands. ``SKIPPED``: an earlier link leaves nothing to look at."""

    HELD = "Held"
    BROKEN = "Broken"
    UNKNOWN = "Unknown"
    SKIPPED = "Skipped"


@dataclass(frozen=True, slots=True)
class Link:
    """One link of the chain. ``reason`` is empty unless it is broken; ``fix`` is one command that runs as it stands.

    ``advice`` says what the command does, or what is to be done where no command is certain to help; ``diff`` are the
    lines of a document that the command changes. ``notes`` tell what holds today but deserves a look (a wildcard, a
    subject of a control plane that is gone).
    """

    name: str
    state: State
    expected: str
    found: str
    reason: Reason | None = None
    fix: str = ""
    notes: tuple[str, ...] = ()
    advice: str = ""
    diff: tuple[str, ...] = ()

    def fixed_by(self, fix: Fix | None, otherwise: str) -> Link:
        """The link with a fix, or with what is to be done by hand where there is none that is proven."""
        if fix is None:
            return replace(self, advice=otherwise)
        return replace(self, fix=fix.command, advice=fix.says, diff=fix.diff)


@dataclass(frozen=True, slots=True)
class Fix:
    """A command that was proven on the engine, what it does in a sentence, and the lines of a document it changes."""

    command: str
    says: str = ""
    diff: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Subject:
    """The component that is verified: its names in Kubernetes and the Helm values that concern it.

    ``static_keys`` is the value that must be empty; ``annotations`` the map whose entries go to the service account;
    ``storage`` the section that says where it stores; ``health`` the condition that says whether its work is whole.
    ``of_space``: there is one of it in the Space's own namespace, a CronJob that ``deployment`` names.
    """

    title: str
    service_account: str
    deployment: str
    condition: str
    enabled: str
    annotations: str
    static_keys: str = ""
    storage: str = ""
    health: str = ""
    of_space: bool = False
    kind: str = "deployment"
    """What runs it: ``deployment``, or a ``statefulset`` of which it is a part."""
    names_one: bool = False
    """Whether ``enabled`` switches it on by naming something, where others have ``true``."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the component lets others ask of its role, whatever the role may do.

    ``rows`` are for people; ``resources`` are the ARN patterns that they admit for ``actions``. Both are empty where
    scopes exist and none is for this control plane; ``scoped`` is false where there are none at all.
    """

    rows: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    scoped: bool = True


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition of the ControlPlane; ``since`` is when its status last changed, as the API server writes times.

    ``pod``: who says it; empty where it is not a component's, or one of an older version's.
    """

    status: str
    reason: str
    message: str
    since: str = ""
    pod: str = ""


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """A control plane of the Space."""

    name: str
    group: str
    host_namespace: str
    conditions: Mapping[str, Condition]
    labels: Mapping[str, str] = field(default_factory=dict)
    mode: str = ""
    """Who serves its API: ``logical``, ``attached`` or ``kubernetes``; empty: that is not told yet."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A control plane without a host namespace, and what its condition Ready says of it."""

    name: str
    group: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision of the Helm release: what its user set (dotted path → value)."""

    number: int
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Space:
    """The values in force (dotted path → value), how they came about, and all host namespaces there are."""

    values: Mapping[str, str]
    history: tuple[Revision, ...] | Unread
    host_namespaces: frozenset[str]
    release: str = "spaces"
    chart: str = "spaces-helm-chart"


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod of the component. ``waiting``: why its container does not run; ``env``: AWS's, proxies, its place.

    ``revision``: the hash of the Deployment's template that it was made from; empty where no Deployment made it.
    """

    name: str
    ready: bool
    waiting: str
    env: Mapping[str, str]
    token_audience: str = ""
    skipped: bool = False
    node: str = ""
    created: str = ""
    revision: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """The last Job of a CronJob: its name, and its state: ``Complete``, ``Failed`` with a reason, or ``Running``.

    ``outdated``: it was made from another pod template than the CronJob has now.
    """

    name: str
    state: str
    why: str = ""
    outdated: bool = False


@dataclass(frozen=True, slots=True)
class Workload:
    """What Kubernetes has of the component; ``annotations`` are the service account's, ``None`` if it is missing."""

    annotations: Mapping[str, str] | None
    deployed: bool
    pods: tuple[Pod, ...]
    last_run: Run | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything one chain is judged by: one component of one control plane."""

    subject: Subject
    access: Access | None
    space: Space
    control_plane: ControlPlane | None
    workload: Workload | None
    cluster: Cluster | Unread
    providers: tuple[Provider, ...] | Unread = ()
    associations: tuple[Association, ...] | Unread = ()
    agent: str | Unread | None = None
    role: Role | Unread | None = None
    bounds: Bounds | None = None
    bucket: Bucket | Missing | Unread | None = None
    misspelt: tuple[Association, ...] = ()
    """Associations of the namespace for service accounts that are none, and whose names resemble the component's."""
    gone: tuple[Missing, ...] = ()
    """Secrets and parameters that the component shall read and that are certainly not there."""
    roles: Mapping[str, Document] | Unread = field(default_factory=dict)
    """Every role of the account by its ARN, with its trust policy: looked for where the component has none."""

    sought: str = "ControlPlane"
    """Which control plane was asked for, and those that are ``known`` (group/name), where it is not there."""
    known: tuple[str, ...] = ()
    waits: Waiting | None = None
    """The control plane that is there and has no host namespace yet, where that is why there is nothing to judge."""
    now: float = 0.0
    """When the facts were gathered, in seconds since 1970; 0 where nobody told, and no policy is judged by the time."""
    caller: str = ""
    """The ARN of whoever asks AWS; empty where nobody is known."""
    reached: Mapping[str, Reached] = field(default_factory=dict)
    """What stands behind each pattern of ``access.resources``, as far as it was looked at."""
    through: Role | Unread | None = None
    """The association's own role, where it goes on to a target role: that one is ``role`` then."""
    around: Around = field(default_factory=Around)
    cluster_fault: str = ""
    """Why the EKS cluster of the name that was given is not this one; empty where it is, or cannot be asked."""

    @property
    def namespace(self) -> str:
        """The host namespace of the control plane; empty when there is none."""
        return self.control_plane.host_namespace if self.control_plane else ""

    @property
    def paused(self) -> str:
        """The operator's words where the control plane is paused: nothing of it runs, and nothing is broken."""
        ready = self.control_plane.conditions.get("Ready") if self.control_plane else None
        return (
            ready.message if ready is not None and ready.reason == Reason.PAUSED and not self.subject.of_space else ""
        )

    @property
    def enabled(self) -> bool:
        """Whether the values in force switch the component on; one of the Space's own by its schedule."""
        value = self.space.values.get(self.subject.enabled, "")
        return bool(value) if self.subject.of_space or self.subject.names_one else value == "true"

    @property
    def pods(self) -> tuple[Pod, ...]:
        """The component's pods."""
        return self.workload.pods if self.workload else ()

    @property
    def association(self) -> Association | None:
        """The association of exactly this component, if there is one."""
        if isinstance(self.associations, Unread):
            return None
        wanted = (self.namespace, self.subject.service_account)
        return next((a for a in self.associations if (a.namespace, a.service_account) == wanted), None)

    @property
    def annotation(self) -> str:
        """The role that the service account's annotation names, if it does."""
        annotations = self.workload.annotations if self.workload else None
        return (annotations or {}).get(ANNOTATION, "")

    @property
    def by_association(self) -> bool:
        """Whether Pod Identity is the way: an association wins over an annotation, as on EKS."""
        return self.association is not None

    @property
    def role_arn(self) -> str:
        """The role that the component shall become."""
        association = self.association
        return (association.target_arn or association.role_arn) if association else self.annotation

    @property
    def subject_name(self) -> str:
        """``sub`` of the component's tokens."""
        return f"system:serviceaccount:{self.namespace}:{self.subject.service_account}"

    def owner_of(self, resource: str) -> str:
        """The account of the bucket, which S3's ARNs do not tell; empty where they tell it, or nobody does."""
        same = isinstance(self.bucket, Bucket) and resource.partition(":::")[2].partition("/")[0] == self.bucket.name
        return self.bucket.owner if same and isinstance(self.bucket, Bucket) else ""

    @property
    def eks_name(self) -> str:
        """The cluster's name for a command."""
        return "CLUSTER" if isinstance(self.cluster, Unread) else self.cluster.name or "CLUSTER"

    @property
    def restart(self) -> str:
        """The command that makes new pods."""
        if self.subject.of_space:
            name = self.subject.deployment
            return f"kubectl create job --from=cronjob/{name} {name}-$(date +%s) -n {self.namespace}"
        return f"kubectl rollout restart {self.subject.kind} {self.subject.deployment} -n {self.namespace}"

"""What is known about one control plane, and what may be done about it. Values only.

A plan is a list of steps, each safe to repeat; after any of them the facts are gathered again and the next plan starts
from what is there. So it does not matter where the last operator stopped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from keyless.api import Reason, Refusal
from keyless.kube import KubeObject, Name, Resource
from keyless.kube.resources import LOGICALCLUSTERS
from keyless.space import components
from keyless.space.control_planes import tenant
from keyless.space.items import Item, Key
from keyless.space.kubernetes.authorities import Authorities, Why
from keyless.space.kubernetes.certificates import AUTHORITY_LIFE
from keyless.space.kubernetes.names import keys_key, workload_key
from keyless.space.kubernetes.ring import Ring
from keyless.space.place import Place
from keyless.space.settling import Applied
from keyless.space.values import Values

FINALIZER = "keyless.dev/control-plane"
GROUP_LABEL = "spaces.upbound.io/group"
ATTACHED_ANNOTATION = "keyless.dev/attached-secret"
"""On a ControlPlane: the Secret of its group with ``server``, ``ca.crt`` and ``token``."""
CREDENTIAL = ("server", "ca.crt", "token")
"""The keys of that Secret."""
MADE_HERE = "keyless.dev/made-by"
"""On a host namespace: only what the operator made, it also deletes."""

API = "api"
Side = Literal["host", "tenant"]
Way = Literal["logical", "attached", "kubernetes"]
"""How a control plane comes to its API."""
Kubeconfig = Literal["", "whole", "mounted"]
"""Whether a Secret has one, with the token in it, or for a folder in which the token is a file that is renewed."""
Kind = tuple[str, str]
"""Group and plural of a kind of managed resource."""


@dataclass(frozen=True, slots=True)
class Served:
    """A control plane's API that answers; ``token`` None: the operator's own is admin there."""

    server: str
    ca_pem: str
    token: str | None = field(default=None, repr=False)
    given: bool = False
    """Whether the token is the one that was brought, and not the narrow one that was made with it."""
    certificate: str = ""
    """With ``key``: the operator's own client certificate there, as PEM."""
    key: str = field(default="", repr=False)
    etcd: Served | None = None
    """How the operator reaches the etcd behind it, where that is ours."""
    quota: int = 0
    """Of an etcd: the bytes that it was told it may hold."""


@dataclass(frozen=True, slots=True)
class Room:
    """How full an etcd is, in bytes, as it says itself.

    ``used``: the database's file with its free pages, which is what counts against ``quota``; ``in_use`` without them.
    """

    used: int
    in_use: int
    quota: int
    revision: int = 0
    full: bool = False
    """Whether it raised NOSPACE: it takes no writes until that is taken back, whatever room there is."""
    member: str = ""
    """Whose alarm that is."""


@dataclass(frozen=True, slots=True)
class Pending:
    """Not yet, for the reason that ``message`` gives."""

    message: str


@dataclass(frozen=True, slots=True)
class Written:
    """One Secret inside as it lies in etcd."""

    name: Name
    uid: str
    version: str


@dataclass(frozen=True, slots=True)
class Encrypted:
    """``loaded``: the digests of the configurations that kube-apiserver says it has read; none: it does not say."""

    loaded: tuple[str, ...] = ()
    revision: int = 0
    """The version of the list of all Secrets; 0: not listed."""
    secrets: tuple[Written, ...] = ()
    """All of them, where listed."""
    kms: str | None = None
    """What it says of its KMS keys; empty: it encrypts with them; None: not asked, or it did not answer."""


@dataclass(frozen=True, slots=True)
class Trust:
    """What a control plane's processes make of its authorities, each tried; None: not known.

    ``api`` and ``etcd``: whether they let in whom the second one signed for. ``shown``: whether both show what the
    first one signed. ``published``: what kube-controller-manager says inside is trusted, as PEM.
    """

    api: bool | None = None
    etcd: bool | None = None
    shown: bool | None = None
    published: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a plan is told. Mappings hold only what exists."""

    control_plane: KubeObject
    group: KubeObject
    values: Values | Refusal
    now: datetime
    new_id: str
    host: Mapping[Key, KubeObject] = field(default_factory=dict)
    tenant: Mapping[Key, KubeObject] | None = None
    """None: not looked at, because its API is not served yet."""
    trouble: str = ""
    """Why its API cannot be looked into."""
    entered: Served | None = None
    """With which credential it was looked into."""
    given_refused: bool = False
    """Whether its API answered 401 to the credential that was brought."""
    managed: tuple[Kind, ...] = ()
    controllers: tuple[str, ...] = ()
    """Whose accounts lie inside by their labels, of others' controllers; empty where they may not be listed."""
    pods: Mapping[str, tuple[KubeObject, ...]] = field(default_factory=dict)
    """By component."""
    nodes: Mapping[str, KubeObject | None] = field(default_factory=dict)
    """Of pods that are not ready, by name; None: there is no such node any more."""
    injected: Mapping[str, bool] = field(default_factory=dict)
    """By component: what a dry run of its pod came back with; absent where there was nothing to try."""
    waited_seconds: Mapping[str, float] = field(default_factory=dict)
    """By component: how long its identity has been missing; under ``API`` how long the API has not answered."""
    applied: Mapping[tuple[Side, Key], Applied] = field(default_factory=dict)
    """What is known of earlier writes."""
    pod_refused: str = ""
    """Why the host takes no pod of its API server, where it has none."""
    room: Room | None = None
    """How full its etcd is; None: nobody knows."""
    growth_refused: str = ""
    """Why the host does not let its volume grow, where the values ask for a larger one."""
    default_storage_class: bool = False
    tls_routes: Resource | None = None
    """In which version the host serves them, where the values ask for one; None: in none."""
    serves_logical_clusters: bool | None = None
    """Whether the host serves the kind; None: not looked up, for something else decides."""
    release_namespace: str = "default"
    etcd: Encrypted | None = None
    """What kube-apiserver says of the encryption of Secrets; None: not asked."""
    trust: Trust | None = None
    """What is made of its authorities; None: not asked."""
    rewritten: Mapping[Written, str] = field(default_factory=dict)
    """What came of writing Secrets inside again, as they were; empty: they are encrypted with the key that writes."""
    sources: Mapping[Key, KubeObject] = field(default_factory=dict)
    """What the values name in the release's namespace for all pods: pull secrets, the CA bundle."""

    @property
    def spec(self) -> KubeObject:
        return self.control_plane.get("spec") or {}

    @property
    def status(self) -> KubeObject:
        return self.control_plane.get("status") or {}

    @property
    def place(self) -> Place | None:
        """None until the control plane has its id."""
        return place_of(self.control_plane)


def place_of(control_plane: KubeObject) -> Place | None:
    """Where the control plane was placed; None until it has its id."""
    status, metadata = control_plane.get("status") or {}, control_plane["metadata"]
    if not status.get("controlPlaneID") or not status.get("hostNamespace"):
        return None
    return Place(
        name=metadata["name"],
        group=metadata["namespace"],
        uid=metadata["uid"],
        control_plane_id=status["controlPlaneID"],
        host_namespace=status["hostNamespace"],
    )


def logical_cluster_key(place: Place) -> Key:
    """The logical cluster is called like the host namespace."""
    return Key(LOGICALCLUSTERS, place.host_namespace)


def own_key(place: Place) -> Key:
    """The Secret with the operator's own token for an API that was brought."""
    return components.kubeconfig_key(tenant.OPERATOR, place)


def way_of(facts: Facts) -> Way | None:
    """Who serves the API; None: nobody, and nothing says who shall.

    First what is there, whatever the values say: what lies in a control plane's API must not be left behind. Then the
    values, where they say it for the whole Space, but a Secret that the control plane names stands over ``kubernetes``.
    In ``auto``, and where the values cannot be read: the Secret that it names; the host, where that serves APIs; and
    where the values can be read, an API server of its own.
    """
    place = facts.place
    if place is not None and logical_cluster_key(place) in facts.host:
        return "logical"
    if place is not None and not facts.host.keys().isdisjoint((keys_key(place), workload_key(place))):
        return "kubernetes"  # also where its keys are lost: that must be told, and nothing made in its stead
    if place is not None and own_key(place) in facts.host:
        return "attached"  # also where it names no Secret any more: its components go on where they are
    mode = facts.values.mode if isinstance(facts.values, Values) else "auto"
    names_one = bool((facts.control_plane["metadata"].get("annotations") or {}).get(ATTACHED_ANNOTATION))
    match mode:
        case "logical" | "attached":
            return mode
        case "kubernetes":
            return "attached" if names_one else "kubernetes"
        case "auto":
            return "attached" if names_one else _by_the_host(facts)


def _by_the_host(facts: Facts) -> Way | None:
    match facts.serves_logical_clusters:
        case True:
            return "logical"
        case False if isinstance(facts.values, Values):
            return "kubernetes"
        case _:
            return None


@dataclass(frozen=True, slots=True)
class SetFinalizers:
    """Write the control plane's finalizers."""

    finalizers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """Give the control plane its id and host namespace, once."""

    control_plane_id: str
    host_namespace: str


@dataclass(frozen=True, slots=True)
class Create:
    """Create an object; someone else's of that name is a conflict, not ours to change."""

    item: Item
    side: Side = "host"


@dataclass(frozen=True, slots=True)
class Label:
    """Mark an existing object as the control plane's, if nobody changed it meanwhile."""

    key: Key
    labels: Mapping[str, str]
    resource_version: str
    side: Side = "host"


@dataclass(frozen=True, slots=True)
class Apply:
    """Bring an object to what we want."""

    item: Item
    side: Side = "host"


@dataclass(frozen=True, slots=True)
class Remove:
    """Delete an object, if it is still there; ``with_dependents`` keeps it until all that it owns is gone."""

    key: Key
    side: Side = "host"
    with_dependents: bool = False


@dataclass(frozen=True, slots=True)
class IssueToken:
    """Have a token issued inside and write it where the component, or the user, finds it."""

    service_account: str
    secret: Key
    owners: tuple[KubeObject, ...] = ()
    kubeconfig: Kubeconfig = ""
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    lifetime_seconds: int = 3600
    server: str = ""
    """By which URL it is used, where that is another than the operator's own."""
    made_from: str = ""
    """Which version of the brought Secret it was made with."""


@dataclass(frozen=True, slots=True)
class MakeKeys:
    """Make the keys of a control plane's API server; those that are there already stay."""


@dataclass(frozen=True, slots=True)
class IssueCertificates:
    """Sign for the API server at these addresses, for its neighbours in the pod, and for the operator."""

    addresses: tuple[str, ...]
    backup: bool = False
    """Also for whoever takes snapshots of etcd."""


@dataclass(frozen=True, slots=True)
class WriteRing:
    """Write the keys of Secrets in etcd, if nobody did meanwhile; ``version`` empty: the Secret is not there.

    ``new`` names a key that is made and added, for which ``asked`` asked; with ``kms`` it is that KMS key.
    """

    ring: Ring
    version: str
    new: str = ""
    asked: str = ""
    kms: str = ""


@dataclass(frozen=True, slots=True)
class WriteAuthorities:
    """Write the authorities, if nobody did meanwhile; ``version`` empty: the Secret is not there.

    ``new``: another one is made, to be trusted ``beside`` the one that signs or to sign ``first``, for ``life``.
    """

    authorities: Authorities
    version: str
    new: Literal["", "beside", "first"] = ""
    why: Why = ""
    life: timedelta = AUTHORITY_LIFE


@dataclass(frozen=True, slots=True)
class WriteEncryption:
    """Have kube-apiserver told another EncryptionConfiguration."""

    config: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Have Secrets inside written as they are, so that they are encrypted with the key that writes."""

    secrets: tuple[Written, ...]


@dataclass(frozen=True, slots=True)
class SetPauses:
    """Write from when to when nothing ran, the newest last; one without ``to`` goes on."""

    pauses: tuple[KubeObject, ...]


@dataclass(frozen=True, slots=True)
class SetControllers:
    """Write which controllers of others have something here: ``name`` and ``secret`` of each."""

    controllers: tuple[KubeObject, ...]


@dataclass(frozen=True, slots=True)
class DropCondition:
    """Take away what a component said that is no longer there."""

    type: str


@dataclass(frozen=True, slots=True)
class Tell:
    """An event on the control plane."""

    reason: Reason
    message: str


Step = (
    SetFinalizers
    | Claim
    | Create
    | Label
    | Apply
    | Remove
    | IssueToken
    | MakeKeys
    | IssueCertificates
    | WriteRing
    | WriteEncryption
    | WriteAuthorities
    | Rewrite
    | SetPauses
    | SetControllers
    | DropCondition
    | Tell
)


@dataclass(frozen=True, slots=True)
class Finding:
    """A condition of the control plane that the operator vouches for."""

    type: str
    status: bool
    reason: Reason
    message: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now, what to say, and when to look again without a change.

    ``keeps``: what was said before and is not said now stays, because nothing is known that speaks against it.
    ``chains``: the steps where they fall into several lists that do not need one another; one may fail alone.
    """

    steps: tuple[Step, ...] = ()
    findings: tuple[Finding, ...] = ()
    again_seconds: float | None = None
    keeps: bool = False
    chains: tuple[tuple[Step, ...], ...] = ()


def not_ready(reason: Reason, message: str, *others: Finding) -> tuple[Finding, ...]:
    """The findings of a control plane that cannot go on."""
    return (Finding("Ready", False, reason, message), *others)

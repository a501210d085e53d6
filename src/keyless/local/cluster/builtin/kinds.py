"""The built-in resources that every cluster serves, as discovery describes them.

Names, short names, categories, verbs and subresources are those of Kubernetes 1.32; what is left out of its list is
left out on purpose and is not served at all.
"""

from __future__ import annotations

from dataclasses import dataclass

STORED = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
NAMESPACE_VERBS = ("create", "delete", "get", "list", "patch", "update", "watch")
CREATE = ("create",)
READ = ("get",)
CHANGE = ("get", "patch", "update")
CONNECT = ("create", "get")
ALL = ("all",)
API_EXTENSIONS = ("api-extensions",)


@dataclass(frozen=True, slots=True)
class Subresource:
    """A part of a resource with a path of its own; ``kind`` is what it speaks, empty group: the core group."""

    name: str
    kind: str
    group: str
    version: str
    verbs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """One served resource in one version."""

    group: str
    version: str
    plural: str
    singular: str
    kind: str
    namespaced: bool
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = STORED
    subresources: tuple[Subresource, ...] = ()

    @property
    def api_version(self) -> str:
        """``apps/v1``; ``v1`` for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def stored(self) -> bool:
        """False for reviews and bindings: they are answered, never kept."""
        return "get" in self.verbs

    @property
    def has_status(self) -> bool:
        """Whether status is written through a subresource of its own."""
        return any(sub.name == "status" for sub in self.subresources)


def _kind(
    group_version: tuple[str, str],
    plural: str,
    kind: str,
    *,
    namespaced: bool = True,
    short: tuple[str, ...] = (),
    categories: tuple[str, ...] = (),
    verbs: tuple[str, ...] = STORED,
    status: bool = False,
    scale: bool = False,
    more: tuple[Subresource, ...] = (),
) -> Kind:
    group, version = group_version
    subresources = list(more)
    if scale:
        subresources.append(Subresource("scale", "Scale", "autoscaling", "v1", CHANGE))
    if status:
        subresources.append(Subresource("status", kind, group, version, CHANGE))
    subresources.sort(key=lambda sub: sub.name)
    singular = kind.lower()
    return Kind(
        group, version, plural, singular, kind, namespaced, short, categories, verbs, subresources=tuple(subresources)
    )


CORE = ("", "v1")
APPS = ("apps", "v1")
BATCH = ("batch", "v1")
RBAC = ("rbac.authorization.k8s.io", "v1")
AUTHORIZATION = ("authorization.k8s.io", "v1")
AUTHENTICATION = ("authentication.k8s.io", "v1")
ADMISSION = ("admissionregistration.k8s.io", "v1")
NETWORKING = ("networking.k8s.io", "v1")
STORAGE = ("storage.k8s.io", "v1")

POD_PARTS = (
    Subresource("attach", "PodAttachOptions", "", "v1", CONNECT),
    Subresource("binding", "Binding", "", "v1", CREATE),
    Subresource("ephemeralcontainers", "Pod", "", "v1", CHANGE),
    Subresource("eviction", "Eviction", "policy", "v1", CREATE),
    Subresource("exec", "PodExecOptions", "", "v1", CONNECT),
    Subresource("log", "Pod", "", "v1", READ),
    Subresource("portforward", "PodPortForwardOptions", "", "v1", CONNECT),
)
TOKEN = (Subresource("token", "TokenRequest", "authentication.k8s.io", "v1", CREATE),)
FINALIZE = (Subresource("finalize", "Namespace", "", "v1", ("update",)),)

KINDS: tuple[Kind, ...] = (
    _kind(CORE, "bindings", "Binding", verbs=CREATE),
    _kind(CORE, "configmaps", "ConfigMap", short=("cm",)),
    _kind(CORE, "endpoints", "Endpoints", short=("ep",)),
    _kind(CORE, "events", "Event", short=("ev",)),
    _kind(CORE, "limitranges", "LimitRange", short=("limits",)),
    _kind(
        CORE,
        "namespaces",
        "Namespace",
        namespaced=False,
        short=("ns",),
        verbs=NAMESPACE_VERBS,
        status=True,
        more=FINALIZE,
    ),
    _kind(CORE, "nodes", "Node", namespaced=False, short=("no",), status=True),
    _kind(CORE, "persistentvolumeclaims", "PersistentVolumeClaim", short=("pvc",), status=True),
    _kind(CORE, "persistentvolumes", "PersistentVolume", namespaced=False, short=("pv",), status=True),
    _kind(CORE, "pods", "Pod", short=("po",), categories=ALL, status=True, more=POD_PARTS),
    _kind(CORE, "podtemplates", "PodTemplate"),
    _kind(
        CORE, "replicationcontrollers", "ReplicationController", short=("rc",), categories=ALL, status=True, scale=True
    ),
    _kind(CORE, "resourcequotas", "ResourceQuota", short=("quota",), status=True),
    _kind(CORE, "secrets", "Secret"),
    _kind(CORE, "serviceaccounts", "ServiceAccount", short=("sa",), more=TOKEN),
    _kind(CORE, "services", "Service", short=("svc",), categories=ALL, status=True),
    _kind(
        ADMISSION,
        "mutatingwebhookconfigurations",
        "MutatingWebhookConfiguration",
        namespaced=False,
        categories=API_EXTENSIONS,
    ),
    _kind(
        ADMISSION,
        "validatingwebhookconfigurations",
        "ValidatingWebhookConfiguration",
        namespaced=False,
        categories=API_EXTENSIONS,
    ),
    _kind(
        ("apiextensions.k8s.io", "v1"),
        "customresourcedefinitions",
        "CustomResourceDefinition",
        namespaced=False,
        short=("crd", "crds"),
        categories=API_EXTENSIONS,
        status=True,
    ),
    _kind(APPS, "controllerrevisions", "ControllerRevision"),
    _kind(APPS, "daemonsets", "DaemonSet", short=("ds",), categories=ALL, status=True),
    _kind(APPS, "deployments", "Deployment", short=("deploy",), categories=ALL, status=True, scale=True),
    _kind(APPS, "replicasets", "ReplicaSet", short=("rs",), categories=ALL, status=True, scale=True),
    _kind(APPS, "statefulsets", "StatefulSet", short=("sts",), categories=ALL, status=True, scale=True),
    _kind(AUTHENTICATION, "selfsubjectreviews", "SelfSubjectReview", namespaced=False, verbs=CREATE),
    _kind(AUTHENTICATION, "tokenreviews", "TokenReview", namespaced=False, verbs=CREATE),
    _kind(AUTHORIZATION, "localsubjectaccessreviews", "LocalSubjectAccessReview", verbs=CREATE),
    _kind(AUTHORIZATION, "selfsubjectaccessreviews", "SelfSubjectAccessReview", namespaced=False, verbs=CREATE),
    _kind(AUTHORIZATION, "selfsubjectrulesreviews", "SelfSubjectRulesReview", namespaced=False, verbs=CREATE),
    _kind(AUTHORIZATION, "subjectaccessreviews", "SubjectAccessReview", namespaced=False, verbs=CREATE),
    _kind(
        ("autoscaling", "v2"),
        "horizontalpodautoscalers",
        "HorizontalPodAutoscaler",
        short=("hpa",),
        categories=ALL,
        status=True,
    ),
    _kind(BATCH, "cronjobs", "CronJob", short=("cj",), categories=ALL, status=True),
    _kind(BATCH, "jobs", "Job", categories=ALL, status=True),
    _kind(("coordination.k8s.io", "v1"), "leases", "Lease"),
    _kind(("discovery.k8s.io", "v1"), "endpointslices", "EndpointSlice"),
    _kind(("events.k8s.io", "v1"), "events", "Event", short=("ev",)),
    _kind(NETWORKING, "ingressclasses", "IngressClass", namespaced=False),
    _kind(NETWORKING, "ingresses", "Ingress", short=("ing",), status=True),
    _kind(NETWORKING, "networkpolicies", "NetworkPolicy", short=("netpol",)),
    _kind(("policy", "v1"), "poddisruptionbudgets", "PodDisruptionBudget", short=("pdb",), status=True),
    _kind(RBAC, "clusterrolebindings", "ClusterRoleBinding", namespaced=False),
    _kind(RBAC, "clusterroles", "ClusterRole", namespaced=False),
    _kind(RBAC, "rolebindings", "RoleBinding"),
    _kind(RBAC, "roles", "Role"),
    _kind(("scheduling.k8s.io", "v1"), "priorityclasses", "PriorityClass", namespaced=False, short=("pc",)),
    _kind(STORAGE, "storageclasses", "StorageClass", namespaced=False, short=("sc",)),
)

"""Names of the Kubernetes resources that Keyless reads and writes, and the paths of their requests.

Pure. A :class:`Resource` is all that a request needs to know of a kind; objects themselves stay plain dictionaries.

Paths: https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

KubeObject = dict[str, Any]
"""A Kubernetes object as JSON has it. Treat one that you were given as immutable."""


@dataclass(frozen=True, slots=True)
class Resource:
    """One served resource; ``group`` is empty for the core group."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """What objects of this resource carry as ``apiVersion``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """The request path; without ``namespace`` a namespaced resource is addressed across all namespaces."""
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, subresource) if part]
        return "/" + "/".join(quote(part, safe=":") for part in parts)


_ESO = "external-secrets.io"
_RBAC = "rbac.authorization.k8s.io"

PODS = Resource("", "v1", "pods", "Pod")
SECRETS = Resource("", "v1", "secrets", "Secret")
CONFIGMAPS = Resource("", "v1", "configmaps", "ConfigMap")
SERVICEACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")
NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
EVENTS = Resource("", "v1", "events", "Event")
NODES = Resource("", "v1", "nodes", "Node", namespaced=False)
SERVICES = Resource("", "v1", "services", "Service")
NETWORKPOLICIES = Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
INGRESSES = Resource("networking.k8s.io", "v1", "ingresses", "Ingress")
# The newest first: which of them a cluster serves tells the release of the Gateway API that it has.
TLSROUTES = tuple(
    Resource("gateway.networking.k8s.io", each, "tlsroutes", "TLSRoute") for each in ("v1", "v1alpha3", "v1alpha2")
)
PERSISTENTVOLUMECLAIMS = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
PERSISTENTVOLUMES = Resource("", "v1", "persistentvolumes", "PersistentVolume", namespaced=False)
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
STATEFULSETS = Resource("apps", "v1", "statefulsets", "StatefulSet")
DAEMONSETS = Resource("apps", "v1", "daemonsets", "DaemonSet")
CRONJOBS = Resource("batch", "v1", "cronjobs", "CronJob")
JOBS = Resource("batch", "v1", "jobs", "Job")
REPLICASETS = Resource("apps", "v1", "replicasets", "ReplicaSet")
CERTIFICATESIGNINGREQUESTS = Resource(
    "certificates.k8s.io", "v1", "certificatesigningrequests", "CertificateSigningRequest", namespaced=False
)
CRDS = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False)
ROLES = Resource(_RBAC, "v1", "roles", "Role")
ROLEBINDINGS = Resource(_RBAC, "v1", "rolebindings", "RoleBinding")
CLUSTERROLES = Resource(_RBAC, "v1", "clusterroles", "ClusterRole", namespaced=False)
CLUSTERROLEBINDINGS = Resource(_RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False)
MUTATINGWEBHOOKCONFIGURATIONS = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "mutatingwebhookconfigurations",
    "MutatingWebhookConfiguration",
    namespaced=False,
)
CONTROLPLANES = Resource("spaces.upbound.io", "v1beta1", "controlplanes", "ControlPlane")
SPACELICENSES = Resource("admin.spaces.upbound.io", "v1alpha1", "spacelicenses", "SpaceLicense", namespaced=False)
SHAREDSECRETSTORES = Resource("spaces.upbound.io", "v1alpha1", "sharedsecretstores", "SharedSecretStore")
SHAREDEXTERNALSECRETS = Resource("spaces.upbound.io", "v1alpha1", "sharedexternalsecrets", "SharedExternalSecret")
SECRETSTORES = Resource(_ESO, "v1", "secretstores", "SecretStore")
CLUSTERSECRETSTORES = Resource(_ESO, "v1", "clustersecretstores", "ClusterSecretStore", namespaced=False)
EXTERNALSECRETS = Resource(_ESO, "v1", "externalsecrets", "ExternalSecret")
CLUSTEREXTERNALSECRETS = Resource(_ESO, "v1", "clusterexternalsecrets", "ClusterExternalSecret", namespaced=False)
PUSHSECRETS = Resource(_ESO, "v1alpha1", "pushsecrets", "PushSecret")
_GENERATORS = "generators.external-secrets.io"
PASSWORDS = Resource(_GENERATORS, "v1alpha1", "passwords", "Password")
UUIDS = Resource(_GENERATORS, "v1alpha1", "uuids", "UUID")
ECRAUTHORIZATIONTOKENS = Resource(_GENERATORS, "v1alpha1", "ecrauthorizationtokens", "ECRAuthorizationToken")
LOGICALCLUSTERS = Resource("keyless.dev", "v1alpha1", "logicalclusters", "LogicalCluster", namespaced=False)
WORKLOADIDENTITIES = Resource("keyless.dev", "v1alpha1", "workloadidentities", "WorkloadIdentity", namespaced=False)

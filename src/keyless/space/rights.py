"""What each component may do in the host cluster, as RBAC objects of one control plane. Pure.

Everything is narrowed to the control plane's own objects, but for one thing: ``vector`` sees all control planes,
because each collector writes down which others exist, so that a collector that never started is missed.
"""

from __future__ import annotations

from keyless.kube import KubeObject
from keyless.kube.resources import CLUSTERROLEBINDINGS, CLUSTERROLES, LEASES, ROLEBINDINGS, ROLES
from keyless.space.items import CONTROL_PLANE_LABEL, Item, item
from keyless.space.kubernetes.names import KMS_PLUGIN, RESTORE, RESTORED
from keyless.space.kubernetes.names import NAME as CONTROL_PLANE
from keyless.space.place import Place

RBAC = "rbac.authorization.k8s.io"
SPACES = "spaces.upbound.io"
READ = ["get", "list", "watch"]
EVENTS: KubeObject = {"apiGroups": ["", "events.k8s.io"], "resources": ["events"], "verbs": ["create", "get", "patch"]}


def of_vector(place: Place) -> tuple[Item, ...]:
    """The census of all control planes, and the status of its own."""
    census = f"spaces-vector-{place.host_namespace}"
    reads = {"apiGroups": [SPACES], "resources": ["controlplanes"], "verbs": READ}
    labels = _labels(place)
    return (
        item(CLUSTERROLES, census, labels=labels, rules=[reads]),
        item(
            CLUSTERROLEBINDINGS,
            census,
            labels=labels,
            roleRef={"apiGroup": RBAC, "kind": "ClusterRole", "name": census},
            subjects=[_subject("vector", place)],
        ),
        *_in_group("vector", "vector", place, rules=[_own_status(place), EVENTS]),
        *_in_host_namespace("vector", "vector", place, rules=[EVENTS]),
    )


def of_external_secrets(place: Place) -> tuple[Item, ...]:
    """The shared resources of its group and the Secrets that they name, and tokens of its own service account."""
    account = "external-secrets-controller"
    group_rules: list[KubeObject] = [
        {
            "apiGroups": [SPACES],
            "resources": ["sharedsecretstores", "sharedexternalsecrets", "controlplanes"],
            "verbs": READ,
        },
        {
            "apiGroups": [SPACES],
            "resources": ["sharedsecretstores/status", "sharedexternalsecrets/status"],
            "verbs": ["get", "patch", "update"],
        },
        # The peers' count of control planes is an annotation.
        {"apiGroups": [SPACES], "resources": ["sharedsecretstores", "sharedexternalsecrets"], "verbs": ["patch"]},
        _own_status(place),
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]},
        EVENTS,
    ]
    host_rules: list[KubeObject] = [
        {"apiGroups": [""], "resources": ["serviceaccounts"], "resourceNames": [account], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["serviceaccounts/token"], "resourceNames": [account], "verbs": ["create"]},
        # Two pods never both write: the second waits for the first's Lease. A name cannot narrow "create".
        {"apiGroups": [LEASES.group], "resources": ["leases"], "verbs": ["create"]},
        {
            "apiGroups": [LEASES.group],
            "resources": ["leases"],
            "resourceNames": [account],
            "verbs": ["get", "update"],
        },
        EVENTS,
    ]
    return (
        *_in_group("external-secrets", account, place, rules=group_rules),
        *_in_host_namespace("external-secrets", account, place, rules=host_rules),
    )


def of_backup(place: Place) -> tuple[Item, ...]:
    """Its control plane: whether it is being deleted, and what is said of its snapshots."""
    own = {"apiGroups": [SPACES], "resources": ["controlplanes"], "resourceNames": [place.name], "verbs": ["get"]}
    return _in_group("backup", "backup", place, rules=[own, _own_status(place)])


def of_kms(place: Place) -> tuple[Item, ...]:
    """Its control plane, and what is said of the key."""
    own = {"apiGroups": [SPACES], "resources": ["controlplanes"], "resourceNames": [place.name], "verbs": ["get"]}
    return _in_group(KMS_PLUGIN, CONTROL_PLANE, place, rules=[own, _own_status(place)])


def of_restore(place: Place) -> tuple[Item, ...]:
    """The keys of the snapshot, into the one Secret that waits for them."""
    rule = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": [RESTORED], "verbs": ["patch"]}
    return _in_host_namespace(RESTORE, "backup", place, rules=[rule])


def _own_status(place: Place) -> KubeObject:
    return {
        "apiGroups": [SPACES],
        "resources": ["controlplanes/status"],
        "resourceNames": [place.name],
        "verbs": ["get", "patch", "update"],
    }


def _in_group(component: str, account: str, place: Place, *, rules: list[KubeObject]) -> tuple[Item, Item]:
    return _role(f"{place.name}-{component}", place.group, account, place, rules=rules, owners=[place.owner])


def _in_host_namespace(component: str, account: str, place: Place, *, rules: list[KubeObject]) -> tuple[Item, Item]:
    return _role(component, place.host_namespace, account, place, rules=rules, owners=[])


def _role(
    name: str, namespace: str, account: str, place: Place, *, rules: list[KubeObject], owners: list[KubeObject]
) -> tuple[Item, Item]:
    labels = _labels(place)
    return (
        item(ROLES, name, namespace, labels=labels, owners=owners, rules=rules),
        item(
            ROLEBINDINGS,
            name,
            namespace,
            labels=labels,
            owners=owners,
            roleRef={"apiGroup": RBAC, "kind": "Role", "name": name},
            subjects=[_subject(account, place)],
        ),
    )


def _labels(place: Place) -> dict[str, str]:
    return {CONTROL_PLANE_LABEL: place.control_plane_id}


def _subject(account: str, place: Place) -> KubeObject:
    return {"kind": "ServiceAccount", "name": account, "namespace": place.host_namespace}

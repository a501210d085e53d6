"""NamespaceLifecycle: nothing is created in a namespace that is missing or going; some namespaces stay for ever."""

from __future__ import annotations

from keyless.local.cluster.admission.attributes import Attributes
from keyless.local.cluster.status import ApiError, details, forbidden, not_found
from keyless.local.cluster.store import Key, Store

IMMORTAL = frozenset({"default", "kube-system", "kube-public"})


def check(store: Store, attributes: Attributes) -> None:
    """Refuse a creation in a namespace that cannot take it."""
    target = attributes.target
    if attributes.operation != "CREATE" or not target.served.namespaced:
        return
    entry = store.get(Key(target.cluster, "", "namespaces", "", target.namespace))
    if entry is None:
        raise not_found("", "namespaces", target.namespace)
    if entry.object.get("status", {}).get("phase") == "Terminating" or "deletionTimestamp" in entry.object["metadata"]:
        raise _terminating(attributes)


def _terminating(attributes: Attributes) -> ApiError:
    target = attributes.target
    served, space = target.served, target.namespace
    error = forbidden(
        served.group,
        served.plural,
        target.name,
        f"unable to create new content in namespace {space} because it is being terminated",
    )
    cause = {
        "reason": "NamespaceTerminating",
        "message": f"namespace {space} is being terminated",
        "field": "metadata.namespace",
    }
    error.status["details"] = details(served.group, served.plural, target.name, [cause])
    return error


def check_deletion(attributes: Attributes) -> None:
    """Refuse to delete a namespace that a cluster cannot be without."""
    target = attributes.target
    if target.place == ("", "namespaces") and target.name in IMMORTAL:
        raise forbidden("", "namespaces", target.name, "this namespace may not be deleted")

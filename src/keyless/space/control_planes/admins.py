"""Which groups of the host administer a control plane from its first day. Pure.

Nobody who enters has a right inside before somebody there gives it, so somebody must be the first. The annotation
gives no more than ``writeConnectionSecretToRef`` does to whoever may change a ControlPlane; the rest is RBAC inside.
"""

from __future__ import annotations

from keyless.api import Reason
from keyless.kube.resources import CLUSTERROLEBINDINGS
from keyless.space.control_planes.model import Facts, Finding, Plan, Remove, way_of
from keyless.space.control_planes.tenant import RBAC
from keyless.space.entering.names import RESERVED
from keyless.space.items import Item, Key, is_ours, item

ANNOTATION = "keyless.dev/admin-groups"
"""On a ControlPlane: groups of the host, separated by commas."""
KEY = Key(CLUSTERROLEBINDINGS, "keyless:admins")


def wanted(facts: Facts) -> tuple[Item, ...]:
    """The binding to ``cluster-admin``, where groups are named that may be."""
    groups, _ = _named(facts)
    if not groups or way_of(facts) == "attached":
        return ()
    subjects = [{"apiGroup": RBAC, "kind": "Group", "name": group} for group in groups]
    role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "cluster-admin"}
    return (item(CLUSTERROLEBINDINGS, KEY.name, roleRef=role, subjects=subjects),)


def withdraw(facts: Facts) -> Plan:
    """Take the binding away where no group is named any more; say what of the annotation is not acted upon."""
    live = (facts.tenant or {}).get(KEY)
    gone = live is not None and is_ours(live) and not wanted(facts)
    return Plan((Remove(KEY, "tenant"),) if gone else (), _refused(facts))


def _refused(facts: Facts) -> tuple[Finding, ...]:
    groups, reserved = _named(facts)
    if way_of(facts) == "attached" and (groups or reserved):
        why = "its API was brought, and whoever runs it gives the first right there"
    elif reserved:
        why = f"{', '.join(reserved)}: expected groups of the host's identity provider, which begin with none of "
        why += ", ".join(RESERVED)
    else:
        return ()
    return (Finding("Synced", False, Reason.ACCESS_DENIED, f"annotation {ANNOTATION}: {why}"),)


def _named(facts: Facts) -> tuple[tuple[str, ...], tuple[str, ...]]:
    text = (facts.control_plane["metadata"].get("annotations") or {}).get(ANNOTATION) or ""
    names = dict.fromkeys(name for each in text.split(",") if (name := each.strip()))
    return (
        tuple(name for name in names if not name.startswith(RESERVED)),
        tuple(name for name in names if name.startswith(RESERVED)),
    )

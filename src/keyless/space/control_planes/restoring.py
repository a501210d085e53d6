"""A new control plane that begins as a snapshot of another: annotation ``keyless.dev/restore-from``. Pure.

Before its keys are made the volume is filled, by a pod as service account ``backup``; then the keys, with those of the
snapshot's Secrets beside its own, then all as with any other. It has an id of its own: its usage is counted under that,
and tokens of the other are void. Once it has keys the annotation is not looked at any more.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from keyless.api import Reason, Refusal
from keyless.backup.model import wanted_of
from keyless.kube import KubeObject
from keyless.kube.resources import PODS
from keyless.space import components, pods, rights
from keyless.space.control_planes.availability import unavailable
from keyless.space.control_planes.model import Create, Facts, Plan, Remove, Step, way_of
from keyless.space.control_planes.writing import write
from keyless.space.items import CONTROL_PLANE_LABEL, Item, Key, item
from keyless.space.kubernetes import workload
from keyless.space.kubernetes.issuing import is_placed
from keyless.space.kubernetes.names import RESTORE, claim_key, keys_key, restored_key, workload_key
from keyless.space.place import Place
from keyless.space.values import Values

ANNOTATION = "keyless.dev/restore-from"
AGAIN = timedelta(seconds=15)
"""A pod that failed is made anew after so long: its identity may have come meanwhile, and only new pods get it."""


def asked(facts: Facts) -> str:
    """What shall be restored; empty: nothing."""
    return str((facts.control_plane["metadata"].get("annotations") or {}).get(ANNOTATION, "")).strip()


def is_due(facts: Facts, place: Place) -> bool:
    """Whether the volume is still to be filled."""
    begun = keys_key(place) in facts.host or workload_key(place) in facts.host
    return bool(asked(facts)) and not begun and not is_placed(facts.host.get(restored_key(place)))


def refusal(facts: Facts, place: Place) -> Refusal | None:
    """Why it cannot be begun."""
    if not is_due(facts, place):
        return None
    if wanted_of(asked(facts)) is None:
        return Refusal(
            Reason.RESTORE_REFUSED,
            f"annotation {ANNOTATION}: expected a control plane's id, or ID/SNAPSHOT as status.backup.snapshot has it, "
            f"found {asked(facts)!r}; delete this control plane and create it with another",
        )
    if isinstance(facts.values, Values) and not facts.values.backup.serves:
        return Refusal(
            Reason.BACKUP_NOT_CONFIGURED,
            f"annotation {ANNOTATION}: expected backup.enabled and backup.storage.aws.bucket, from which it is "
            "restored, in the values; set them and run helm upgrade again",
        )
    return None


def elsewhere(facts: Facts) -> Refusal:
    """Of a control plane whose etcd is not ours."""
    return Refusal(
        Reason.RESTORE_REFUSED,
        f"annotation {ANNOTATION}: expected a control plane that has an API server of its own, found one of mode "
        f"{way_of(facts) or 'auto'}: set controlPlanes.api.mode to kubernetes, or create it without the annotation",
    )


def bring(facts: Facts, place: Place) -> Plan | None:
    """The next steps; None: there is nothing to restore, or it is in its place."""
    if not is_due(facts, place) or not isinstance(facts.values, Values):
        return None
    made = [workload.claim(facts.values, place), _secret(place)]
    missing: tuple[Step, ...] = tuple(Create(each) for each in made if each.key not in facts.host)
    written = write(facts, (*components.backup(facts.values, place).before, *rights.of_restore(place)))
    return replace(
        written, steps=(*missing, *written.steps, *(() if written.steps else _pod(facts, facts.values, place)))
    )


def waiting(facts: Facts, place: Place) -> str:
    """What it waits for; empty: for nothing."""
    if not is_due(facts, place):
        return ""
    why = unavailable(RESTORE, None, facts.pods.get(RESTORE, ()))
    return f"waiting for {asked(facts)} to be restored (see condition Restored): {why}"


def over(facts: Facts, place: Place) -> tuple[Step, ...]:
    """What was for the restoring alone, once there are keys; the Secret with the other's last."""
    pods_left = [
        each["metadata"] for each in facts.pods.get(RESTORE, ()) if not each["metadata"].get("deletionTimestamp")
    ]
    keys = [each.key for each in reversed(rights.of_restore(place))]
    return (
        *(Remove(Key(PODS, each["name"], each["namespace"])) for each in pods_left),
        *(Remove(key) for key in (*keys, restored_key(place)) if key in facts.host),
    )


def _pod(facts: Facts, values: Values, place: Place) -> tuple[Step, ...]:
    found = facts.pods.get(RESTORE, ())
    if not found:
        template = pods.restore_template(values, place, asked(facts), claim_key(place).name)
        metadata = template["metadata"]
        labels, annotations = metadata["labels"], metadata.get("annotations") or {}
        made = item(PODS, RESTORE, place.host_namespace, labels=labels, annotations=annotations, spec=template["spec"])
        return (Create(made),)
    return tuple(
        Remove(Key(PODS, pod["metadata"]["name"], pod["metadata"]["namespace"]))
        for pod in found
        if _failed(pod, facts.now)
    )


def _failed(pod: KubeObject, now: datetime) -> bool:
    status = pod.get("status") or {}
    if status.get("phase") != "Failed" or pod["metadata"].get("deletionTimestamp"):
        return False
    began = status.get("startTime") or pod["metadata"].get("creationTimestamp")
    return not began or now - datetime.fromisoformat(began) > AGAIN


def _secret(place: Place) -> Item:
    """Made empty: so whoever restores needs no right to create one."""
    key = restored_key(place)
    labels = {CONTROL_PLANE_LABEL: place.control_plane_id}
    return item(key.resource, key.name, key.namespace, labels=labels, type="Opaque", data={})

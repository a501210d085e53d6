"""Mode ``kubernetes``: the control plane's API server runs in the host namespace. Pure.

First an address, then keys, then what they sign for that address, then the pod. Keys are made once: with others nothing
that etcd holds could be read, so where they are gone and the volume is there, that is told and nothing is made anew.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import replace

from keyless.api import Reason, Refusal
from keyless.kube import KubeObject
from keyless.kube.resources import PODS
from keyless.space.control_planes import authority, encrypting, holding, keyed, lost_nodes, restoring, room
from keyless.space.control_planes.availability import unavailable
from keyless.space.control_planes.model import Facts, IssueCertificates, MakeKeys, Pending, Plan, Remove, Served, Step
from keyless.space.control_planes.writing import write
from keyless.space.items import CONTROL_PLANE_LABEL, Item, Key
from keyless.space.kubernetes import issuing, sizes, workload
from keyless.space.kubernetes.names import (
    NAME,
    RESTORE,
    addresses,
    all_keys,
    backup_key,
    certificates_key,
    claim_key,
    etcd_url,
    keys_key,
    operator_key,
    restored_key,
    service_key,
    workload_key,
)
from keyless.space.kubernetes.outside import hostname_of
from keyless.space.place import Place
from keyless.space.values import Values


def served(facts: Facts, place: Place) -> Served | Pending | Refusal | None:
    """The API as it stands; None: nobody has asked for one yet."""
    if refused := refusal(facts, place):
        return refused
    address = _addresses(facts, place)
    live = facts.host.get(workload_key(place))
    if why := restoring.waiting(facts, place):
        return Pending(why)
    if not address or live is None:
        return None
    if live["metadata"].get("deletionTimestamp"):
        return Pending(f"{workload_key(place)} is being deleted")
    known = issuing.way_in(facts.host.get(operator_key(place)))
    if known is None:
        return Pending(f"waiting for {operator_key(place)}")
    if not (live.get("status") or {}).get("readyReplicas") and facts.tenant is None:
        if (full := room.volume_full(facts, place)) is not None:
            return full
        if lost := lost_nodes.told(facts.pods.get(NAME, ()), facts.nodes):
            return Refusal(Reason.NODE_LOST, f"the control plane's API does not answer: {lost}")
        why = _refused_pod(facts, place) or unavailable(NAME, _as_deployment(live), facts.pods.get(NAME, ()))
        if workload.has_plugin(live) and (refused_key := keyed.trouble(facts)):
            why = f"{why}; {keyed.CONDITION}: {refused_key}"
        return Pending(f"waiting for {workload_key(place)} to be ready: {why}")
    ca, certificate, key = known
    return Served(_url(address[0]), ca, certificate=certificate, key=key, etcd=_etcd(facts, place, address))


def _etcd(facts: Facts, place: Place, address: tuple[str, ...]) -> Served | None:
    known = issuing.way_to_etcd(facts.host.get(operator_key(place)))
    if known is None:
        return None
    quota = workload.quota_of(facts.host.get(workload_key(place)))
    return Served(etcd_url(address), known[0], certificate=known[1], key=known[2], quota=quota)


def keep(facts: Facts, place: Place, *, stopped: bool = False) -> Plan:
    """What is due to make or to renew; without steps it is as it should be. ``stopped``: all but a pod."""
    if refusal(facts, place) is not None:
        return Plan()
    values = facts.values if isinstance(facts.values, Values) else None
    address = _addresses(facts, place)
    if values is None and address:
        # Values that cannot be read change nothing.
        before = Plan()
    else:
        policy = workload.policy(values, place, facts.release_namespace)
        before = write(facts, (workload.service(values, place), policy))
    if not address:
        return before
    keys = issuing.keys_of(facts.host.get(keys_key(place)))
    if keys is None:
        first = restoring.bring(facts, place)
        if first is not None:
            return replace(first, steps=(*before.steps, *first.steps))
        return replace(before, steps=(*before.steps, MakeKeys()))
    before = replace(before, steps=(*before.steps, *restoring.over(facts, place), *encrypting.keep(facts, place).steps))
    if standing := authority.stand(facts, place):
        return replace(before, steps=(*before.steps, *standing))
    keys = authority.signing(facts.host, place)
    assert keys is not None  # there is one that stands
    every = (*addresses(place, address), *_outside(facts, place))
    # A credential for etcd that nobody uses is not made; values that cannot be read change nothing.
    backed_up = values.backup.serves if values is not None else backup_key(place) in facts.host
    due = min(
        issuing.due_in_seconds(facts.host.get(key), keys, every, facts.now)
        for key in (certificates_key(place), operator_key(place), *([backup_key(place)] if backed_up else []))
    )
    if due <= 0:
        return replace(before, steps=(*before.steps, IssueCertificates(every, backup=backed_up)))
    around = keyed.bring(facts, place)
    if around.steps:
        return replace(before, steps=(*before.steps, *around.steps))
    before = replace(before, steps=(*before.steps, *keyed.retire(facts, place)))
    runs = _pod(facts, place, stopped=stopped)
    waits = [due, *(each for each in (before.again_seconds, runs.again_seconds) if each is not None)]
    return Plan((*before.steps, *runs.steps), (*before.findings, *runs.findings), min(waits))


def outside(facts: Facts, place: Place) -> str:
    """The URL by which callers from outside reach it: by its name in the values, else by its load balancer's."""
    found = _outside(facts, place)
    return _url(found[0]) if found else ""


def remains(facts: Facts, place: Place) -> tuple[Key, ...]:
    """What is ours of it and not on its way out, in the order in which it goes."""
    found = ((key, facts.host.get(key)) for key in all_keys(place))
    filling = [pod["metadata"] for pod in facts.pods.get(RESTORE, ()) if not pod["metadata"].get("deletionTimestamp")]
    return tuple(Key(PODS, each["name"], each["namespace"]) for each in filling) + tuple(
        key
        for key, live in found
        if live is not None and not live["metadata"].get("deletionTimestamp") and _owner(live) == place.control_plane_id
    )


def _pod(facts: Facts, place: Place, *, stopped: bool) -> Plan:
    live = facts.host.get(workload_key(place))
    if not isinstance(facts.values, Values):
        return Plan()
    v6 = any(ipaddress.ip_address(each).version == 6 for each in _addresses(facts, place)[:1])
    quota = sizes.quota_bytes(facts.values.api_server.size, facts.host.get(claim_key(place)))
    known = authority.known(facts.host, place)
    marks = {authority.APART: known.restart} if known is not None and known.restart else {}
    kms, replicas = keyed.is_used(facts, place), 0 if stopped else 1
    wanted = _wanted(facts.values, place, live, quota=quota, v6=v6, replicas=replicas, marks=marks, kms=kms)
    written = write(facts, (wanted,))
    stuck: tuple[Step, ...] = tuple(
        Remove(Key(PODS, pod["metadata"]["name"], pod["metadata"]["namespace"]))
        for pod in facts.pods.get(NAME, ())
        if _is_stuck(pod, live)
    )
    return replace(written, steps=(*written.steps, *stuck))


def _wanted(
    values: Values,
    place: Place,
    live: KubeObject | None,
    *,
    quota: int,
    v6: bool,
    replicas: int,
    marks: Mapping[str, str],
    kms: bool,
) -> Item:
    """A StatefulSet's claims cannot be changed: what exists keeps the size and class that it was made with."""
    if live is not None:
        spec = live["spec"]["volumeClaimTemplates"][0]["spec"]
        size, storage_class = spec["resources"]["requests"]["storage"], spec.get("storageClassName", "")
        values = replace(values, api_server=replace(values.api_server, size=size, storage_class=storage_class))
    wanted = workload.workload(values, place, quota=quota, v6=v6, replicas=replicas, marks=marks, kms=kms)
    if not kms and live is not None and live["spec"]["template"]["spec"].get("serviceAccountName"):
        # Of a KMS plugin that was there. The name cannot be taken out again: Kubernetes keeps it in two fields, and
        # each brings back the other.
        wanted.object["spec"]["template"]["spec"]["serviceAccountName"] = "default"
    return wanted


def _is_stuck(pod: KubeObject, live: KubeObject | None) -> bool:
    """A StatefulSet waits for a pod that can never be ready, also when its template was mended: that pod must go.

    https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback
    """
    wanted = ((live or {}).get("status") or {}).get("updateRevision")
    metadata = pod["metadata"]
    if not wanted or metadata.get("deletionTimestamp"):
        return False
    conditions = (pod.get("status") or {}).get("conditions") or ()
    is_ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return not is_ready and (metadata.get("labels") or {}).get("controller-revision-hash") not in (None, wanted)


def refusal(facts: Facts, place: Place) -> Refusal | None:
    """Why nothing is made: something of another, or of its own, stands in the way."""
    for key in all_keys(place):
        live = facts.host.get(key)
        if live is not None and _owner(live) != place.control_plane_id:
            return Refusal(
                Reason.API_TAKEN,
                f"{key} exists and is not this control plane's: a control plane's API needs that name; "
                "choose another spec.hostNamespace for a new control plane, or remove it",
            )
    # Before what it once began as is brought again: that may be long out of date.
    if (lost := holding.lost(facts, place)) is not None:
        return lost
    if restoring.is_due(facts, place):
        return restoring.refusal(facts, place)
    if issuing.is_placed(facts.host.get(restored_key(place))) and workload_key(place) not in facts.host:
        return None  # the volume holds what was restored, and its keys are about to be made
    kept = facts.host.get(keys_key(place))
    if issuing.keys_of(kept) is None and (kept is not None or claim_key(place) in facts.host):
        what = "is not whole" if kept is not None else "is gone"
        return Refusal(
            Reason.API_KEYS_LOST,
            f"{keys_key(place)} {what}, and {claim_key(place)} holds what was encrypted and signed with it: restore "
            "that Secret from a backup; nothing is made anew, for with others nothing could be read. To give up what "
            "the control plane holds, delete the ControlPlane",
        )
    return encrypting.refusal(facts, place)


def _refused_pod(facts: Facts, place: Place) -> str:
    """A StatefulSet says of a pod that may not be made nothing in its status: it was asked for, without making it."""
    if not facts.pod_refused:
        return ""
    step = (
        f"`kubectl describe resourcequota -n {place.host_namespace}` shows it: raise it, or ask for less in "
        "controlPlanes.kubernetes.resources"
        if "quota" in facts.pod_refused
        else f"what refuses pods in namespace {place.host_namespace} has to admit this one"
    )
    return f"its pod is refused: {facts.pod_refused}; {step}"


def _owner(live: KubeObject) -> str:
    return str((live["metadata"].get("labels") or {}).get(CONTROL_PLANE_LABEL, ""))


def _addresses(facts: Facts, place: Place) -> tuple[str, ...]:
    spec = (facts.host.get(service_key(place)) or {}).get("spec") or {}
    found = spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else [])
    return tuple(each for each in found if each and each != "None")


def _outside(facts: Facts, place: Place) -> tuple[str, ...]:
    """Its names and addresses outside, the one to call it by first."""
    service = facts.host.get(service_key(place)) or {}
    if isinstance(facts.values, Values):
        hostname = hostname_of(facts.values.api_server, place)
        kind = facts.values.api_server.service_type
    else:
        hostname, kind = "", (service.get("spec") or {}).get("type", "")
    # What an earlier load balancer left in the status is no way in any more.
    balancers = (
        ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") if kind == "LoadBalancer" else ()
    )
    given = [each.get("hostname") or each.get("ip") or "" for each in balancers or ()]
    return tuple(dict.fromkeys(each for each in (hostname, *given) if each))


def _url(address: str) -> str:
    return f"https://[{address}]" if ":" in address else f"https://{address}"


def _as_deployment(live: KubeObject) -> KubeObject:
    status = live.get("status") or {}
    return {"status": {"availableReplicas": status.get("readyReplicas"), "conditions": status.get("conditions")}}

"""Which authority signs for a control plane, which ones are trusted, and that there is always one. Pure.

It is in the immutable Secret of keys until the first change, then in Secret ``control-plane-authority``, and a label on
the first says so. Nothing that a control plane stores depends on it: where it has ended or is lost another one is made
at once, with an outage, and that is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from keyless.kube import KubeObject
from keyless.space.control_planes.model import Facts, Label, Step, WriteAuthorities
from keyless.space.items import Key
from keyless.space.kubernetes import issuing
from keyless.space.kubernetes.authorities import Authorities, Authority, authorities_of, certificates_in
from keyless.space.kubernetes.names import authority_key, certificates_key, keys_key
from keyless.space.place import Place

ANNOTATION = "keyless.dev/rotate-authority"
"""On a ControlPlane: each new value asks for one more change of the authority."""
APART = "keyless.dev/authorities"
"""On the Secret of keys: the authorities lie in a Secret of their own. In the pod's template: what it began with."""


def asked(facts: Facts) -> str:
    """What asks for another authority; empty: nothing."""
    return str((facts.control_plane["metadata"].get("annotations") or {}).get(ANNOTATION, "")).strip()


def is_apart(host: Mapping[Key, KubeObject], place: Place) -> bool:
    """Whether the authorities lie in a Secret of their own."""
    metadata = host.get(keys_key(place), {}).get("metadata") or {}
    return bool((metadata.get("labels") or {}).get(APART))


def known(host: Mapping[Key, KubeObject], place: Place) -> Authorities | None:
    """Those that count; None: there are no keys, or the Secret of the authorities is lost."""
    found = authorities_of(host.get(authority_key(place)))
    if found is not None or is_apart(host, place):
        return found
    secret = host.get(keys_key(place))
    keys = issuing.keys_of(secret)
    if secret is None or keys is None:
        return None
    made_at = datetime.fromisoformat(secret["metadata"]["creationTimestamp"])
    return Authorities((Authority(keys["ca.crt"], keys["ca.key"]),), made_at)


def signing(host: Mapping[Key, KubeObject], place: Place) -> Mapping[str, str] | None:
    """The control plane's keys with the authority that signs now, and as ``ca.bundle`` all that are trusted."""
    keys, found = issuing.keys_of(host.get(keys_key(place))), known(host, place)
    if keys is None or found is None:
        return None
    return {**keys, "ca.crt": found.first.certificate, "ca.key": found.first.key, issuing.BUNDLE: found.bundle}


def stand(facts: Facts, place: Place) -> tuple[Step, ...]:
    """What makes that there is an authority whose word counts now; without steps there is."""
    host, now = facts.host, facts.now
    secret, found = host.get(authority_key(place)), known(facts.host, place)
    if found is None:
        told = certificates_in(issuing.told_bundle(host.get(certificates_key(place))))
        lost = Authorities(tuple(Authority(each, "") for each in told), now, asked=asked(facts))
        return (WriteAuthorities(lost, version_of(secret), new="first", why="lost"),)
    if secret is not None and authorities_of(secret) is not None and not is_apart(host, place):
        # Before anything depends on what is nowhere else: from here on its loss is noticed.
        keys = host[keys_key(place)]
        return (Label(keys_key(place), {APART: "apart"}, keys["metadata"]["resourceVersion"]),)
    if found.first.holds(now):
        return ()
    if found.stage == "added" and found.all[1].holds(now):
        return (WriteAuthorities(found.forced(now), version_of(secret)),)
    return (WriteAuthorities(found, version_of(secret), new="first", why="ended"),)


def version_of(secret: KubeObject | None) -> str:
    """Which version was read; empty: it is not there."""
    return str(secret["metadata"]["resourceVersion"]) if secret is not None else ""

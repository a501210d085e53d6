"""What every pod needs of the release's namespace, copied beside it: pull secrets, and the CA bundle. Pure.

A pod refers to nothing of another namespace, and host namespaces are made by the operator: so users name an object of
the release's namespace once. A copy follows its source. Where a source is gone the copy stays, for pods run with it,
and that it is gone is told. All pull secrets become one, under a name of ours: the operator may not list Secrets, and
what earlier values asked for must be found again without.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace

from keyless.api import Reason
from keyless.kube import KubeObject
from keyless.kube.resources import CONFIGMAPS, SECRETS
from keyless.space.control_planes.model import Facts, Finding, Plan, Remove
from keyless.space.control_planes.writing import write
from keyless.space.items import CONTROL_PLANE_LABEL, Item, Key, is_ours, item
from keyless.space.place import Place
from keyless.space.surroundings import CA_COPY, CA_FILE, PULL_COPY, CaBundle, Surroundings
from keyless.space.values import Values

COPY_LABEL = "keyless.dev/copy"
"""On Secrets that are copies."""
DOCKER_CONFIG = "kubernetes.io/dockerconfigjson"
_PEM = b"-----BEGIN CERTIFICATE-----"


def sources(facts: Facts) -> tuple[Key, ...]:
    """What is copied."""
    around = _around(facts)
    pull = tuple(Key(SECRETS, name, facts.release_namespace) for name in around.pull_secrets)
    return (*pull, _ca_source(around.ca_bundle, facts)) if around.ca_bundle else pull


def targets(place: Place) -> tuple[Key, ...]:
    """Where it is copied to, if anything is: names of our own, by which what earlier values left is found again."""
    return tuple(Key(SECRETS, name, place.host_namespace) for name in (PULL_COPY, CA_COPY))


def existing(facts: Facts, place: Place) -> tuple[Key, ...]:
    """The copies that are there."""
    return tuple(key for key in targets(place) if (live := facts.host.get(key)) is not None and _is_copy(live))


def bring(facts: Facts, place: Place) -> Plan:
    """Write what differs, take away what is named no more, tell of what cannot be copied."""
    if not isinstance(facts.values, Values):
        return Plan()
    around = facts.values.surroundings
    items, told = _wanted(facts, place)
    foreign = [key for key in targets(place) if key in facts.host and not _is_copy(facts.host[key])]
    written = write(facts, [each for each in items if each.key not in foreign])
    asked = {PULL_COPY: bool(around.pull_secrets), CA_COPY: around.ca_bundle is not None}
    stale = [Remove(key) for key in existing(facts, place) if not asked[key.name]]
    return replace(written, steps=(*written.steps, *stale), findings=(*written.findings, *told))


def stamped(values: Values, facts: Facts, place: Place) -> Values:
    """The values with what is known of the bundle's content: the source's, else that of the copy which pods have."""
    bundle = values.surroundings.ca_bundle
    if bundle is None:
        return values
    text = _ca_text(bundle, facts)
    if not isinstance(text, bytes):
        copy = facts.host.get(Key(SECRETS, CA_COPY, place.host_namespace)) or {}
        text = _decoded((copy.get("data") or {}).get(CA_FILE)) or b""
    stamp = hashlib.sha256(text).hexdigest()[:16] if text else ""
    return replace(values, surroundings=replace(values.surroundings, ca_bundle=replace(bundle, stamp=stamp)))


def _around(facts: Facts) -> Surroundings:
    return facts.values.surroundings if isinstance(facts.values, Values) else Surroundings()


def _ca_source(bundle: CaBundle, facts: Facts) -> Key:
    resource = SECRETS if bundle.kind == "Secret" else CONFIGMAPS
    return Key(resource, bundle.name, facts.release_namespace)


def _is_copy(live: KubeObject) -> bool:
    return is_ours(live) and (live["metadata"].get("labels") or {}).get(COPY_LABEL) == "true"


def _wanted(facts: Facts, place: Place) -> tuple[list[Item], list[Finding]]:
    around, told = _around(facts), list[Finding]()
    items = []
    if around.pull_secrets:
        found = _pull_config(around.pull_secrets, facts)
        if isinstance(found, Finding):
            told.append(found)
        else:
            items.append(_copy(PULL_COPY, place, DOCKER_CONFIG, ".dockerconfigjson", found))
    if around.ca_bundle is not None:
        text = _ca_text(around.ca_bundle, facts)
        if isinstance(text, Finding):
            told.append(text)
        else:
            items.append(_copy(CA_COPY, place, "Opaque", CA_FILE, text))
    return items, told


def _copy(name: str, place: Place, kind: str, key: str, text: bytes) -> Item:
    labels = {COPY_LABEL: "true", CONTROL_PLANE_LABEL: place.control_plane_id}
    data = {key: base64.b64encode(text).decode()}
    return item(SECRETS, name, place.host_namespace, labels=labels, type=kind, data=data)


def _pull_config(names: tuple[str, ...], facts: Facts) -> bytes | Finding:
    """All registries of all Secrets, in one."""
    registries: dict[str, object] = {}
    whose: dict[str, str] = {}
    for name in names:
        key = Key(SECRETS, name, facts.release_namespace)
        live = facts.sources.get(key)
        if live is None:
            return _missing(key, "imagePullSecrets")
        if live.get("type") != DOCKER_CONFIG:
            return _no_pull_secret(key, live)
        for registry, credentials in _registries(live).items():
            if registries.setdefault(registry, credentials) != credentials:
                # Which registry is not told: users write a password into its URL, too.
                return _refused(
                    f"imagePullSecrets: Secrets {whose[registry]} and {name} hold different credentials for one "
                    "registry: expected the same; leave one of the Secrets out"
                )
            whose.setdefault(registry, name)
    return json.dumps({"auths": registries}, sort_keys=True).encode()


def _registries(live: KubeObject) -> dict[str, object]:
    """Empty for what is no configuration: the API server holds the type to be JSON, and the kubelet asks no more."""
    text = _decoded((live.get("data") or {}).get(".dockerconfigjson"))
    try:
        found = json.loads(text or b"{}")
    except (ValueError, RecursionError):
        return {}
    auths = found.get("auths") if isinstance(found, dict) else None
    return auths if isinstance(auths, dict) else {}


def _ca_text(bundle: CaBundle, facts: Facts) -> bytes | Finding:
    key = _ca_source(bundle, facts)
    live = facts.sources.get(key)
    if live is None:
        return _missing(key, "caBundle")
    data = live.get("data") or {}
    text = _decoded(data.get(bundle.key)) if bundle.kind == "Secret" else _encoded(data.get(bundle.key))
    if text is None:
        return _refused(f"{key}: expected key {bundle.key} (caBundle.key), found {_listed(data)}")
    if _PEM not in text:
        return _refused(f"{key}, key {bundle.key}: expected certificates in PEM, found none; put the CA's there")
    return text


def _decoded(text: object) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) else None
    except binascii.Error:
        return b""


def _encoded(text: object) -> bytes | None:
    return text.encode() if isinstance(text, str) else None


def _missing(key: Key, value: str) -> Finding:
    return _refused(f"{key}, which {value} names, is not there: create it, or take it out of the chart's values")


def _no_pull_secret(key: Key, live: KubeObject) -> Finding:
    return _refused(
        f"{key}, which imagePullSecrets names: expected type kubernetes.io/dockerconfigjson, found "
        f"{json.dumps(live.get('type', 'Opaque'))}; `kubectl create secret docker-registry` makes one"
    )


def _refused(message: str) -> Finding:
    return Finding("Synced", False, Reason.COPY_REFUSED, message)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"

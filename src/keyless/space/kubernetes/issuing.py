"""The Secrets with a control plane's keys and certificates: what they hold, and when they are due again."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from datetime import datetime

from keyless.api.sealed_by import KmsKey, Sealer, plugin_file, sealers_of
from keyless.backup.model import ENCRYPTION
from keyless.kube import KubeObject, timestamp
from keyless.serving.certificates import SLACK
from keyless.space.items import CONTROL_PLANE_LABEL, Item, Key, item
from keyless.space.kubernetes import files
from keyless.space.kubernetes.certificates import LIFE, Pair, Wanted, make_keys, sign
from keyless.space.kubernetes.names import (
    ETCD_CLIENT,
    backup_key,
    certificates_key,
    etcd_url,
    keys_key,
    operator_key,
)
from keyless.space.place import Place

ISSUED = "keyless.dev/certificates-issued-at"
FOR = "keyless.dev/certificates-for"
"""A hash of the authority and the addresses: with other ones the certificates are of no use."""
KEYS = ("ca.crt", "ca.key", "service-account.key", "service-account.pub", "encryption")
NAMED, OLDER = "encryption-name", "encryption-older"
"""Of a control plane that was restored: what its key is called, and the keys that it began with."""
KMS = "kms.json"
"""What the plugin is told, where there is one: the KMS keys alone."""
MASTERS = "system:masters"
"""kube-apiserver lets this group do everything; there is nobody else who could give the first right."""
CONTROLLER_MANAGER = "controller-manager"
OF_ETCD = "keyless:operator-of-etcd"
"""Who the operator is to etcd."""
BUNDLE = "ca.bundle"
"""Beside the keys: all authorities that are trusted, where they are more than the one that signs."""


def keys_item(place: Place, now: datetime, restored: KubeObject | None = None) -> Item:
    """New keys. Immutable: nobody changes them by mistake, and nothing can be read with others.

    With the Secret of a snapshot that was restored the keys of that stay beside the new one, which has another name.
    """
    made = make_keys(f"control plane {place.control_plane_id}", now)
    if older := sealers_of(_read(restored).get(ENCRYPTION, "").encode()):
        made[NAMED] = f"of-{place.control_plane_id}"
        made[OLDER] = json.dumps([_older(each) for each in older])
    return _secret(keys_key(place), place, made, {}, immutable=True)


def keys_of(secret: KubeObject | None) -> Mapping[str, str] | None:
    """The keys that a Secret holds; None where one is missing."""
    found = _read(secret)
    return found if all(found.get(name) for name in KEYS) else None


def is_placed(restored: KubeObject | None) -> bool:
    """Whether the volume holds what was restored."""
    return bool(_read(restored).get("placed"))


def encrypting(keys: Mapping[str, str]) -> tuple[Sealer, ...]:
    """The keys of Secrets in etcd, the one that is written with first."""
    older = [_sealer(each) for each in json.loads(keys.get(OLDER, "[]"))]
    return ((keys.get(NAMED, "first"), keys["encryption"]), *older)


def _older(sealer: Sealer) -> tuple[str, ...]:
    """Of a KMS key a third part: for which control plane it encrypts."""
    return (sealer.name, sealer.key_id, sealer.control_plane_id) if isinstance(sealer, KmsKey) else sealer


def _sealer(kept: list[str]) -> Sealer:
    name, what, *of = kept
    return KmsKey(name, what, of[0]) if of else (name, what)


def told_keys(certificates: KubeObject | None) -> tuple[Sealer, ...]:
    """The keys that kube-apiserver is told, the one that it writes with first; empty: it is told none."""
    return sealers_of(_read(certificates).get(ENCRYPTION, "").encode())


def told_config(certificates: KubeObject | None) -> str:
    """The EncryptionConfiguration as the pod mounts it; empty: there is none."""
    return _read(certificates).get(ENCRYPTION, "")


def told_bundle(certificates: KubeObject | None) -> str:
    """The authorities that the pod is told to trust, as PEM; empty: none."""
    return _read(certificates).get("ca.crt", "")


def with_config(certificates: KubeObject, config: str) -> KubeObject:
    """What makes it another EncryptionConfiguration in the Secret that the pod mounts, if that is as it was read."""
    return {
        "metadata": {"resourceVersion": certificates["metadata"]["resourceVersion"]},
        "data": {name: _coded(text) for name, text in _config_files(config).items()},
    }


def _config_files(config: str) -> dict[str, str]:
    """At once, so that a socket is there when kube-apiserver is told of it. Without a KMS key there is one file."""
    sealers = sealers_of(config.encode())
    by_kms = any(isinstance(each, KmsKey) for each in sealers)
    return {ENCRYPTION: config, **({KMS: plugin_file(sealers)} if by_kms else {})}


def certificate_items(
    place: Place,
    keys: Mapping[str, str],
    addresses: tuple[str, ...],
    now: datetime,
    *,
    encryption: str,
    backup: bool = False,
) -> tuple[Item, ...]:
    """What the pod mounts, the operator's own way in, and with ``backup`` the way to etcd of what takes snapshots.

    ``encryption``: the EncryptionConfiguration.
    """
    server = sign(keys, Wanted("kube-apiserver", addresses=addresses), now)
    manager = sign(keys, Wanted("system:kube-controller-manager"), now)
    etcd = sign(keys, Wanted("etcd", addresses=addresses), now)
    operator = for_operator(keys, now)
    trusted = keys.get(BUNDLE, keys["ca.crt"])
    mounted = {
        "ca.crt": trusted,
        "service-account.key": keys["service-account.key"],
        "service-account.pub": keys["service-account.pub"],
        "api-server.crt": server.certificate,
        "api-server.key": server.key,
        "etcd.crt": etcd.certificate,
        "etcd.key": etcd.key,
        f"{CONTROLLER_MANAGER}.crt": manager.certificate,
        f"{CONTROLLER_MANAGER}.key": manager.key,
        f"{CONTROLLER_MANAGER}.json": files.kubeconfig(CONTROLLER_MANAGER),
        **_config_files(encryption),
        "authentication.json": files.authentication(),
        "audit.json": files.audit(),
    }
    to_etcd = for_etcd(keys, OF_ETCD, now)
    own = {
        "ca.crt": trusted,
        "tls.crt": operator.certificate,
        "tls.key": operator.key,
        "etcd.crt": to_etcd.certificate,
        "etcd.key": to_etcd.key,
    }
    marks = {ISSUED: timestamp(now), FOR: _mark(keys, addresses)}
    return (
        _secret(certificates_key(place), place, mounted, marks),
        _secret(operator_key(place), place, own, marks),
        *((_secret(backup_key(place), place, _way_to_etcd(keys, addresses, now), marks),) if backup else ()),
    )


def for_operator(keys: Mapping[str, str], now: datetime) -> Pair:
    """The operator's own way into kube-apiserver, by the authority in ``keys``."""
    return sign(keys, Wanted("keyless:operator", (MASTERS,)), now)


def _way_to_etcd(keys: Mapping[str, str], addresses: tuple[str, ...], now: datetime) -> dict[str, str]:
    pair = for_etcd(keys, "backup", now)
    return {
        "server": etcd_url(addresses),
        "ca.crt": keys.get(BUNDLE, keys["ca.crt"]),
        "tls.crt": pair.certificate,
        "tls.key": pair.key,
    }


def for_etcd(keys: Mapping[str, str], user: str, now: datetime) -> Pair:
    """What etcd lets in, by the authority in ``keys``."""
    return sign(keys, Wanted(user, addresses=(ETCD_CLIENT,), both=True), now)


def due_in_seconds(
    secret: KubeObject | None, keys: Mapping[str, str], addresses: tuple[str, ...], now: datetime
) -> float:
    """Seconds until a Secret of certificates must be written again; 0 or less: now."""
    marks = ((secret or {}).get("metadata") or {}).get("annotations") or {}
    if marks.get(FOR) != _mark(keys, addresses):
        return 0
    try:
        issued = datetime.fromisoformat(marks.get(ISSUED, ""))
    except ValueError:
        return 0
    if issued > now + SLACK:
        return 0  # a clock that was set back: they count from then on, and not before
    return (issued + LIFE / 2 - now).total_seconds()


def way_in(secret: KubeObject | None) -> tuple[str, str, str] | None:
    """CA, certificate and key of the operator; None before they are there."""
    found = _read(secret)
    ca, certificate, key = (found.get(name, "") for name in ("ca.crt", "tls.crt", "tls.key"))
    return (ca, certificate, key) if ca and certificate and key else None


def way_to_etcd(secret: KubeObject | None) -> tuple[str, str, str] | None:
    """CA, certificate and key with which the operator reaches etcd; None before they are there."""
    found = _read(secret)
    ca, certificate, key = (found.get(name, "") for name in ("ca.crt", "etcd.crt", "etcd.key"))
    return (ca, certificate, key) if ca and certificate and key else None


def _mark(keys: Mapping[str, str], addresses: tuple[str, ...]) -> str:
    # With what each release signs for: an upgrade that signs for more must not wait for the next renewal.
    names = (keys.get(BUNDLE, keys["ca.crt"]), ETCD_CLIENT, "operator of etcd", *sorted(addresses))
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]


def _secret(
    key: Key, place: Place, data: Mapping[str, str], annotations: Mapping[str, str], *, immutable: bool = False
) -> Item:
    encoded = {name: _coded(text) for name, text in data.items()}
    return item(
        key.resource,
        key.name,
        key.namespace,
        labels={CONTROL_PLANE_LABEL: place.control_plane_id},
        annotations=dict(annotations),
        type="Opaque",
        data=encoded,
        **({"immutable": True} if immutable else {}),
    )


def _coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _read(secret: KubeObject | None) -> dict[str, str]:
    found = {}
    for name, value in ((secret or {}).get("data") or {}).items():
        try:
            found[name] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue
    return found

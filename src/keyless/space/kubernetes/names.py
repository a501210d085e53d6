"""What is called how in a host namespace, and where it lies in the pod. Pure."""

from __future__ import annotations

import ipaddress

from keyless.kube.resources import (
    INGRESSES,
    NETWORKPOLICIES,
    PERSISTENTVOLUMECLAIMS,
    ROLEBINDINGS,
    ROLES,
    SECRETS,
    SERVICEACCOUNTS,
    SERVICES,
    STATEFULSETS,
    TLSROUTES,
)
from keyless.space.items import Key
from keyless.space.place import Place

NAME = "control-plane"
KEYS = "control-plane-keys"
"""The authority's key, the key that signs tokens, the key that encrypts: never mounted as a whole, never made twice."""
CERTIFICATES = "control-plane-certificates"
"""What the pod mounts."""
OPERATOR = "control-plane-operator"
"""The operator's own way in."""
BACKUP = "control-plane-backup"
"""The certificate with which snapshots are read from etcd, and etcd's address."""
ENCRYPTION = "control-plane-encryption"
"""The keys of Secrets in etcd, from the first change of them on, and how far the change is."""
AUTHORITY = "control-plane-authority"
"""The authorities, from the first change of them on, and how far the change is."""
RESTORED = "control-plane-restored"
"""The keys of a snapshot's Secrets, until the control plane has its own."""
KMS_PLUGIN = "kms-plugin"
"""The container that asks KMS."""
RESTORE = "restore"
"""The pod that fills the volume."""
CLAIM = f"data-{NAME}-0"
"""As a StatefulSet names the volume of its first pod."""
MOUNT = "/etc/keyless/api"
DATA = "/var/lib/etcd"
PORT = 6443
ETCD_PORT = 2381
"""Beside the one on the loopback, with certificates, where snapshots are taken."""
ETCD_CLIENT = "backup.etcd.keyless.internal"
"""The name that a certificate must carry to be let in by etcd; no certificate for kube-apiserver does."""


def service_key(place: Place) -> Key:
    """Where the API is reached."""
    return Key(SERVICES, NAME, place.host_namespace)


def keys_key(place: Place) -> Key:
    """What cannot be made again."""
    return Key(SECRETS, KEYS, place.host_namespace)


def encryption_key(place: Place) -> Key:
    """The keys of Secrets in etcd, once they were changed."""
    return Key(SECRETS, ENCRYPTION, place.host_namespace)


def authority_key(place: Place) -> Key:
    """The authorities, once there was more than one."""
    return Key(SECRETS, AUTHORITY, place.host_namespace)


def certificates_key(place: Place) -> Key:
    """What the pod mounts."""
    return Key(SECRETS, CERTIFICATES, place.host_namespace)


def operator_key(place: Place) -> Key:
    """The operator's certificate."""
    return Key(SECRETS, OPERATOR, place.host_namespace)


def backup_key(place: Place) -> Key:
    """The way to etcd."""
    return Key(SECRETS, BACKUP, place.host_namespace)


def restored_key(place: Place) -> Key:
    """What a restored control plane's keys are made with."""
    return Key(SECRETS, RESTORED, place.host_namespace)


def workload_key(place: Place) -> Key:
    """The pod of etcd, kube-apiserver and kube-controller-manager."""
    return Key(STATEFULSETS, NAME, place.host_namespace)


def policy_key(place: Place) -> Key:
    """Who may reach the pod."""
    return Key(NETWORKPOLICIES, NAME, place.host_namespace)


def claim_key(place: Place) -> Key:
    """All that the control plane holds."""
    return Key(PERSISTENTVOLUMECLAIMS, CLAIM, place.host_namespace)


def passing_keys(place: Place) -> tuple[Key, ...]:
    """What may pass callers from outside on to it."""
    return tuple(Key(each, NAME, place.host_namespace) for each in (INGRESSES, *TLSROUTES))


def kms_keys(place: Place) -> tuple[Key, ...]:
    """What the KMS plugin is beside the pod: its identity last."""
    role = f"{place.name}-{KMS_PLUGIN}"
    return (
        Key(ROLEBINDINGS, role, place.group),
        Key(ROLES, role, place.group),
        Key(SERVICEACCOUNTS, NAME, place.host_namespace),
    )


def all_keys(place: Place) -> tuple[Key, ...]:
    """In the order in which they go: what runs, what it holds, what opens it."""
    return (
        workload_key(place),
        policy_key(place),
        *passing_keys(place),
        service_key(place),
        claim_key(place),
        Key(ROLEBINDINGS, RESTORE, place.host_namespace),
        Key(ROLES, RESTORE, place.host_namespace),
        *kms_keys(place),
        restored_key(place),
        operator_key(place),
        certificates_key(place),
        encryption_key(place),
        authority_key(place),
        keys_key(place),
    )


def issuer(place: Place) -> str:
    """Whose tokens these are. Nobody can serve this name outside, so no cloud mistakes them for the host's."""
    return f"https://{NAME}.{place.host_namespace}.svc"


def etcd_url(addresses: tuple[str, ...]) -> str:
    """Where etcd is reached from other pods: by the Service's address, for a cluster need have no DNS."""
    (ip, *_) = [each for each in map(_ip, addresses) if each is not None and not each.is_loopback]
    return f"https://[{ip}]:{ETCD_PORT}" if ip.version == 6 else f"https://{ip}:{ETCD_PORT}"


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def addresses(place: Place, service_ips: tuple[str, ...]) -> tuple[str, ...]:
    """Every name and address by which the API may be called."""
    own = f"{NAME}.{place.host_namespace}"
    names = (f"{own}.svc", own, f"{own}.svc.cluster.local", "kubernetes.default.svc", "localhost")
    return (*names, "127.0.0.1", "::1", *service_ips)

"""Why a target may not be written, said before anything is written. Pure.

What comes from a provider, or was computed from it, is never named: a key or label that the spec spells out is, any
other is only said to come from where it comes from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from keyless.api import Reason
from keyless.kube import KubeObject
from keyless.kube.resources import EXTERNALSECRETS
from keyless.shared_secrets.sync.hashes import field_manager, owner_hash
from keyless.shared_secrets.sync.model import Wanted
from keyless.shared_secrets.sync.plan import SECONDS_TO_LOOK_FOR_TARGET, UPDATE_FAILED, Said
from keyless.shared_secrets.sync.target import (
    ADOPT,
    CREATED_BY_LABEL,
    OPAQUE,
    REPLACE,
    Part,
    controller_of,
    data_of,
    is_owned,
    managed_by,
    replaces_data,
    was_owned,
)

OWNED_ELSEWHERE = "target is owned by another ExternalSecret"
OWNERSHIP_FAILED = "failed to take ownership of target secret"
IMMUTABLE = "could not update secret, target is immutable"
# A Secret of these types is a credential of the control plane itself; whoever may write ExternalSecrets shall not make
# one, nor change one. External Secrets refuses most of it, too (docs/reference/facts/external-secrets-sync.md).
REFUSED_TYPES = frozenset({"kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token"})
REFUSED_ANNOTATIONS = frozenset({"kubernetes.io/service-account.name", "kubernetes.io/service-account.uid"})
MAX_SECRET_BYTES = 1024 * 1024
MAX_ANNOTATION_BYTES = 256 * 1024
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_WORD = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_DOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def clash(obj: KubeObject, wanted: Wanted, target: KubeObject | None, *, adopts: bool = False) -> Said | None:
    """Return why the target is not this ExternalSecret's to write; ``adopts`` takes any Secret that nobody owns."""
    if wanted.creation == "None":
        return None
    if refused := _refused_type(wanted, target):
        return _error(refused)
    # An owner of our own name is our predecessor: of one name there is one, and the collector is after its Secret.
    if target is None or is_owned(obj, target) or was_owned(obj, target):
        return None
    controller = controller_of(target)
    if controller is not None and controller.get("kind") == EXTERNALSECRETS.kind:
        return _error(
            f"{OWNED_ELSEWHERE}: {controller.get('name')} owns secret {wanted.target}; choose another target.name"
        )
    if controller is not None and wanted.creation == "Owner":
        return _error(
            f"{OWNERSHIP_FAILED}: {controller.get('kind')} {controller.get('name')} owns secret {wanted.target}"
        )
    if adopts or not replaces_data(wanted) or is_adopted(obj, target) or was_made_here(wanted, target):
        return None
    message = (
        f"{OWNERSHIP_FAILED}: secret {wanted.target} exists and nobody owns it; all its keys would be replaced. To "
        f"allow that: kubectl -n {wanted.namespace} annotate secret {wanted.target} {ADOPT}=true"
    )
    # The answer comes on a Secret that carries no label of ours, so no watch tells of it.
    return Said(False, Reason.SECRET_SYNCED_ERROR, message, SECONDS_TO_LOOK_FOR_TARGET)


def is_adopted(obj: KubeObject, target: KubeObject) -> bool:
    """Return whether a person said, on either object, that the Secret may be taken over."""
    return _says(obj, ADOPT) or _says(target, ADOPT)


def was_made_here(wanted: Wanted, target: KubeObject) -> bool:
    """Return whether an unowned Secret was left by this ExternalSecret: by its label, or by who created it.

    Having written into it is not enough: what was merged into a person's Secret does not make the rest ours.
    """
    by = (target["metadata"].get("labels") or {}).get(CREATED_BY_LABEL)
    if by:
        return bool(by == owner_hash(wanted.namespace, wanted.name))
    return managed_by(target, field_manager(wanted.name)).made


def may_replace(obj: KubeObject, wanted: Wanted, target: KubeObject) -> bool:
    """Return whether a target that cannot be changed may be deleted and made anew: it is ours, and we are asked to."""
    return wanted.creation == "Owner" and is_owned(obj, target) and _says(obj, REPLACE)


def unchangeable(wanted: Wanted, secret: KubeObject, target: KubeObject | None) -> str:
    """Return what Kubernetes never changes in a Secret and this write would: empty when nothing."""
    if target is None:
        return ""
    old, new = target.get("type") or OPAQUE, secret["type"]
    if old != new:
        return f"{UPDATE_FAILED}: secret {wanted.target} is of type {old}, the type of a Secret is immutable"
    if target.get("immutable") and (target.get("data") or {}) != secret["data"]:
        return IMMUTABLE
    return ""


def how_to_replace(wanted: Wanted) -> str:
    """Return the command that allows a replacement."""
    annotate = f"kubectl -n {wanted.namespace} annotate externalsecret {wanted.name} {REPLACE}=true"
    if wanted.creation == "Owner":
        return f"; to have it deleted and made anew: {annotate}"
    return f"; creationPolicy {wanted.creation} does not replace it: choose another target.name"


def faults(wanted: Wanted, part: Part, secret: KubeObject) -> Iterator[str]:
    """Yield what an API server would refuse of ``secret``, in words that hold nothing that was read."""
    if REFUSED_ANNOTATIONS & set(part.annotations):
        yield f"annotation {min(REFUSED_ANNOTATIONS & set(part.annotations))} is not allowed: {_NOT_OURS}"
    template = wanted.template
    told = {item.secret_key for item in wanted.data} | set(template.data if template else ())
    yield from _bad(part.data, told, "key", _is_key, "letters, digits, '-', '_' and '.', 253 at most")
    told_labels = set(template.labels if template else ())
    told_annotations = set(template.annotations if template else ())
    yield from _bad(part.labels, told_labels, "label", _is_qualified, "a name of Kubernetes")
    yield from _bad(part.annotations, told_annotations, "annotation", _is_annotation, "a name of Kubernetes")
    for key, value in part.labels.items():
        if value and not _WORD.fullmatch(value):
            named = f"{key!r}" if key in told_labels else "that a template named"
            yield f"the value of label {named} is none: letters, digits, '-', '_' and '.', 63 at most"
    size = sum(len(value) for value in data_of(secret).values())
    if size > MAX_SECRET_BYTES:
        yield f"the data have {size} bytes, a Secret holds {MAX_SECRET_BYTES}"
    if sum(len(k.encode()) + len(_bytes(v)) for k, v in part.annotations.items()) > MAX_ANNOTATION_BYTES:
        yield f"the annotations are longer than {MAX_ANNOTATION_BYTES} bytes"


_NOT_OURS = "such a Secret is a credential of the control plane itself"


def _refused_type(wanted: Wanted, target: KubeObject | None) -> str:
    asked = wanted.template.type if wanted.template else ""
    if asked in REFUSED_TYPES:
        return f"{UPDATE_FAILED}: target.template.type {asked} is not allowed: {_NOT_OURS}"
    found = (target or {}).get("type")
    if found in REFUSED_TYPES:
        return f"{UPDATE_FAILED}: secret {wanted.target} is of type {found}, which is left alone: {_NOT_OURS}"
    return ""


def _bad(
    pairs: Mapping[str, object], told: set[str], what: str, good: Callable[[str], bool], form: str
) -> Iterator[str]:
    wrong = [name for name in pairs if not good(name)]
    for name in sorted(told.intersection(wrong)):
        yield f"{what} {name!r} is none: {form}"
    others = len(set(wrong) - told)
    if others:
        yield f"{others} {what}(s) made by dataFrom or a template are none: {form}"


def _is_key(name: str) -> bool:
    return bool(_KEY.fullmatch(name)) and name not in {".", ".."}


def _is_qualified(name: str) -> bool:
    prefix, slash, word = name.rpartition("/")
    return bool(_WORD.fullmatch(word)) and (not slash or (len(prefix) <= 253 and bool(_DOMAIN.fullmatch(prefix))))


def _is_annotation(name: str) -> bool:
    return _is_qualified(name.lower())


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _says(obj: KubeObject, annotation: str) -> bool:
    return (obj["metadata"].get("annotations") or {}).get(annotation) == "true"


def _error(message: str) -> Said:
    return Said(False, Reason.SECRET_SYNCED_ERROR, message)

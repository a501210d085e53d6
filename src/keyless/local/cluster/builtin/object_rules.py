"""Checks of the smaller kinds: configuration, access, services, claims, webhooks, leases, events."""

from __future__ import annotations

import ipaddress
import re
from base64 import b64decode
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson

from keyless.local.cluster.builtin import go_text, names, quantity
from keyless.local.cluster.faults import FieldError, duplicate, forbidden, invalid, required, unsupported

Object = Mapping[str, Any]
Old = Mapping[str, Any] | None
FROZEN = "field is immutable when `immutable` is set"
MAX_CONTENT = 1024 * 1024
RBAC = "rbac.authorization.k8s.io"
ACCOUNT_NAME = "kubernetes.io/service-account.name"
SECRET_KEYS = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}
SERVICE_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
CLAIM_TEXT = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
REVIEWS = ("v1", "v1beta1")
OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
CHOICES = {
    "failurePolicy": ("Fail", "Ignore"),
    "matchPolicy": ("Equivalent", "Exact"),
    "reinvocationPolicy": ("IfNeeded", "Never"),
}
HIGHEST_PRIORITY = 1_000_000_000


def config_map(obj: Object, old: Old) -> list[FieldError]:
    """ConfigMaps."""
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    errors = []
    for key in data:
        if problem := names.config_key(key):
            errors.append(invalid(f"data[{key}]", key, problem))
        if key in binary:
            errors.append(invalid(f"data[{key}]", key, "duplicate of key present in binaryData"))
    for key in binary:
        if problem := names.config_key(key):
            errors.append(invalid(f"binaryData[{key}]", key, problem))
    size = sum(len(value.encode()) for value in data.values()) + sum(_decoded_size(value) for value in binary.values())
    if size > MAX_CONTENT:
        errors.append(_too_big(""))
    return errors + _frozen(obj, old, ("data", "binaryData"))


def secret(obj: Object, old: Old) -> list[FieldError]:
    """Secrets. No value ever appears in a text."""
    data, kind = obj.get("data") or {}, obj.get("type", "")
    errors = [invalid(f"data[{key}]", key, problem) for key in data if (problem := names.config_key(key))]
    if sum(_decoded_size(value) for value in data.values()) > MAX_CONTENT:
        errors.append(_too_big("data"))
    errors += _secret_kind(obj, kind, data)
    if old is not None and kind != old.get("type", ""):
        errors.append(invalid("type", kind, "field is immutable"))
    return errors + _frozen(obj, old, ("data",))


def _secret_kind(obj: Object, kind: str, data: Mapping[str, str]) -> list[FieldError]:
    if kind == "kubernetes.io/service-account-token":
        annotations = (obj.get("metadata") or {}).get("annotations") or {}
        return [] if annotations.get(ACCOUNT_NAME) else [required(f"metadata.annotations[{ACCOUNT_NAME}]")]
    if kind == "kubernetes.io/basic-auth" and not {"username", "password"} & set(data):
        return [required("data[username]"), required("data[password]")]
    errors = [required(f"data[{key}]") for key in SECRET_KEYS.get(kind, ()) if key not in data]
    if kind.startswith("kubernetes.io/dockerc") and not errors:
        key = SECRET_KEYS[kind][0]
        try:
            orjson.loads(b64decode(data[key]))
        except ValueError:
            text = 'Invalid value: "<secret contents redacted>": the content is no JSON'
            errors.append(FieldError(f"data[{key}]", "FieldValueInvalid", text))
    return errors


def _decoded_size(value: str) -> int:
    return len(value) * 3 // 4 - value.count("=", -2)


def _too_big(path: str) -> FieldError:
    return FieldError(path, "FieldValueTooLong", f"Too long: may not be more than {MAX_CONTENT} bytes")


def _frozen(obj: Object, old: Old, fields: tuple[str, ...]) -> list[FieldError]:
    if old is None or not old.get("immutable"):
        return []
    errors = [] if obj.get("immutable") else [forbidden("immutable", FROZEN)]
    return errors + [forbidden(field, FROZEN) for field in fields if (obj.get(field) or {}) != (old.get(field) or {})]


def role(obj: Object, old: Old) -> list[FieldError]:  # noqa: ARG001 - a rule of a kind
    """Roles and ClusterRoles."""
    namespaced = obj.get("kind") == "Role"
    errors: list[FieldError] = []
    for index, rule in enumerate(obj.get("rules") or []):
        errors += _rule(rule, f"rules[{index}]", namespaced=namespaced)
    return errors


def _rule(rule: Object, path: str, *, namespaced: bool) -> list[FieldError]:
    errors = []
    if not rule.get("verbs"):
        errors.append(required(f"{path}.verbs", "verbs must contain at least one value"))
    urls = rule.get("nonResourceURLs")
    if urls:
        texts = ["namespaced rules cannot apply to non-resource URLs"] if namespaced else []
        if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
            texts.append("rules cannot apply to both regular resources and non-resource URLs")
        shown = go_text.string_list(urls)
        place = f"{path}.nonResourceURLs"
        return errors + [FieldError(place, "FieldValueInvalid", f"Invalid value: {shown}: {text}") for text in texts]
    if not rule.get("apiGroups"):
        errors.append(required(f"{path}.apiGroups", "resource rules must supply at least one api group"))
    if not rule.get("resources"):
        errors.append(required(f"{path}.resources", "resource rules must supply at least one resource"))
    return errors


def role_binding(obj: Object, old: Old) -> list[FieldError]:
    """RoleBindings and ClusterRoleBindings: the role of a binding is fixed."""
    ref = obj.get("roleRef") or {}
    kinds = ("Role", "ClusterRole") if obj.get("kind") == "RoleBinding" else ("ClusterRole",)
    errors = []
    if ref.get("apiGroup") != RBAC:
        errors.append(unsupported("roleRef.apiGroup", ref.get("apiGroup", ""), (RBAC,)))
    if ref.get("kind") not in kinds:
        errors.append(unsupported("roleRef.kind", ref.get("kind", ""), kinds, in_order=True))
    if not ref.get("name"):
        errors.append(required("roleRef.name"))
    for index, subject in enumerate(obj.get("subjects") or []):
        errors += _subject(subject, f"subjects[{index}]", needs_namespace=kinds == ("ClusterRole",))
    if old is not None and ref != (old.get("roleRef") or {}):
        parts = [
            f"{key}:{go_text.text(ref.get(name, ''))}"
            for key, name in (("APIGroup", "apiGroup"), ("Kind", "kind"), ("Name", "name"))
        ]
        text = f"Invalid value: rbac.RoleRef{{{', '.join(parts)}}}: cannot change roleRef"
        errors.append(FieldError("roleRef", "FieldValueInvalid", text))
    return errors


def _subject(subject: Object, path: str, *, needs_namespace: bool) -> list[FieldError]:
    errors = []
    kind, group = subject.get("kind", ""), subject.get("apiGroup", "")
    if not subject.get("name"):
        errors.append(required(f"{path}.name"))
    if kind == "ServiceAccount":
        if subject.get("name"):
            errors += names.checked(f"{path}.name", subject["name"], names.subdomain)
        if group:
            errors.append(unsupported(f"{path}.apiGroup", group, ("",)))
        if needs_namespace and not subject.get("namespace"):
            errors.append(required(f"{path}.namespace"))
    elif kind in {"User", "Group"}:
        if group != RBAC:
            errors.append(unsupported(f"{path}.apiGroup", group, (RBAC,)))
    else:
        errors.append(unsupported(f"{path}.kind", kind, ("ServiceAccount", "User", "Group"), in_order=True))
    return errors


def _families(spec: Mapping[str, Any], *, headless: bool) -> list[FieldError]:
    """There is one family of addresses here, IPv4; a headless Service without a selector needs none."""
    if headless:
        return []
    errors = []
    if spec.get("ipFamilyPolicy") == "RequireDualStack":
        text = "this cluster is not configured for dual-stack services"
        errors.append(invalid("spec.ipFamilyPolicy", "RequireDualStack", text))
    for index, family in enumerate(spec.get("ipFamilies") or ()):
        if family != "IPv4":
            errors.append(invalid(f"spec.ipFamilies[{index}]", family, "not configured on this cluster"))
    return errors


def service(obj: Object, old: Old) -> list[FieldError]:
    """Services."""
    spec = obj.get("spec") or {}
    kind, ports = spec.get("type", ""), spec.get("ports") or []
    errors: list[FieldError] = []
    headless = spec.get("clusterIP") == "None"
    if not ports and not headless and kind != "ExternalName":
        errors.append(required("spec.ports"))
    for index, port in enumerate(ports):
        errors += _service_port(port, f"spec.ports[{index}]", named=len(ports) > 1)
    errors += _repeated_ports(ports)
    errors += names.labels("spec.selector", spec.get("selector"))
    if kind not in SERVICE_TYPES:
        errors.append(unsupported("spec.type", kind, SERVICE_TYPES))
    elif kind == "ExternalName" and not spec.get("externalName"):
        errors.append(required("spec.externalName"))
    address = spec.get("clusterIP") or ""
    if address and not headless and not _is_address(address):
        text = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
        errors.append(invalid("spec.clusterIPs[0]", address, text))
    errors += _families(spec, headless=headless and not spec.get("selector"))
    before = ((old or {}).get("spec") or {}).get("clusterIP")
    if before and address and before != address and kind != "ExternalName":
        shown = go_text.string_list([address])
        text = f"Invalid value: {shown}: may not change once set"
        errors.append(FieldError("spec.clusterIPs[0]", "FieldValueInvalid", text))
    return errors


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _service_port(port: Object, path: str, *, named: bool) -> list[FieldError]:
    errors = []
    name, number, target = port.get("name") or "", port.get("port", 0), port.get("targetPort", 0)
    if name:
        errors += names.checked(f"{path}.name", name, names.label)
    elif named:
        errors.append(required(f"{path}.name"))
    if problem := names.in_range(number, 1, 65535):
        errors.append(invalid(f"{path}.port", number, problem))
    if port.get("protocol") not in {"TCP", "UDP", "SCTP"}:
        errors.append(unsupported(f"{path}.protocol", port.get("protocol", ""), ("SCTP", "TCP", "UDP")))
    if isinstance(target, str):
        errors += [invalid(f"{path}.targetPort", target, problem) for problem in names.port_name(target)]
    elif problem := names.in_range(target, 1, 65535):
        errors.append(invalid(f"{path}.targetPort", target, problem))
    return errors


def _repeated_ports(ports: list[Object]) -> list[FieldError]:
    errors = []
    seen: set[tuple[Any, Any]] = set()
    labels: set[str] = set()
    for index, port in enumerate(ports):
        key, name = (port.get("protocol"), port.get("port")), port.get("name") or ""
        if name and name in labels:
            errors.append(duplicate(f"spec.ports[{index}].name", name))
        labels.add(name)
        if key in seen:
            shown = (
                f'core.ServicePort{{Name:"", Protocol:{go_text.text(str(key[0]))}, AppProtocol:(*string)(nil), '
                f"Port:{key[1]}, TargetPort:{go_text.int_or_string(0)}, NodePort:0}}"
            )
            errors.append(FieldError(f"spec.ports[{index}]", "FieldValueDuplicate", f"Duplicate value: {shown}"))
        seen.add(key)
    return errors


def claim(obj: Object, old: Old) -> list[FieldError]:
    """PersistentVolumeClaims; the binder may still fill in the volume and the class."""
    spec = obj.get("spec") or {}
    if old is not None:
        before = old.get("spec") or {}
        return [] if _claim_kept(spec, before, old) else [forbidden("spec", CLAIM_TEXT)]
    errors = []
    modes = spec.get("accessModes") or []
    if not modes:
        errors.append(required("spec.accessModes", "at least 1 access mode is required"))
    errors += [unsupported("spec.accessModes", mode, ACCESS_MODES) for mode in modes if mode not in ACCESS_MODES]
    wanted = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if wanted is None:
        errors.append(required("spec.resources[storage]"))
    elif quantity.value(wanted) <= 0:
        errors.append(invalid("spec.resources[storage]", wanted, "must be greater than zero"))
    if spec.get("storageClassName"):
        errors += names.checked("spec.storageClassName", spec["storageClassName"], names.subdomain)
    return errors


def _claim_kept(new: Object, old: Object, obj: Object) -> bool:
    free = {name for name in ("volumeName", "storageClassName") if not old.get(name)} | {"volumeAttributesClassName"}
    if (obj.get("status") or {}).get("phase") == "Bound":
        free.add("resources")
    return {key: value for key, value in new.items() if key not in free} == {
        key: value for key, value in old.items() if key not in free
    }


def webhooks(obj: Object, old: Old) -> list[FieldError]:  # noqa: ARG001 - a rule of a kind
    """Webhook configurations."""
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, webhook in enumerate(obj.get("webhooks") or []):
        path, name = f"webhooks[{index}]", webhook.get("name", "")
        errors += _webhook(webhook, path)
        if name in seen:
            errors.append(duplicate(f"{path}.name", name))
        seen.add(name)
    return errors


def _webhook(webhook: Object, path: str) -> list[FieldError]:
    errors = []
    name, effects = webhook.get("name", ""), webhook.get("sideEffects")
    if name.count(".") < 2 or not names.SUBDOMAIN.fullmatch(name):
        text = "should be a domain with at least three segments separated by dots"
        errors.append(invalid(f"{path}.name", name, text))
    versions = webhook.get("admissionReviewVersions")
    if not versions:
        errors.append(required(f"{path}.admissionReviewVersions", "must specify one of v1, v1beta1"))
    elif not set(versions) & set(REVIEWS):
        text = f"Invalid value: {go_text.string_list(versions)}: must include at least one of v1, v1beta1"
        errors.append(FieldError(f"{path}.admissionReviewVersions", "FieldValueInvalid", text))
    if not effects:
        errors.append(required(f"{path}.sideEffects", "must specify one of None, NoneOnDryRun"))
    elif effects not in {"None", "NoneOnDryRun"}:
        errors.append(unsupported(f"{path}.sideEffects", effects, ("None", "NoneOnDryRun")))
    for index, rule in enumerate(webhook.get("rules") or []):
        errors += _webhook_rule(rule, f"{path}.rules[{index}]")
    for field, allowed in CHOICES.items():
        if webhook.get(field) is not None and webhook[field] not in allowed:
            errors.append(unsupported(f"{path}.{field}", webhook[field], allowed))
    seconds = webhook.get("timeoutSeconds", 10)
    if not 1 <= seconds <= 30:
        errors.append(invalid(f"{path}.timeoutSeconds", seconds, "the timeout value must be between 1 and 30 seconds"))
    return errors + _webhook_address(webhook.get("clientConfig") or {}, f"{path}.clientConfig")


def _webhook_rule(rule: Object, path: str) -> list[FieldError]:
    operations = rule.get("operations") or []
    errors = [] if operations else [required(f"{path}.operations")]
    errors += [
        unsupported(f"{path}.operations[{index}]", word, OPERATIONS)
        for index, word in enumerate(operations)
        if word not in OPERATIONS
    ]
    return errors + [
        required(f"{path}.{field}") for field in ("apiGroups", "apiVersions", "resources") if not rule.get(field)
    ]


def _webhook_address(config: Object, path: str) -> list[FieldError]:
    url, target = config.get("url"), config.get("service")
    if (url is None) == (target is None):
        return [required(path, "exactly one of url or service is required")]
    if target is not None:
        fields = (("name", "service name is required"), ("namespace", "service namespace is required"))
        return [required(f"{path}.service.{key}", text) for key, text in fields if not target.get(key)]
    parts = urlsplit(str(url))
    form = "; desired format: https://host[/path]"
    if parts.scheme != "https":
        return [invalid(f"{path}.url", parts.scheme, f"'https' is the only allowed URL scheme{form}")]
    if not parts.netloc:
        return [invalid(f"{path}.url", parts.netloc, f"host must be specified{form}")]
    return []


def lease(obj: Object, old: Old) -> list[FieldError]:  # noqa: ARG001 - a rule of a kind
    """Leases."""
    seconds = (obj.get("spec") or {}).get("leaseDurationSeconds")
    if seconds is not None and seconds <= 0:
        return [invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0")]
    return []


def event(obj: Object, old: Old) -> list[FieldError]:  # noqa: ARG001 - a rule of a kind
    """Events of the core group: they live where the object lives that they speak of."""
    place = (obj.get("metadata") or {}).get("namespace", "")
    about = (obj.get("involvedObject") or {}).get("namespace", "")
    if about != place and (about or place != "default"):
        return [invalid("involvedObject.namespace", about, "does not match event.namespace")]
    return []


def priority_class(obj: Object, old: Old) -> list[FieldError]:  # noqa: ARG001 - a rule of a kind
    """PriorityClasses."""
    value, name = obj.get("value", 0), (obj.get("metadata") or {}).get("name", "")
    if value > HIGHEST_PRIORITY and not re.match(r"system-", name):
        text = f"maximum allowed value of a user defined priority is {HIGHEST_PRIORITY}"
        return [forbidden("value", text)]
    return []

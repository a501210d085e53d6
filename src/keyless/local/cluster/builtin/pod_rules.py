"""Checks of pod specifications, alone and in templates: what everyday mistakes trip over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from keyless.local.cluster.builtin import names, quantity
from keyless.local.cluster.builtin.types import struct
from keyless.local.cluster.builtin.volume_rules import volumes
from keyless.local.cluster.faults import FieldError, duplicate, forbidden, invalid, not_found, required, unsupported

Spec = Mapping[str, Any]
RESTART = ("Always", "OnFailure", "Never")
DNS = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
PULL = ("Always", "IfNotPresent", "Never")
PROTOCOLS = ("SCTP", "TCP", "UDP")
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
COUNTS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef")
POD_FIELDS = {
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
}
UPDATE_TEXT = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def pod_spec(spec: Spec, path: str) -> list[FieldError]:
    """The faults of a pod specification."""
    errors, mounted = volumes(spec, f"{path}.volumes")
    errors += _containers(spec, path, mounted)
    errors += _init_containers(spec, path, mounted)
    if spec.get("restartPolicy") not in RESTART:
        errors.append(unsupported(f"{path}.restartPolicy", spec.get("restartPolicy", ""), RESTART, in_order=True))
    if spec.get("dnsPolicy") not in DNS:
        errors.append(unsupported(f"{path}.dnsPolicy", spec.get("dnsPolicy", ""), DNS, in_order=True))
    errors += names.labels(f"{path}.nodeSelector", spec.get("nodeSelector"))
    for field in ("serviceAccountName", "nodeName"):
        if spec.get(field):
            errors += names.checked(f"{path}.{field}", spec[field], names.subdomain)
    errors += _security(spec.get("securityContext") or {}, f"{path}.securityContext")
    errors += _tolerations(spec.get("tolerations") or [], f"{path}.tolerations")
    return errors


def _security(context: Spec, path: str) -> list[FieldError]:
    errors = []
    for field in ("runAsUser", "runAsGroup", "fsGroup"):
        if field in context and (problem := names.in_range(context[field], 0, 2147483647)):
            errors.append(invalid(f"{path}.{field}", context[field], problem))
    return errors


def _tolerations(found: list[Spec], path: str) -> list[FieldError]:
    errors = []
    for index, toleration in enumerate(found):
        place = f"{path}[{index}]"
        operator = toleration.get("operator") or "Equal"
        if not toleration.get("key") and operator != "Exists":
            text = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            errors.append(invalid(f"{place}.operator", operator, text))
        if operator == "Exists" and toleration.get("value"):
            text = "value must be empty when `operator` is 'Exists'"
            errors.append(invalid(f"{place}.operator", toleration["value"], text))
        elif operator not in {"Equal", "Exists"}:
            errors.append(unsupported(f"{place}.operator", operator, ("Equal", "Exists")))
    return errors


def _containers(spec: Spec, path: str, mounted: set[str]) -> list[FieldError]:
    found = spec.get("containers") or []
    if not found:
        return [required(f"{path}.containers")]
    seen: set[str] = set()
    errors: list[FieldError] = []
    for index, container in enumerate(found):
        place = f"{path}.containers[{index}]"
        errors += _container(container, place, mounted, host_network=bool(spec.get("hostNetwork")))
        errors += _unique(container.get("name", ""), f"{place}.name", seen)
    return errors


def _init_containers(spec: Spec, path: str, mounted: set[str]) -> list[FieldError]:
    seen = {container.get("name", "") for container in spec.get("containers") or []}
    errors: list[FieldError] = []
    for index, container in enumerate(spec.get("initContainers") or []):
        place = f"{path}.initContainers[{index}]"
        errors += _container(container, place, mounted, host_network=bool(spec.get("hostNetwork")))
        errors += _unique(container.get("name", ""), f"{place}.name", seen)
    return errors


def _unique(name: str, path: str, seen: set[str]) -> list[FieldError]:
    if name and name in seen:
        return [duplicate(path, name)]
    seen.add(name)
    return []


def _container(container: Spec, path: str, mounted: set[str], *, host_network: bool) -> list[FieldError]:
    name, image = container.get("name") or "", container.get("image") or ""
    errors = names.checked(f"{path}.name", name, names.label) if name else [required(f"{path}.name")]
    if not image:
        errors.append(required(f"{path}.image"))
    elif image != image.strip():
        errors.append(invalid(f"{path}.image", image, "must not have leading or trailing whitespace"))
    if container.get("imagePullPolicy") not in PULL:
        errors.append(unsupported(f"{path}.imagePullPolicy", container.get("imagePullPolicy", ""), PULL))
    errors += _ports(container.get("ports") or [], f"{path}.ports", host_network=host_network)
    errors += _environment(container.get("env") or [], f"{path}.env")
    errors += _mounts(container.get("volumeMounts") or [], f"{path}.volumeMounts", mounted)
    for probe in PROBES:
        if container.get(probe) is not None:
            errors += _probe(container[probe], f"{path}.{probe}")
    return errors + _resources(container.get("resources") or {}, f"{path}.resources")


def _ports(found: list[Spec], path: str, *, host_network: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, port in enumerate(found):
        place = f"{path}[{index}]"
        number, name = port.get("containerPort", 0), port.get("name") or ""
        problems = names.port_name(name) if name else []
        errors += [invalid(f"{place}.name", name, problem) for problem in problems]
        if name and not problems:
            errors += _unique(name, f"{place}.name", seen)
        if number == 0:
            errors.append(required(f"{place}.containerPort"))
        elif problem := names.in_range(number, 1, 65535):
            errors.append(invalid(f"{place}.containerPort", number, problem))
        host = port.get("hostPort", 0)
        if host and (problem := names.in_range(host, 1, 65535)):
            errors.append(invalid(f"{place}.hostPort", host, problem))
        elif host_network and host not in (0, number):  # a template may leave it out: pods get it by default
            text = "must match `containerPort` when `hostNetwork` is true"
            errors.append(invalid(f"{place}.hostPort", host, text))
        if port.get("protocol") not in PROTOCOLS:
            errors.append(unsupported(f"{place}.protocol", port.get("protocol", ""), PROTOCOLS))
    return errors


def _environment(found: list[Spec], path: str) -> list[FieldError]:
    errors = []
    for index, variable in enumerate(found):
        place, name = f"{path}[{index}]", variable.get("name") or ""
        if not name:
            errors.append(required(f"{place}.name"))
        elif "=" in name or not name.isascii() or not name.isprintable():
            text = "a valid environment variable name must consist only of printable ASCII characters other than '='"
            errors.append(invalid(f"{place}.name", name, text))
        if variable.get("valueFrom") is not None:
            errors += _source(variable, f"{place}.valueFrom")
    return errors


def _source(variable: Spec, path: str) -> list[FieldError]:
    source = variable["valueFrom"]
    present = [kind for kind in SOURCES if source.get(kind) is not None]
    if variable.get("value"):
        return [invalid(path, "", "may not be specified when `value` is not empty")]
    if not present:
        text = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
        return [invalid(path, "", text)]
    if len(present) > 1:
        return [invalid(path, "", "may not have more than one field specified at a time")]
    kind = present[0]
    reference, place = source[kind], f"{path}.{kind}"
    if kind == "fieldRef":
        return _field_reference(reference, place)
    if kind in {"configMapKeyRef", "secretKeyRef"} and not reference.get("key"):
        return [required(f"{place}.key")]
    if kind == "resourceFieldRef" and not reference.get("resource"):
        return [required(f"{place}.resource")]
    return []


def _field_reference(reference: Spec, path: str) -> list[FieldError]:
    found = reference.get("fieldPath") or ""
    if not found:
        return [required(f"{path}.fieldPath")]
    if found in POD_FIELDS or found.startswith(("metadata.labels['", "metadata.annotations['")):
        return []
    text = f"error converting fieldPath: field label not supported: {found}"
    return [invalid(f"{path}.fieldPath", found, text)]


def _mounts(found: list[Spec], path: str, mounted: set[str]) -> list[FieldError]:
    errors = []
    seen: set[str] = set()
    for index, mount in enumerate(found):
        place, name, target = f"{path}[{index}]", mount.get("name") or "", mount.get("mountPath") or ""
        if not name:
            errors.append(required(f"{place}.name"))
        elif name not in mounted:
            errors.append(not_found(f"{place}.name", name))
        if not target:
            errors.append(required(f"{place}.mountPath"))
        elif target in seen:
            errors.append(invalid(f"{place}.mountPath", target, "must be unique"))
        seen.add(target)
    return errors


def _probe(probe: Spec, path: str) -> list[FieldError]:
    errors = []
    present = [kind for kind in HANDLERS if probe.get(kind) is not None]
    errors += [forbidden(f"{path}.{kind}", "may not specify more than 1 handler type") for kind in present[1:]]
    if not present:
        errors.append(required(path, "must specify a handler type"))
    elif present[0] != "exec":
        port = probe[present[0]].get("port")
        if isinstance(port, int) and (problem := names.in_range(port, 1, 65535)):
            errors.append(invalid(f"{path}.{present[0]}.port", port, problem))
    elif not probe["exec"].get("command"):
        errors.append(required(f"{path}.exec.command"))
    for field in COUNTS:
        if probe.get(field, 0) < 0:
            errors.append(invalid(f"{path}.{field}", probe[field], "must be greater than or equal to 0"))
    return errors


def _resources(found: Spec, path: str) -> list[FieldError]:
    limits = found.get("limits") or {}
    errors = []
    for name, amount in (found.get("requests") or {}).items():
        if name in limits and quantity.value(amount) > quantity.value(limits[name]):
            text = f"must be less than or equal to {name} limit of {limits[name]}"
            errors.append(invalid(f"{path}.requests", amount, text))
    return errors


def pod_update(new: Spec, old: Spec) -> list[FieldError]:
    """What may change in a pod: images, a deadline, more tolerations."""
    if _fixed(new) == _fixed(old) and _kept(new.get("tolerations"), old.get("tolerations")):
        return []
    changed = ", ".join(sorted(_changed(new, old)))
    return [forbidden("spec", f"{UPDATE_TEXT}; changed here: {changed}")]


def _fixed(spec: Spec) -> Spec:
    loose = {"activeDeadlineSeconds", "tolerations", "containers", "initContainers"}
    rest = {key: value for key, value in spec.items() if key not in loose}
    for part in ("containers", "initContainers"):
        rest[part] = [{**container, "image": ""} for container in spec.get(part) or []]
    if (spec.get("terminationGracePeriodSeconds") or 0) < 0:
        rest["terminationGracePeriodSeconds"] = 1
    return rest


def _kept(new: Any, old: Any) -> bool:
    """Tolerations may be added; of the old ones only the seconds may change."""
    bare = [{key: value for key, value in item.items() if key != "tolerationSeconds"} for item in new or []]
    return all({key: value for key, value in item.items() if key != "tolerationSeconds"} in bare for item in old or [])


def _changed(new: Spec, old: Spec) -> Iterator[str]:
    known = struct("core/v1.PodSpec").fields
    before, after = _fixed(old), _fixed(new)
    for field in known:
        same = (
            _kept(new.get(field), old.get(field)) if field == "tolerations" else before.get(field) == after.get(field)
        )
        if not same:
            yield f"spec.{field}"

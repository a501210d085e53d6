"""The Pod Security Standards: what ``baseline`` and ``restricted`` refuse of a pod, in Kubernetes' words. Pure.

The order is upstream's: baseline's checks by their identifiers, then those of restricted, which stand for their
baseline counterparts. Spec: https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

Object = Mapping[str, Any]

_ADDABLE = frozenset(
    [
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    ]
)
_SYSCTLS = frozenset(
    [
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_wmem",
    ]
)
_SELINUX_TYPES = frozenset({"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"})
_VOLUMES = frozenset(
    [
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    ]
)
_CONFINED = frozenset({"RuntimeDefault", "Localhost"})
_PROBES_SINCE = 34  # the check of probes' hosts came with Kubernetes 1.34


def violations(pod: Object, level: str, version: str = "latest") -> list[str]:
    """What ``level`` refuses, as ``reason (detail)``; nothing for ``privileged``."""
    checks = {"baseline": _BASELINE, "restricted": _RESTRICTED}.get(level, ())
    old = version != "latest" and int(version.removeprefix("v1.") or 0) < _PROBES_SINCE
    found = (check(pod) for check in checks if not (old and check is _probe_hosts))
    return [text for text in found if text]


def _containers(pod: Object) -> Iterator[Object]:
    for group in ("initContainers", "containers", "ephemeralContainers"):
        yield from pod["spec"].get(group) or ()


def _context(holder: Object) -> Object:
    found: Object = holder.get("securityContext") or {}
    return found


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _named(word: str, names: list[str]) -> str:
    return f"{word if len(names) == 1 else word + 's'} {_quoted(names)}"


def _verb(names: list[str]) -> str:
    return "uses" if len(names) == 1 else "use"


def _setters(pod: Object, bad: Callable[[Object], bool]) -> str:
    """Who sets something in its security context: the pod, containers, both."""
    names = [c["name"] for c in _containers(pod) if bad(_context(c))]
    parts = ["pod"] if bad(_context(pod["spec"])) else []
    return " and ".join([*parts, *([_named("container", names)] if names else [])])


def _is_windows(pod: Object) -> bool:
    return bool((pod["spec"].get("os") or {}).get("name") == "windows")


def _own_users(pod: Object) -> bool:
    return pod["spec"].get("hostUsers") is False


def _app_armor(pod: Object) -> str:
    def kind(context: Object) -> str:
        return str((context.get("appArmorProfile") or {}).get("type") or "")

    setters = _setters(pod, lambda context: kind(context) not in {"", *_CONFINED})
    values = {kind(_context(holder)) for holder in (pod["spec"], *_containers(pod))} - {"", *_CONFINED}
    prefix = "container.apparmor.security.beta.kubernetes.io/"
    noted = {
        f'{key}="{value}"': value
        for key, value in sorted((pod["metadata"].get("annotations") or {}).items())
        if key.startswith(prefix) and value not in {"", "runtime/default"} and not value.startswith("localhost/")
    }
    if not setters and not noted:
        return ""
    told = "annotation" if len(noted) == 1 else "annotations"
    who = " and ".join(part for part in (setters, f"{told} {', '.join(noted)}" if noted else "") if part)
    count = len(values | set(noted.values()))
    reason = "forbidden AppArmor profile" if count == 1 else "forbidden AppArmor profiles"
    return f"{reason} ({who} must not set AppArmor profile type to {_quoted(sorted(values | set(noted.values())))})"


def _capabilities(pod: Object) -> str:
    bad = {c["name"]: [cap for cap in _added(c) if cap not in _ADDABLE] for c in _containers(pod)}
    return f"non-default capabilities ({_adding(bad)})" if any(bad.values()) else ""


def _added(container: Object) -> list[str]:
    return list((_context(container).get("capabilities") or {}).get("add") or ())


def _adding(bad: Mapping[str, list[str]]) -> str:
    names, added = [name for name, caps in bad.items() if caps], sorted({cap for caps in bad.values() for cap in caps})
    return f"{_named('container', names)} must not include {_quoted(added)} in securityContext.capabilities.add"


def _host_namespaces(pod: Object) -> str:
    found = [f"{name}=true" for name in ("hostNetwork", "hostPID", "hostIPC") if pod["spec"].get(name)]
    return f"host namespaces ({', '.join(found)})" if found else ""


def _host_paths(pod: Object) -> str:
    names = [volume["name"] for volume in pod["spec"].get("volumes") or () if volume.get("hostPath") is not None]
    return f"hostPath volumes ({_named('volume', names)})" if names else ""


def _host_ports(pod: Object) -> str:
    ports = {c["name"]: [p["hostPort"] for p in c.get("ports") or () if p.get("hostPort")] for c in _containers(pod)}
    names = [name for name, used in ports.items() if used]
    used = sorted({str(port) for many in ports.values() for port in many})
    word = "hostPort" if len(used) == 1 else "hostPorts"
    return f"hostPort ({_named('container', names)} {_verb(names)} {word} {', '.join(used)})" if names else ""


def _probe_hosts(pod: Object) -> str:
    hosts = {c["name"]: set(_hosts(c)) for c in _containers(pod)}
    names = sorted(name for name, found in hosts.items() if found)
    found = sorted({host for many in hosts.values() for host in many})
    if not names:
        return ""
    word = "probe or lifecycle host" if len(found) == 1 else "probe or lifecycle hosts"
    return f"probe or lifecycle host ({_named('container', names)} {_verb(names)} {word} {_quoted(found)})"


def _hosts(container: Object) -> Iterator[str]:
    cycle = container.get("lifecycle") or {}
    probes = [container.get(name) for name in ("livenessProbe", "readinessProbe", "startupProbe")]
    for handler in (*probes, cycle.get("postStart"), cycle.get("preStop")):
        for way in ("httpGet", "tcpSocket"):
            host = ((handler or {}).get(way) or {}).get("host")
            if host:
                yield host


def _privileged(pod: Object) -> str:
    names = [c["name"] for c in _containers(pod) if _context(c).get("privileged")]
    return f"privileged ({_named('container', names)} must not set securityContext.privileged=true)" if names else ""


def _proc_mount(pod: Object) -> str:
    found = {c["name"]: _context(c).get("procMount") or "Default" for c in _containers(pod)}
    names = [name for name, kind in found.items() if kind != "Default"]
    if not names or _own_users(pod):
        return ""
    kinds = sorted({found[name] for name in names})
    return f"procMount ({_named('container', names)} must not set securityContext.procMount to {_quoted(kinds)})"


def _selinux(pod: Object) -> str:
    def options(context: Object) -> Object:
        found: Object = context.get("seLinuxOptions") or {}
        return found

    def bad(context: Object) -> bool:
        given = options(context)
        return given.get("type", "") not in _SELINUX_TYPES or bool(given.get("user") or given.get("role"))

    setters = _setters(pod, bad)
    given = [options(_context(holder)) for holder in (pod["spec"], *_containers(pod))]
    types = sorted({one.get("type", "") for one in given} - _SELINUX_TYPES)
    data = [_named("type", types)] if types else []
    data += [f"{part} may not be set" for part in ("user", "role") if any(one.get(part) for one in given)]
    text = f"{setters} set forbidden securityContext.seLinuxOptions: {'; '.join(data)}"
    return f"seLinuxOptions ({text})" if setters else ""


def _seccomp_type(context: Object) -> str:
    return str((context.get("seccompProfile") or {}).get("type") or "")


def _seccomp(pod: Object) -> str:
    setters = _setters(pod, lambda context: _seccomp_type(context) not in {"", *_CONFINED})
    types = {_seccomp_type(_context(holder)) for holder in (pod["spec"], *_containers(pod))} - {"", *_CONFINED}
    text = f"{setters} must not set securityContext.seccompProfile.type to {_quoted(sorted(types))}"
    return f"seccompProfile ({text})" if setters else ""


def _sysctls(pod: Object) -> str:
    found = [one["name"] for one in _context(pod["spec"]).get("sysctls") or () if one["name"] not in _SYSCTLS]
    return f"forbidden sysctls ({', '.join(found)})" if found else ""


def _host_process(pod: Object) -> str:
    setters = _setters(pod, lambda context: bool((context.get("windowsOptions") or {}).get("hostProcess")))
    return f"hostProcess ({setters} must not set securityContext.windowsOptions.hostProcess=true)" if setters else ""


def _escalation(pod: Object) -> str:
    names = [c["name"] for c in _containers(pod) if _context(c).get("allowPrivilegeEscalation") is not False]
    if not names or _is_windows(pod):
        return ""
    text = f"{_named('container', names)} must set securityContext.allowPrivilegeEscalation=false"
    return f"allowPrivilegeEscalation != false ({text})"


def _capabilities_restricted(pod: Object) -> str:
    if _is_windows(pod):
        return ""
    containers = list(_containers(pod))
    keeping = [
        c["name"] for c in containers if "ALL" not in ((_context(c).get("capabilities") or {}).get("drop") or ())
    ]
    bad = {c["name"]: [cap for cap in _added(c) if cap != "NET_BIND_SERVICE"] for c in containers}
    parts = []
    if keeping:
        parts.append(f'{_named("container", keeping)} must set securityContext.capabilities.drop=["ALL"]')
    if any(bad.values()):
        parts.append(_adding(bad))
    return f"unrestricted capabilities ({'; '.join(parts)})" if parts else ""


def _volumes(pod: Object) -> str:
    bad = {
        volume["name"]: next((key for key in volume if key != "name" and volume[key] is not None), "unknown")
        for volume in pod["spec"].get("volumes") or ()
        if not _VOLUMES & volume.keys() and len(volume) > 1
    }
    if not bad:
        return ""
    names, kinds = list(bad), sorted(set(bad.values()))
    return (
        f"restricted volume types ({_named('volume', names)} {_verb(names)} {_named('restricted volume type', kinds)})"
    )


def _non_root(pod: Object) -> str:
    if _own_users(pod):
        return ""
    setters = _setters(pod, lambda context: context.get("runAsNonRoot") is False)
    if setters:
        return f"runAsNonRoot != true ({setters} must not set securityContext.runAsNonRoot=false)"
    if _context(pod["spec"]).get("runAsNonRoot"):
        return ""
    names = [c["name"] for c in _containers(pod) if _context(c).get("runAsNonRoot") is None]
    text = f"pod or {_named('container', names)} must set securityContext.runAsNonRoot=true"
    return f"runAsNonRoot != true ({text})" if names else ""


def _user(pod: Object) -> str:
    setters = "" if _own_users(pod) else _setters(pod, lambda context: context.get("runAsUser") == 0)
    return f"runAsUser=0 ({setters} must not set runAsUser=0)" if setters else ""


def _seccomp_restricted(pod: Object) -> str:
    if _is_windows(pod):
        return ""
    if bad := _seccomp(pod):
        return bad
    if _seccomp_type(_context(pod["spec"])):
        return ""
    names = [c["name"] for c in _containers(pod) if not _seccomp_type(_context(c))]
    wanted = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return f"seccompProfile (pod or {_named('container', names)} {wanted})" if names else ""


_Check = Callable[[Object], str]
_BASELINE: tuple[_Check, ...] = (
    _app_armor,
    _capabilities,
    _host_namespaces,
    _host_paths,
    _host_ports,
    _probe_hosts,
    _privileged,
    _proc_mount,
    _selinux,
    _seccomp,
    _sysctls,
    _host_process,
)
_STRICTER = {_capabilities, _host_paths, _seccomp}
_RESTRICTED: tuple[_Check, ...] = (
    *(check for check in _BASELINE if check not in _STRICTER),
    _escalation,
    _capabilities_restricted,
    _volumes,
    _non_root,
    _user,
    _seccomp_restricted,
)

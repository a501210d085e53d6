"""Everyday interactions with an API server, as requests: each is one or several, in a namespace of its own.

``NS`` in paths and bodies stands for that namespace. What is compared of an answer is its status, its warnings and, of
a refusal, its reason, message and causes; of an object, what ``shown`` names. Suites grow here; the real server's
answers are in ``recordings/interactions.json`` (``make oracle-kubernetes``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

JSON = "application/json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"
YAML = "application/yaml"


@dataclass(frozen=True, slots=True)
class Step:
    """One request. ``shown``: the dotted fields of the answer that count."""

    method: str
    path: str
    body: Any = None
    media: str = JSON
    shown: tuple[str, ...] = ()
    patient: bool = False
    """Ask again until it is served: a real server needs a moment for a new kind."""


@dataclass(frozen=True, slots=True)
class Interaction:
    """``labels`` are those of its namespace."""

    name: str
    steps: tuple[Step, ...]
    labels: dict[str, str] = field(default_factory=dict)


CORE = "/api/v1/namespaces/NS"
POD = {"containers": [{"name": "c", "image": "i"}]}
SAFE = {
    "runAsNonRoot": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def post(path: str, body: Any, *shown: str, media: str = JSON) -> Step:
    return Step("POST", path, body, media, shown)


def get(path: str, *shown: str) -> Step:
    return Step("GET", path, shown=shown)


def put(path: str, body: Any, *shown: str) -> Step:
    return Step("PUT", path, body, JSON, shown)


def patch(path: str, body: Any, media: str, *shown: str) -> Step:
    return Step("PATCH", path, body, media, shown)


def pod(**spec: Any) -> Step:
    return post(f"{CORE}/pods", {"metadata": {"name": "p"}, "spec": {**POD, **spec}})


def container(**more: Any) -> Step:
    return pod(containers=[{**POD["containers"][0], **more}])


def secured(**context: Any) -> Step:
    return container(securityContext=context)


def config_map(name: str = "m", **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def cron(schedule: str, zone: str = "") -> Step:
    job = {"template": {"spec": {"restartPolicy": "Never", **POD}}}
    spec = {"schedule": schedule, "jobTemplate": {"spec": job}, **({"timeZone": zone} if zone else {})}
    return post("/apis/batch/v1/namespaces/NS/cronjobs", {"metadata": {"name": "j"}, "spec": spec})


def service(**spec: Any) -> Step:
    body = {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}], **spec}}
    return post(f"{CORE}/services?dryRun=All", body, "spec.ipFamilies", "spec.ipFamilyPolicy", "spec.type")


def deployment(**spec: Any) -> Step:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {**POD, **spec}}
    body = {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}}
    return post("/apis/apps/v1/namespaces/NS/deployments", body)


def namespace(labels: dict[str, str]) -> Step:
    return post("/api/v1/namespaces?dryRun=All", {"metadata": {"name": "other", "labels": labels}})


def definition(rule: str, field_schema: dict[str, Any], *, deprecated: bool = False) -> Step:
    spec = {"type": "object", "properties": {"f": field_schema}, "x-kubernetes-validations": [{"rule": rule}]}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        **({"deprecated": True} if deprecated else {}),
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}},
    }
    names = {"plural": "things", "kind": "Thing"}
    body = {"group": "rules.example.org", "scope": "Namespaced", "names": names, "versions": [version]}
    return post(f"{CRDS}?dryRun=All", {"metadata": {"name": "things.rules.example.org"}, "spec": body})


def old_kind(plural: str, warning: str = "") -> tuple[Step, ...]:
    """A definition with a version that is deprecated, and requests in it."""
    kind = plural.capitalize()
    loose = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "deprecated": True, "schema": {"openAPIV3Schema": loose}}
    if warning:
        version["deprecationWarning"] = warning
    names = {"plural": plural, "kind": kind}
    spec = {"group": "old.example.org", "scope": "Namespaced", "names": names, "versions": [version]}
    path = f"/apis/old.example.org/v1/namespaces/NS/{plural}"
    body = {"apiVersion": "old.example.org/v1", "kind": kind, "metadata": {"name": "o"}}
    return (
        post(CRDS, {"metadata": {"name": f"{plural}.old.example.org"}, "spec": spec}),
        Step("GET", path, patient=True),
        Step("POST", path, body, patient=True),
        get(f"{path}/o"),
        get(f"{path}/none"),
        patch(f"{path}/o", {"spec": {"a": 1}}, MERGE, "spec"),
        Step("DELETE", f"{path}/o"),
        Step("DELETE", f"{CRDS}/{plural}.old.example.org"),
    )


def listing(query: str) -> Interaction:
    return Interaction(f"list {query}", (get(f"{CORE}/configmaps?labelSelector=no%3Dno&{query}"),))


def one(name: str, *steps: Step, **labels: str) -> Interaction:
    found = {f"pod-security.kubernetes.io/{key}": value for key, value in labels.items()}
    return Interaction(name, steps, found)


TEXT = {"type": "string"}
TEXTS = {"type": "array", "items": TEXT}
BOUND = {"type": "array", "maxItems": 10, "items": {"type": "string", "maxLength": 10}}
MAPS = "{CORE}/configmaps".replace("{CORE}", CORE)

PODS = {
    "a plain pod": container(),
    "a privileged container": secured(privileged=True),
    "the host's network": pod(
        hostNetwork=True, containers=[{**POD["containers"][0], "ports": [{"containerPort": 80}]}]
    ),
    "the host's processes": pod(hostPID=True, hostIPC=True),
    "a host path": pod(volumes=[{"name": "v", "hostPath": {"path": "/"}}]),
    "a host port": container(ports=[{"containerPort": 80, "hostPort": 80}]),
    "a capability": secured(capabilities={"add": ["SYS_ADMIN", "CHOWN"]}),
    "no seccomp": secured(seccompProfile={"type": "Unconfined"}),
    "root": secured(**{**SAFE, "runAsUser": 0}),
    "escalation": secured(**{**SAFE, "allowPrivilegeEscalation": True}),
    "another user's SELinux": secured(seLinuxOptions={"user": "x", "type": "spc_t"}),
    "a sysctl": pod(securityContext={"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}),
    "a volume of NFS": pod(volumes=[{"name": "v", "nfs": {"server": "s", "path": "/"}}]),
    "all that restricted asks for": secured(**SAFE),
    "two faults": pod(hostNetwork=True, containers=[{**POD["containers"][0], "securityContext": {"privileged": True}}]),
    "a probe of another host": container(livenessProbe={"httpGet": {"port": 80, "host": "1.2.3.4"}}),
}

INTERACTIONS = (
    *(one(f"baseline: {name}", step, enforce="baseline") for name, step in PODS.items()),
    *(one(f"restricted: {name}", step, enforce="restricted") for name, step in PODS.items()),
    one("pod security warns of a pod", pod(hostPID=True), warn="restricted"),
    one("pod security warns of a workload", deployment(hostPID=True), warn="baseline"),
    one("pod security enforces nothing on a workload", deployment(hostPID=True), enforce="baseline"),
    *(
        one(f"pod security level {labels}", namespace(labels))
        for labels in (
            {"pod-security.kubernetes.io/enforce": "strict"},
            {"pod-security.kubernetes.io/warn": "Baseline"},
            {"pod-security.kubernetes.io/audit-version": "1.2"},
            {"pod-security.kubernetes.io/enforce": "baseline", "pod-security.kubernetes.io/enforce-version": "v1.30"},
            {"pod-security.kubernetes.io/enforce": ""},
        )
    ),
    *(
        one(f"cron {schedule!r} {zone}", cron(schedule, zone))
        for schedule, zone in (
            ("* * * * *", ""),
            ("*/5 0-6 1,15 * mon", ""),
            ("@hourly", ""),
            ("@every 5m", ""),
            ("every hour", ""),
            ("61 * * * *", ""),
            ("* * * *", ""),
            ("TZ=UTC 0 * * * *", ""),
            ("5/0 * * * *", ""),
            ("* * * * *", "Europe/Vienna"),
            ("* * * * *", "Mars/Olympus"),
        )
    ),
    *(
        listing(query)
        for query in (
            "resourceVersionMatch=Exact",
            "resourceVersionMatch=NotOlderThan",
            "resourceVersionMatch=Newer&resourceVersion=1",
            "resourceVersionMatch=Exact&resourceVersion=0",
            "resourceVersionMatch=NotOlderThan&resourceVersion=0",
            "sendInitialEvents=true",
            "resourceVersion=abc",
            "limit=abc",
            "watch=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=1",
            "watch=true&sendInitialEvents=true&timeoutSeconds=1",
        )
    ),
    *(
        one(f"service {spec}", service(**spec))
        for spec in (
            {},
            {"type": "NodePort"},
            {"clusterIP": "None"},
            {"ipFamilyPolicy": "PreferDualStack"},
            {"ipFamilyPolicy": "RequireDualStack"},
            {"ipFamilies": ["IPv6"]},
            {"type": "ExternalName", "externalName": "a.example.org"},
        )
    ),
    one("a rule over its budget", definition("self.f.all(x, self.f.all(y, x == y))", TEXTS)),
    one("a rule within its budget", definition("self.f.all(x, self.f.all(y, x == y))", BOUND)),
    one("a linear rule without bounds", definition("self.f.all(x, x.startsWith('a'))", TEXTS)),
    one("a regular expression without bounds", definition("self.f.all(x, x.matches('^a.*b$'))", TEXTS)),
    one("a rule on a text without bound", definition("self.f.size() < 3", TEXT)),
    one("a text inside a text", definition("self.f.contains(self.f)", TEXT)),
    one("replace without a version", post(MAPS, config_map()), put(f"{MAPS}/m", config_map(a="b"), "data")),
    one(
        "replace with version 0",
        post(MAPS, config_map()),
        put(f"{MAPS}/m", {**config_map(a="b"), "metadata": {"name": "m", "resourceVersion": "0"}}, "data"),
    ),
    one(
        "replace with an old version",
        post(MAPS, config_map()),
        put(f"{MAPS}/m", {**config_map(a="b"), "metadata": {"name": "m", "resourceVersion": "1"}}),
    ),
    one(
        "patch with a wrong type",
        post(MAPS, config_map()),
        patch(f"{MAPS}/m", {"data": {"a": 1}}, MERGE),
        patch(f"{MAPS}/m", {"data": 5}, MERGE),
        patch(f"{MAPS}/m", {"data": {"a": 1}}, STRATEGIC),
        patch(f"{MAPS}/m", [{"op": "add", "path": "/data", "value": 5}], PATCH),
    ),
    one(
        "create from YAML",
        post(MAPS, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\n", "metadata.name", media=YAML),
    ),
    one(
        "apply refreshes what kubectl applied last",
        post(
            f"{MAPS}?fieldManager=kubectl-client-side-apply",
            {
                **config_map(a="b"),
                "metadata": {
                    "name": "m",
                    "annotations": {
                        "kubectl.kubernetes.io/last-applied-configuration": '{"apiVersion":"v1","kind":"ConfigMap",'
                        '"metadata":{"annotations":{},"name":"m","namespace":"NS"},"data":{"a":"b"}}\n'
                    },
                },
            },
        ),
        patch(
            f"{MAPS}/m?fieldManager=kubectl&force=false",
            {**config_map(a="c"), "metadata": {"name": "m", "namespace": "NS"}},
            APPLY,
            "data",
            "metadata.annotations",
        ),
    ),
    one("a deprecated version", *old_kind("elders")),
    one("a deprecated version with words of its own", *old_kind("ancients", "use newer.example.org")),
    one("YAML that is called JSON", post(MAPS, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\n")),
    one("a create of what is there", post(MAPS, config_map()), post(MAPS, config_map())),
    one("a delete of what is not there", Step("DELETE", f"{MAPS}/none")),
    one("an unknown field, strictly", post(f"{MAPS}?fieldValidation=Strict", {**config_map(), "datas": {}})),
    one("an unknown field, with a warning", post(f"{MAPS}?fieldValidation=Warn", {**config_map(), "datas": {}})),
    one("a name with capitals", post(MAPS, config_map("BAD"))),
    one("a label that is none", post(MAPS, {**config_map(), "metadata": {"name": "m", "labels": {"a b": "c"}}})),
    one(
        "a Secret for a token without an account",
        post(f"{CORE}/secrets", {"metadata": {"name": "t"}, "type": "kubernetes.io/service-account-token"}),
    ),
)

"""The pod templates of the components. Pure.

What a component is told comes in its environment (see each component's ``settings.py``); how it reaches the control
plane lies in a mounted Secret. Nothing here names an AWS credential unless the values name a Secret that holds one.
"""

from __future__ import annotations

from keyless.api.sealed_by import SOCKETS
from keyless.kube import KubeObject
from keyless.shared_secrets.stores.scopes import of_control_plane, to_text
from keyless.space.items import CONTROL_PLANE_LABEL
from keyless.space.kubernetes.names import BACKUP, CERTIFICATES, DATA, KMS_PLUGIN, RESTORE
from keyless.space.kubernetes.names import NAME as CONTROL_PLANE
from keyless.space.place import Place
from keyless.space.surroundings import CA_COPY, CA_DIR, PULL_COPY
from keyless.space.values import Backup, Billing, Values, Workload

CONTROL_PLANE_DIR = "/etc/keyless/control-plane"
ETCD_DIR = "/etc/keyless/etcd"
ENCRYPTION_DIR = "/etc/keyless/encryption"
SPOOL_DIR = "/var/lib/vector"
SIGNING_DIR = "/etc/keyless/signing"
CA_STAMP = "keyless.dev/ca-bundle"
"""On pods: which content of the CA bundle they started with."""
GROUP_ID = 65532
"""fsGroup: makes a volume writable for the image's user, who is not root."""


def vector_template(values: Values, place: Place, *, volume: str) -> KubeObject:
    """``volume`` is the name of a claim; empty: the spool lives as long as the pod."""
    billing = values.billing
    env = [
        *_control_plane_env(place),
        _plain("KEYLESS_ACCOUNT", values.account),
        _plain("KEYLESS_BILLING_PROVIDER", billing.provider),
        _plain("KEYLESS_BILLING_BUCKET", billing.bucket),
        _plain("KEYLESS_BILLING_REGION", billing.region),
        _plain("KEYLESS_BILLING_ENDPOINT", billing.endpoint),
        _plain("KEYLESS_SPOOL_DIR", SPOOL_DIR),
        _plain("KEYLESS_SPOOL_PERSISTENT", "true" if volume else "false"),
        # What one thread frees the others may use: glibc keeps a heap for each, and S3's model is read in one of them.
        _plain("MALLOC_ARENA_MAX", "1"),
        *_writing(billing),
        *_recording(values),
        *_static_keys(billing.secret),
    ]
    spool: KubeObject = (
        {"name": "spool", "persistentVolumeClaim": {"claimName": volume}}
        if volume
        else {
            "name": "spool",
            "emptyDir": {},
        }
    )
    container = _container("vector", "vector", values, env=env, extra=values.vector.env)
    container["volumeMounts"] = [*container["volumeMounts"], {"name": "spool", "mountPath": SPOOL_DIR}]
    container["resources"] = values.vector.resources
    template = _template("vector", place, container, service_account="vector", values=values, workload=values.vector)
    template["spec"]["volumes"] = [*template["spec"]["volumes"], spool]
    if billing.signing_secret:
        # A Secret that is missing holds nothing back: usage is stored, and the condition says that it is not signed.
        key = {"name": "signing", "secret": {"secretName": billing.signing_secret, "optional": True}}
        template["spec"]["volumes"].append(key)
        container["volumeMounts"].append({"name": "signing", "mountPath": SIGNING_DIR, "readOnly": True})
    return template


def external_secrets_template(values: Values, place: Place) -> KubeObject:
    """The controller of the External Secrets API; the names are those of the guides."""
    name = "external-secrets-controller"
    env = [*_control_plane_env(place), *_sync_env(values), *_store_policy(values, place)]
    workload = values.external_secrets
    container = _container(name, name, values, env=env, extra=workload.env)
    container["resources"] = workload.resources
    return _template("external-secrets", place, container, service_account=name, values=values, workload=workload)


def backup_template(values: Values, place: Place, holds: str = "") -> KubeObject:
    """What takes snapshots: the way to etcd, and the keys without which no Secret in one can be read.

    ``holds``: the uid of the namespace by which the operator knows what etcd holds; nothing else is stored.
    """
    env = [*_backup_env(values.backup, place), *([_plain("KEYLESS_HOLDS", holds)] if holds else [])]
    container = _container("backup", "backup", values, env=env, extra=values.backups.env)
    container["resources"] = values.backups.resources or {"requests": {"cpu": "10m", "memory": "64Mi"}}
    keys = {"name": "encryption", "mountPath": ENCRYPTION_DIR, "readOnly": True}
    container["volumeMounts"] = [{"name": "control-plane", "mountPath": ETCD_DIR, "readOnly": True}, keys]
    template = _template("backup", place, container, service_account="backup", values=values, workload=values.backups)
    way, *others = template["spec"]["volumes"]
    way["secret"]["secretName"] = BACKUP
    item: KubeObject = {"key": "encryption.json", "path": "encryption.json"}
    held = {"name": "encryption", "secret": {"secretName": CERTIFICATES, "items": [item]}}
    template["spec"]["volumes"] = [way, held, *others]
    # The last snapshot of a control plane that is deleted.
    template["spec"]["terminationGracePeriodSeconds"] = 120
    return template


def restore_template(values: Values, place: Place, wanted: str, claim: str) -> KubeObject:
    """What fills the volume of a control plane that begins as a snapshot: ours, etcd's own tool, ours."""
    template = backup_template(values, place)
    spec = template["spec"]
    (ours,) = spec["containers"]
    volume = {"name": "data", "mountPath": DATA}
    dropped = ("control-plane", "encryption")
    mounts = [each for each in ours["volumeMounts"] if each["name"] not in dropped]
    bare = {key: value for key, value in ours.items() if not key.endswith("Probe") and key != "ports"}
    told = [
        *ours["env"],
        _plain("KEYLESS_RESTORE", wanted),
        _plain("KEYLESS_RESTORE_DIR", DATA),
        _plain("KEYLESS_ETCD_VERSION", _version(values.api_server.etcd_image)),
    ]
    fetch, place_ = (
        {**bare, "name": step, "env": [*told, _plain("KEYLESS_RESTORE_STEP", step)], "volumeMounts": [*mounts, volume]}
        for step in ("fetch", "place")
    )
    etcdutl = {
        "name": "etcdutl",
        "image": values.api_server.etcd_image,
        "imagePullPolicy": values.pull_policy,
        "command": ["etcdutl", *_RESTORING],
        "securityContext": ours["securityContext"],
        "volumeMounts": [volume],
    }
    labels = {**template["metadata"]["labels"], "app.kubernetes.io/name": RESTORE}
    # Of one user, whatever an image says: each of the three writes what the next one reads, and etcd after them.
    security = {**spec["securityContext"], "runAsUser": GROUP_ID, "runAsGroup": GROUP_ID}
    kept = [each for each in spec["volumes"] if each["name"] not in dropped]
    return {
        "metadata": {**template["metadata"], "labels": labels},
        "spec": {
            **spec,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 5,
            "securityContext": security,
            "initContainers": [fetch, etcdutl],
            "containers": [place_],
            "volumes": [*kept, {"name": "data", "persistentVolumeClaim": {"claimName": claim}}],
        },
    }


def kms_plugin(values: Values, place: Place, *, file: str) -> tuple[KubeObject, list[KubeObject]]:
    """What asks KMS for kube-apiserver, and the volumes that it brings; ``file``: the key of its file in the Secret.

    A sidecar: its sockets are there before kube-apiserver looks for them, and longer than kube-apiserver does.
    """
    env = [*_control_plane_env(place)[1:3], _plain("MALLOC_ARENA_MAX", "1")]
    container = _container(KMS_PLUGIN, KMS_PLUGIN, values, env=env, extra=())
    # Its pod is never called unready for it: whether the API is served is kube-apiserver's to say.
    del container["readinessProbe"]
    container["startupProbe"] = _probe("/readyz", period=1, failures=120)
    container["restartPolicy"] = "Always"
    container["resources"] = values.api_server.resources.get(KMS_PLUGIN) or {
        "requests": {"cpu": "10m", "memory": "64Mi"},
        # What comes over its socket has no other bound.
        "limits": {"memory": "256Mi"},
    }
    mounts = {"kms": SOCKETS, "kms-keys": "/etc/keyless/kms", "host-api": HOST_API_DIR}
    container["volumeMounts"] = [
        {"name": name, "mountPath": path, **({} if name == "kms" else {"readOnly": True})}
        for name, path in mounts.items()
    ]
    # The first KMS key is named when the API answers, for which the pod has to run.
    keys: KubeObject = {"secretName": CERTIFICATES, "items": [{"key": file, "path": file}], "optional": True}
    volumes: list[KubeObject] = [
        {"name": "kms", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        {"name": "kms-keys", "secret": keys},
        # The host's API for this container alone: the others of the pod call nobody there.
        {"name": "host-api", "projected": {"sources": _HOST_API}},
    ]
    around = values.surroundings
    if around.ca_bundle is not None:
        volumes.append({"name": "ca-bundle", "secret": {"secretName": CA_COPY}})
        container["volumeMounts"].append({"name": "ca-bundle", "mountPath": CA_DIR, "readOnly": True})
    return container, volumes


HOST_API_DIR = "/var/run/secrets/kubernetes.io/serviceaccount"
"""Where every client of Kubernetes looks."""
_HOST_API: list[KubeObject] = [
    {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
    {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
    {
        "downwardAPI": {
            "items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]
        }
    },
]
_RESTORING = (
    "snapshot",
    "restore",
    f"{DATA}/restore/snapshot.db",
    f"--data-dir={DATA}/restore/made",
    f"--name={CONTROL_PLANE}",
    f"--initial-cluster={CONTROL_PLANE}=http://127.0.0.1:2380",
    "--initial-advertise-peer-urls=http://127.0.0.1:2380",
    # Whoever remembers a version of the other control plane's objects must not take an older one for a newer.
    "--bump-revision=1000000000",
    "--mark-compacted",
)


def _version(image: str) -> str:
    """Of an image's tag; empty where a digest alone says which it is."""
    name = image.partition("@")[0].rpartition("/")[2]
    return name.partition(":")[2]


def _backup_env(backup: Backup, place: Place) -> list[KubeObject]:
    writing, default = backup.writing, Backup()
    told = {
        "BUCKET": backup.bucket,
        "PREFIX": backup.prefix,
        "REGION": backup.region,
        "ENDPOINT": backup.endpoint,
        "SERVER_SIDE_ENCRYPTION": writing.encryption,
        "SSEKMS_KEY_ID": writing.kms_key,
        "EXPECTED_BUCKET_OWNER": writing.owner,
        "ADDRESSING_STYLE": backup.addressing_style if backup.addressing_style != default.addressing_style else "",
        "SECONDS": str(backup.interval_seconds),
        "KEEP": str(backup.keep),
    }
    return [
        *_control_plane_env(place)[:4],
        *(_plain(f"KEYLESS_BACKUP_{name}", value) for name, value in told.items() if value),
        _plain("KEYLESS_ETCD_DIR", ETCD_DIR),
        _plain("KEYLESS_ENCRYPTION_FILE", f"{ENCRYPTION_DIR}/encryption.json"),
        _plain("MALLOC_ARENA_MAX", "1"),
    ]


def _template(
    component: str, place: Place, container: KubeObject, *, service_account: str, values: Values, workload: Workload
) -> KubeObject:
    around = values.surroundings
    labels = {
        **around.labels,
        **workload.pod_labels,
        # After the users' own: the Deployment finds its pods by the first.
        "app.kubernetes.io/name": component,
        CONTROL_PLANE_LABEL: place.control_plane_id,
    }
    annotations = {**around.annotations, **workload.pod_annotations}
    volumes: list[KubeObject] = [{"name": "control-plane", "secret": {"secretName": f"kubeconfig-{component}"}}]
    if around.ca_bundle is not None:
        volumes.append({"name": "ca-bundle", "secret": {"secretName": CA_COPY}})
        mount = {"name": "ca-bundle", "mountPath": CA_DIR, "readOnly": True}
        container["volumeMounts"] = [*container["volumeMounts"], mount]
        if around.ca_bundle.stamp:
            annotations[CA_STAMP] = around.ca_bundle.stamp
    pull_secrets = [{"name": PULL_COPY}] if around.pull_secrets else []
    return {
        # What is empty is left out: a template that says nothing new must roll nothing.
        "metadata": {"labels": labels, **({"annotations": annotations} if annotations else {})},
        "spec": {
            "serviceAccountName": service_account,
            # Else a Service of the namespace that is called keyless sets KEYLESS_PORT, which is a setting of ours.
            "enableServiceLinks": False,
            **({"imagePullSecrets": pull_secrets} if pull_secrets else {}),
            # Long enough to flush what was collected.
            "terminationGracePeriodSeconds": 30,
            "securityContext": {
                "runAsNonRoot": True,
                "fsGroup": GROUP_ID,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": volumes,
            **workload.scheduling,
        },
    }


def _container(
    name: str, argument: str, values: Values, *, env: list[KubeObject], extra: tuple[KubeObject, ...]
) -> KubeObject:
    told = [
        *env,
        *values.surroundings.env,
        _field("POD_IP", "status.podIP"),
        _field("POD_NAME", "metadata.name"),
        _field("POD_UID", "metadata.uid"),
    ]
    # A name twice is refused by server-side apply; in a container the last one holds, so the users' stands for ours.
    replaced = {each["name"] for each in extra}
    return {
        "name": name,
        "image": values.image,
        "imagePullPolicy": values.pull_policy,
        "args": ["run", argument],
        "env": [*(each for each in told if each["name"] not in replaced), *extra],
        "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
        "startupProbe": _probe("/healthz", period=1, failures=60),
        "livenessProbe": _probe("/healthz", period=10, failures=3),
        "readinessProbe": _probe("/readyz", period=2, failures=3),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [{"name": "control-plane", "mountPath": CONTROL_PLANE_DIR, "readOnly": True}],
    }


def _control_plane_env(place: Place) -> list[KubeObject]:
    return [
        _plain("KEYLESS_CONTROL_PLANE_ID", place.control_plane_id),
        _plain("KEYLESS_CONTROL_PLANE_NAME", place.name),
        _plain("KEYLESS_CONTROL_PLANE_GROUP", place.group),
        _plain("KEYLESS_HOST_NAMESPACE", place.host_namespace),
        _plain("KEYLESS_CONTROL_PLANE_DIR", CONTROL_PLANE_DIR),
    ]


def _store_policy(values: Values, place: Place) -> list[KubeObject]:
    """Only what differs from the component's own defaults, and only this control plane's scopes.

    So a change rolls out where it means something, and nowhere else.
    """
    env = []
    if values.tenant_stores_may_use_controller_identity:
        env.append(_plain("KEYLESS_TENANT_STORES_MAY_USE_CONTROLLER_IDENTITY", "true"))
    if values.scopes is not None:
        env.append(_plain("KEYLESS_SCOPES", to_text(of_control_plane(values.scopes, place.group, place.name))))
    return env


def _writing(billing: Billing) -> list[KubeObject]:
    """Only what differs from the component's own defaults, as above."""
    writing, default = billing.writing, Billing()
    told = {
        "SERVER_SIDE_ENCRYPTION": writing.encryption,
        "SSEKMS_KEY_ID": writing.kms_key,
        "EXPECTED_BUCKET_OWNER": writing.owner,
        "ACL": writing.acl,
        "CHECKSUM_ALGORITHM": writing.checksum if writing.checksum != default.writing.checksum else "",
        "ADDRESSING_STYLE": billing.addressing_style if billing.addressing_style != default.addressing_style else "",
    }
    told["SIGNING_KMS_KEY_ID"] = billing.signing_kms
    told["SIGNING_KEY_FILE"] = f"{SIGNING_DIR}/signing.key" if billing.signing_secret else ""
    return [_plain(f"KEYLESS_BILLING_{name}", value) for name, value in told.items() if value]


def _recording(values: Values) -> list[KubeObject]:
    """Only what differs from the component's own defaults, as above."""
    billing, env = values.billing, []
    if billing.flush_seconds:
        env.append(_plain("KEYLESS_FLUSH_SECONDS", str(billing.flush_seconds)))
    if (bought := values.capacity.bought) is not None:
        env.append(_plain("KEYLESS_CAPACITY_FROM", bought.start.date().isoformat()))
    if billing.dimension_labels:
        env.append(_plain("KEYLESS_DIMENSION_LABELS", ",".join(billing.dimension_labels)))
    if billing.combinations != Billing().combinations:
        env.append(_plain("KEYLESS_DIMENSIONS_LIMIT", str(billing.combinations)))
    return env


def _sync_env(values: Values) -> list[KubeObject]:
    sync = values.secrets_sync
    return [
        _plain("KEYLESS_ADOPT_UNOWNED", "true" if sync.adopt_unowned else "false"),
        _plain("KEYLESS_PENDING_IS_MISSING", "true" if sync.pending_is_missing else "false"),
        _plain("KEYLESS_DELETION_MISSES", str(sync.misses)),
        _plain("KEYLESS_DELETION_SECONDS", str(sync.seconds)),
        _plain("KEYLESS_DELETION_PERCENT", str(sync.percent)),
        _plain("KEYLESS_DELETION_LEAST", str(sync.least)),
    ]


def _static_keys(secret: str) -> list[KubeObject]:
    """Static keys, where the values still ask for them: a missing Secret holds the pod back, as Kubernetes does."""
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if secret else ()
    return [{"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": name}}} for name in names]


def _plain(name: str, value: str) -> KubeObject:
    # Kubernetes drops an empty value from what it stores; without one there is nothing to compare.
    return {"name": name, "value": value} if value else {"name": name}


def _field(name: str, path: str) -> KubeObject:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def _probe(path: str, *, period: int, failures: int) -> KubeObject:
    return {
        "httpGet": {"path": path, "port": 8080},
        "periodSeconds": period,
        "failureThreshold": failures,
    }

"""From the text of ``values.json``, as Helm rendered it, to values or one refusal that names every fault. Pure.

The chart's schema has refused most nonsense already; what arrives here may still have been edited by hand, so it is
checked again and refused with a sentence.
"""

from __future__ import annotations

import json
import re

from keyless.api import Reason, Refusal
from keyless.api.sealed_by import is_key_id
from keyless.aws.writing import ACLS, CHECKSUMS, ENCRYPTIONS, STYLES, Writing
from keyless.space.reading import ROLE_ANNOTATION, KubeObject, Reader
from keyless.space.surroundings import read_surroundings
from keyless.space.values import (
    MODES,
    ApiServer,
    Backup,
    Billing,
    Capacity,
    Network,
    Persistence,
    SecretsSync,
    Values,
    Workload,
)

_PART = r"(?:[a-z0-9-]|\{name\}|\{group\}|\{id\})+"
# Without the control plane's own name all of them would be called alike.
_HOSTNAME = re.compile(rf"(?=.*\{{(?:name|id)\}}){_PART}(?:\.{_PART})*", re.ASCII)


def parse_values(text: str) -> Values | Refusal:
    """Read ``values.json``; a refusal names every fault at once."""
    try:
        document = json.loads(text)
    except ValueError as error:
        return Refusal(Reason.VALUES_INVALID, f"values.json is not JSON: {error}; run helm upgrade again")
    reader = Reader(document)
    values = _values(reader)
    if reader.faults:
        return Refusal(Reason.VALUES_INVALID, "; ".join(reader.faults) + "; correct them and run helm upgrade again")
    return values


def _values(reader: Reader) -> Values:
    mode = reader.word("controlPlanes.api.mode", "auto", one_of=MODES)
    alpha = reader.get("features.alpha.sharedSecrets.enabled", True)
    return Values(
        account=reader.get("account", "notdemo"),
        image=_image(reader),
        pull_policy=reader.get("image.pullPolicy", "IfNotPresent"),
        surroundings=read_surroundings(reader),
        network=Network(
            enabled=reader.get("networkPolicy.enabled", False),
            peers=reader.mappings("networkPolicy.from"),
            egress=reader.mappings("networkPolicy.egress"),
        ),
        mode=next((each for each in MODES if each == mode), "auto"),
        api_server=_api_server(reader, "controlPlanes.kubernetes"),
        billing=_billing(reader),
        backup=_backup(reader),
        backups=_workload(reader, "controlPlanes.backup"),
        capacity=_capacity(reader),
        export_schedule=reader.get("billing.export.schedule", ""),
        vector=_workload(reader, "controlPlanes.vector"),
        persistence=Persistence(
            enabled=reader.tristate("controlPlanes.vector.persistence.enabled"),
            size=reader.get("controlPlanes.vector.persistence.size", "1Gi"),
            storage_class=reader.get("controlPlanes.vector.persistence.storageClassName", ""),
        ),
        shared_secrets=reader.get("sharedSecrets.enabled", True) and alpha,
        external_secrets=_workload(reader, "controlPlanes.sharedSecrets"),
        tenant_stores_may_use_controller_identity=reader.get(
            "controlPlanes.sharedSecrets.tenantStoresMayUseControllerIdentity", False
        ),
        scopes=reader.scopes("controlPlanes.sharedSecrets.scopes"),
        secrets_sync=_secrets_sync(reader, "controlPlanes.sharedSecrets"),
    )


def _billing(reader: Reader) -> Billing:
    aws = "billing.storage.aws"
    return Billing(
        enabled=reader.get("billing.enabled", False),
        provider=reader.word("billing.storage.provider", "", one_of=("", "aws")),
        bucket=reader.get(f"{aws}.bucket", ""),
        region=reader.get(f"{aws}.region", ""),
        endpoint=reader.get(f"{aws}.endpoint", ""),
        secret=reader.get("billing.storage.secretRef.name", ""),
        writing=Writing(
            reader.word(f"{aws}.serverSideEncryption", "", one_of=ENCRYPTIONS),
            reader.get(f"{aws}.ssekmsKeyId", ""),
            reader.get(f"{aws}.expectedBucketOwner", ""),
            reader.word(f"{aws}.acl", "", one_of=ACLS),
            reader.word(f"{aws}.checksumAlgorithm", "SHA256", one_of=CHECKSUMS),
        ),
        flush_seconds=reader.minutes("billing.flushInterval"),
        signing_kms=reader.get("billing.signing.kmsKeyId", ""),
        signing_secret=reader.get("billing.signing.secretRef.name", ""),
        addressing_style=reader.word(f"{aws}.addressingStyle", "auto", one_of=STYLES),
        dimension_labels=reader.label_keys("billing.dimensions.labels"),
        combinations=max(reader.count("billing.dimensions.limit", 2000, most=20_000), 1),
    )


def _backup(reader: Reader) -> Backup:
    aws, default = "backup.storage.aws", Backup()
    return Backup(
        enabled=reader.get("backup.enabled", False),
        bucket=reader.get(f"{aws}.bucket", ""),
        prefix=reader.get(f"{aws}.prefix", ""),
        region=reader.get(f"{aws}.region", ""),
        endpoint=reader.get(f"{aws}.endpoint", ""),
        writing=Writing(
            reader.word(f"{aws}.serverSideEncryption", "", one_of=ENCRYPTIONS),
            reader.get(f"{aws}.ssekmsKeyId", ""),
            reader.get(f"{aws}.expectedBucketOwner", ""),
        ),
        addressing_style=reader.word(f"{aws}.addressingStyle", "auto", one_of=STYLES),
        interval_seconds=reader.minutes("backup.interval", most=7 * 24 * 60) or default.interval_seconds,
        keep=max(reader.count("backup.keep", default.keep, most=10_000), 1),
    )


def _capacity(reader: Reader) -> Capacity:
    """All of it or none: without its days nobody could say whether a capacity lasts."""
    found = Capacity(
        reader.optional_count("capacity.resourceHours"),
        reader.optional_count("capacity.operations"),
        reader.day("capacity.from"),
        reader.day("capacity.to"),
    )
    limits = found.resource_hours is not None or found.operations is not None
    if limits != (found.first is not None and found.last is not None) and not reader.faults:
        reader.faults.append(
            "capacity: expected resourceHours or operations with from and to, found a part of them; set all or none"
        )
    if found.first and found.last and found.last < found.first:
        reader.faults.append(f"capacity.to: expected a day from {found.first} on, found {found.last}")
    return found


def _image(reader: Reader) -> str:
    """A digest says which image it is, whatever a tag says today."""
    repository, digest = reader.get("image.repository", "keyless/keyless"), reader.get("image.digest", "")
    return f"{repository}@{digest}" if digest else f"{repository}:{reader.get('image.tag', '0.1.0')}"


def _api_server(reader: Reader, section: str) -> ApiServer:
    default = ApiServer()
    return ApiServer(
        image=reader.get(f"{section}.images.apiServer", default.image),
        controller_manager_image=reader.get(f"{section}.images.controllerManager", default.controller_manager_image),
        etcd_image=reader.get(f"{section}.images.etcd", default.etcd_image),
        size=reader.get(f"{section}.persistence.size", default.size),
        storage_class=reader.get(f"{section}.persistence.storageClassName", ""),
        resources=reader.get(f"{section}.resources", {}),
        scheduling=_scheduling(reader, section),
        service_type=reader.word(f"{section}.service.type", "ClusterIP", one_of=("ClusterIP", "LoadBalancer")),
        service_annotations=reader.get(f"{section}.service.annotations", {}),
        hostname=_hostname(reader, f"{section}.service.hostname"),
        kms_key=_kms_key(reader, f"{section}.encryption.kmsKeyId"),
        annotations=_role_annotations(reader, f"{section}.serviceAccount.customAnnotations"),
        rotate_after_days=reader.count(f"{section}.encryption.rotateAfterDays", 0, most=3650),
        gateway=_gateway(reader, f"{section}.service"),
        ingress_class=_needs_hostname(reader, f"{section}.service", "ingress.className"),
        ingress_annotations=reader.get(f"{section}.service.ingress.annotations", {}),
    )


def _gateway(reader: Reader, section: str) -> tuple[str, str, str] | None:
    name = _needs_hostname(reader, section, "gateway.name")
    where = reader.get(f"{section}.gateway.namespace", ""), reader.get(f"{section}.gateway.sectionName", "")
    return (where[0], name, where[1]) if name else None


def _needs_hostname(reader: Reader, section: str, path: str) -> str:
    """Both tell control planes apart by the name that is called."""
    found: str = reader.get(f"{section}.{path}", "")
    if found and not reader.get(f"{section}.hostname", ""):
        reader.faults.append(f"{section}.{path}: expected {section}.hostname beside it, found none")
    return found


def _hostname(reader: Reader, path: str) -> str:
    found = reader.get(path, "")
    if found and not _HOSTNAME.fullmatch(found):
        expected = (
            "a DNS name in which {name}, {group} and {id} may stand for the control plane's, one of them at least"
        )
        reader.faults.append(f"{path}: expected {expected}, found {found!r}")
        return ""
    return found


def _secrets_sync(reader: Reader, section: str) -> SecretsSync:
    guard, default = f"{section}.deletionGuard", SecretsSync()
    return SecretsSync(
        adopt_unowned=reader.get(f"{section}.adoptUnowned", False),
        pending_is_missing=reader.get(f"{section}.markedForDeletionIsMissing", False),
        misses=reader.count(f"{guard}.misses", default.misses),
        seconds=reader.count(f"{guard}.seconds", default.seconds),
        percent=reader.count(f"{guard}.percent", default.percent, most=100),
        least=reader.count(f"{guard}.least", default.least),
    )


def _kms_key(reader: Reader, path: str) -> str:
    found: str = reader.get(path, "")
    if found and not is_key_id(found):
        reader.faults.append(f"{path}: expected a KMS key's id, ARN, alias or alias ARN, found {found!r}")
        return ""
    return found


def _role_annotations(reader: Reader, path: str) -> dict[str, str]:
    annotations: dict[str, str] = reader.get(path, {})
    reader.role(path, annotations.get(ROLE_ANNOTATION))
    return annotations


def _workload(reader: Reader, section: str) -> Workload:
    return Workload(
        annotations=_role_annotations(reader, f"{section}.serviceAccount.customAnnotations"),
        pod_labels=reader.strings(f"{section}.pod.customLabels"),
        pod_annotations=reader.strings(f"{section}.pod.customAnnotations"),
        resources=reader.get(f"{section}.resources", {}),
        env=reader.variables(f"{section}.extraEnv"),
        scheduling=_scheduling(reader, section),
    )


def _scheduling(reader: Reader, section: str) -> KubeObject:
    fields: KubeObject = {
        "affinity": reader.get(f"{section}.affinity", {}),
        "nodeSelector": reader.get(f"{section}.nodeSelector", {}),
        "priorityClassName": reader.get(f"{section}.priorityClassName", ""),
        "tolerations": reader.get(f"{section}.tolerations", []),
        "topologySpreadConstraints": reader.get(f"{section}.topologySpreadConstraints", []),
    }
    return {name: value for name, value in fields.items() if value}

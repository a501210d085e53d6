"""Settings of ``keyless run vector``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from keyless.api.settings import setting
from keyless.aws.writing import Writing


@dataclass(frozen=True, slots=True)
class Settings:
    """One control plane's collector. The operator fills these in from the chart's values and the ControlPlane."""

    account: str = setting(env="KEYLESS_ACCOUNT", help="The account that the usage is stored under.")
    control_plane_id: str = setting(env="KEYLESS_CONTROL_PLANE_ID", help="status.controlPlaneID of the control plane.")
    control_plane_name: str = setting(env="KEYLESS_CONTROL_PLANE_NAME", help="Name of the ControlPlane object.")
    control_plane_group: str = setting(env="KEYLESS_CONTROL_PLANE_GROUP", help="Its group: the object's namespace.")
    host_namespace: str = setting(env="KEYLESS_HOST_NAMESPACE", help="The control plane's host namespace.")
    bucket: str = setting(env="KEYLESS_BILLING_BUCKET", help="The bucket that usage is stored in.")
    provider: str = setting("aws", env="KEYLESS_BILLING_PROVIDER", help="Where the bucket is; aws is what there is.")
    region: str = setting("", env="KEYLESS_BILLING_REGION", help="The bucket's region; empty: the pod's own.")
    endpoint: str = setting("", env="KEYLESS_BILLING_ENDPOINT", help="Another S3 endpoint; empty: AWS's.")
    server_side_encryption: str = setting(
        "",
        env="KEYLESS_BILLING_SERVER_SIDE_ENCRYPTION",
        help="AES256, aws:kms or aws:kms:dsse; empty: as the bucket does by itself.",
    )
    ssekms_key_id: str = setting(
        "", env="KEYLESS_BILLING_SSEKMS_KEY_ID", help="Id, ARN or alias of the key that objects are encrypted with."
    )
    expected_bucket_owner: str = setting(
        "", env="KEYLESS_BILLING_EXPECTED_BUCKET_OWNER", help="The account that the bucket must belong to."
    )
    acl: str = setting(
        "", env="KEYLESS_BILLING_ACL", help="bucket-owner-full-control, where the bucket's policy demands it."
    )
    checksum_algorithm: str = setting(
        "SHA256", env="KEYLESS_BILLING_CHECKSUM_ALGORITHM", help="SHA256, CRC32, or none for servers without checksums."
    )
    addressing_style: str = setting(
        "auto", env="KEYLESS_BILLING_ADDRESSING_STYLE", help="auto, path or virtual: where a URL names the bucket."
    )
    signing_key_file: str = setting(
        "", env="KEYLESS_BILLING_SIGNING_KEY_FILE", help="An Ed25519 private key (PEM) that signs manifests."
    )
    signing_kms_key_id: str = setting(
        "", env="KEYLESS_BILLING_SIGNING_KMS_KEY_ID", help="Instead: a KMS key by its id, ARN or alias."
    )
    spool_dir: str = setting("/var/lib/vector", env="KEYLESS_SPOOL_DIR", help="Where samples wait for their upload.")
    spool_persistent: bool = setting(
        False, env="KEYLESS_SPOOL_PERSISTENT", help="Whether the spool outlives the pod: uploads are then hourly."
    )
    control_plane_dir: str = setting(
        "/etc/keyless/control-plane",
        env="KEYLESS_CONTROL_PLANE_DIR",
        help="Folder with server, ca.crt and token of the control plane's API.",
    )
    interval_seconds: int = setting(15, env="KEYLESS_SAMPLE_SECONDS", help="Seconds between two samples, at most.")
    flush_seconds: int = setting(
        0, env="KEYLESS_FLUSH_SECONDS", help="Seconds between two uploads; 0: an hour with a volume, else 5 minutes."
    )
    watches: int = setting(
        200, env="KEYLESS_WATCHES", help="Kinds that are watched; more are asked in turn, two a second."
    )
    dimension_labels: str = setting(
        "", env="KEYLESS_DIMENSION_LABELS", help="Labels of resources that are recorded with their numbers, by commas."
    )
    combinations: int = setting(
        2000, env="KEYLESS_DIMENSIONS_LIMIT", help="Combinations of dimensions that one segment holds in full."
    )
    capacity_from: str = setting(
        "", env="KEYLESS_CAPACITY_FROM", help="First day of a capacity that was bought, as 2026-01-01; empty: none is."
    )
    pod_ip: str = setting("127.0.0.1", env="POD_IP", help="Address that /healthz, /readyz and /metrics answer on.")
    port: int = setting(8080, env="KEYLESS_PORT", help="Port that they answer on.")
    pod_name: str = setting("", env="POD_NAME", help="This pod, as conditions name it.")
    pod_uid: str = setting("", env="POD_UID", help="Names this run of the collector in its manifests.")

    @property
    def interval(self) -> timedelta:
        return timedelta(seconds=self.interval_seconds)

    @property
    def writing(self) -> Writing:
        return Writing(
            self.server_side_encryption,
            self.ssekms_key_id,
            self.expected_bucket_owner,
            self.acl,
            self.checksum_algorithm,
        )

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(key for key in (each.strip() for each in self.dimension_labels.split(",")) if key)

    @property
    def flush_interval(self) -> timedelta:
        return timedelta(seconds=self.flush_seconds or (3600 if self.spool_persistent else 300))

"""Settings of ``keyless run backup``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from keyless.api.settings import setting
from keyless.aws.writing import Writing


@dataclass(frozen=True, slots=True)
class Settings:
    """One control plane's backups. The operator fills these in from the chart's values and the ControlPlane."""

    control_plane_id: str = setting(env="KEYLESS_CONTROL_PLANE_ID", help="status.controlPlaneID of the control plane.")
    control_plane_name: str = setting(env="KEYLESS_CONTROL_PLANE_NAME", help="Name of the ControlPlane object.")
    control_plane_group: str = setting(env="KEYLESS_CONTROL_PLANE_GROUP", help="Its group: the object's namespace.")
    host_namespace: str = setting(env="KEYLESS_HOST_NAMESPACE", help="The control plane's host namespace.")
    bucket: str = setting(env="KEYLESS_BACKUP_BUCKET", help="The bucket that snapshots are stored in.")
    prefix: str = setting("", env="KEYLESS_BACKUP_PREFIX", help="What every key begins with, as backups/.")
    region: str = setting("", env="KEYLESS_BACKUP_REGION", help="The bucket's region; empty: the pod's own.")
    endpoint: str = setting("", env="KEYLESS_BACKUP_ENDPOINT", help="Another S3 endpoint; empty: AWS's.")
    server_side_encryption: str = setting(
        "",
        env="KEYLESS_BACKUP_SERVER_SIDE_ENCRYPTION",
        help="AES256, aws:kms or aws:kms:dsse; empty: as the bucket does by itself.",
    )
    ssekms_key_id: str = setting(
        "", env="KEYLESS_BACKUP_SSEKMS_KEY_ID", help="Id, ARN or alias of the key that objects are encrypted with."
    )
    expected_bucket_owner: str = setting(
        "", env="KEYLESS_BACKUP_EXPECTED_BUCKET_OWNER", help="The account that the bucket must belong to."
    )
    addressing_style: str = setting(
        "auto", env="KEYLESS_BACKUP_ADDRESSING_STYLE", help="auto, path or virtual: where a URL names the bucket."
    )
    interval_seconds: int = setting(3600, env="KEYLESS_BACKUP_SECONDS", help="Seconds between two snapshots.")
    keep: int = setting(24, env="KEYLESS_BACKUP_KEEP", help="How many of the newest snapshots stay.")
    holds: str = setting(
        "", env="KEYLESS_HOLDS", help="The uid of namespace kube-system in what is stored; empty: whatever is there."
    )
    etcd_dir: str = setting(
        "/etc/keyless/etcd", env="KEYLESS_ETCD_DIR", help="Folder with server, ca.crt, tls.crt and tls.key of etcd."
    )
    encryption_file: str = setting(
        "/etc/keyless/encryption/encryption.json",
        env="KEYLESS_ENCRYPTION_FILE",
        help="The EncryptionConfiguration, without which no Secret in a snapshot can be read.",
    )
    restore: str = setting(
        "",
        env="KEYLESS_RESTORE",
        help="Put back ID or ID/SNAPSHOT and end, where one is named; no snapshots are taken.",
    )
    restore_step: str = setting("fetch", env="KEYLESS_RESTORE_STEP", help="fetch, then etcdutl's own, then place.")
    restore_dir: str = setting("/var/lib/etcd", env="KEYLESS_RESTORE_DIR", help="The volume that is filled.")
    restore_secret: str = setting(
        "control-plane-restored", env="KEYLESS_RESTORE_SECRET", help="The Secret that receives the snapshot's keys."
    )
    etcd_version: str = setting("", env="KEYLESS_ETCD_VERSION", help="Of the etcd that is to read it; empty: unknown.")
    pod_ip: str = setting("127.0.0.1", env="POD_IP", help="Address that /healthz, /readyz and /metrics answer on.")
    port: int = setting(8080, env="KEYLESS_PORT", help="Port that they answer on.")
    pod_name: str = setting("", env="POD_NAME", help="This pod, as conditions name it.")

    @property
    def interval(self) -> timedelta:
        return timedelta(seconds=self.interval_seconds)

    @property
    def writing(self) -> Writing:
        return Writing(self.server_side_encryption, self.ssekms_key_id, self.expected_bucket_owner)

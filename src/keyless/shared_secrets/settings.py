"""Settings of the shared secrets controller, one per control plane."""

from __future__ import annotations

from dataclasses import dataclass

from keyless.api.settings import setting
from keyless.shared_secrets.sync.deletion import Guard


@dataclass(frozen=True, slots=True)
class Settings:
    """Which control plane, and where this pod listens."""

    control_plane_name: str = setting(env="KEYLESS_CONTROL_PLANE_NAME", help="Name of the ControlPlane object.")
    control_plane_group: str = setting(env="KEYLESS_CONTROL_PLANE_GROUP", help="Its group: the object's namespace.")
    host_namespace: str = setting(env="KEYLESS_HOST_NAMESPACE", help="The control plane's host namespace.")
    control_plane_id: str = setting("", env="KEYLESS_CONTROL_PLANE_ID", help="status.controlPlaneID.")
    control_plane_dir: str = setting(
        "/etc/keyless/control-plane",
        env="KEYLESS_CONTROL_PLANE_DIR",
        help="Folder with server, ca.crt and token of the control plane's API.",
    )
    service_account: str = setting(
        "external-secrets-controller", env="KEYLESS_SERVICE_ACCOUNT", help="This pod's service account."
    )
    tenant_stores_may_use_controller_identity: bool = setting(
        False,
        env="KEYLESS_TENANT_STORES_MAY_USE_CONTROLLER_IDENTITY",
        help="Whether a store made in the control plane may leave auth out and read as this pod.",
    )
    scopes: str = setting(
        "", env="KEYLESS_SCOPES", help="JSON list of scopes: which namespace may read which keys; empty: no bounds."
    )
    concurrent: int = setting(20, env="KEYLESS_CONCURRENT", help="How many ExternalSecrets are synced at once.")
    adopt_unowned: bool = setting(
        False,
        env="KEYLESS_ADOPT_UNOWNED",
        help="true takes over an existing Secret that nobody owns without being asked to, as External Secrets does.",
    )
    pending_is_missing: bool = setting(
        False,
        env="KEYLESS_PENDING_IS_MISSING",
        help="true takes a secret that AWS has marked for deletion for missing, as External Secrets does.",
    )
    deletion_misses: int = setting(
        3, env="KEYLESS_DELETION_MISSES", help="Reads that must miss a source before a Secret goes; 0: the first."
    )
    deletion_seconds: float = setting(
        600.0, env="KEYLESS_DELETION_SECONDS", help="Seconds over which they must miss it; 0: at once."
    )
    deletion_percent: int = setting(
        20, env="KEYLESS_DELETION_PERCENT", help="Share of the Secrets that may go within an hour; 0: no bound."
    )
    deletion_least: int = setting(
        3, env="KEYLESS_DELETION_LEAST", help="How many may always go within an hour, however few Secrets there are."
    )
    pod_ip: str = setting("127.0.0.1", env="POD_IP", help="Address of /healthz, /readyz and /metrics.")
    port: int = setting(8080, env="KEYLESS_PORT", help="Port of them.")
    pod_name: str = setting("", env="POD_NAME", help="This pod, as conditions name it.")

    @property
    def deletion_guard(self) -> Guard:
        """What holds deletions back."""
        return Guard(self.deletion_misses, self.deletion_seconds, self.deletion_percent, self.deletion_least)

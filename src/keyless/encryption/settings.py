"""Settings of ``keyless run kms-plugin``."""

from __future__ import annotations

from dataclasses import dataclass

from keyless.api.sealed_by import SOCKETS
from keyless.api.settings import setting


@dataclass(frozen=True, slots=True)
class Settings:
    """One control plane's plugin. The operator fills these in from the ControlPlane."""

    control_plane_name: str = setting(env="KEYLESS_CONTROL_PLANE_NAME", help="Name of the ControlPlane object.")
    control_plane_group: str = setting(env="KEYLESS_CONTROL_PLANE_GROUP", help="Its group: the object's namespace.")
    keys_file: str = setting(
        "/etc/keyless/kms/kms.json",
        env="KEYLESS_KMS_KEYS_FILE",
        help="The KMS keys, each with the name of its provider and the control plane for which it encrypts.",
    )
    socket_dir: str = setting(SOCKETS, env="KEYLESS_KMS_SOCKET_DIR", help="Folder of the sockets, one for each key.")
    region: str = setting("", env="KEYLESS_KMS_REGION", help="Of keys that are not named by ARN; empty: the pod's own.")
    pod_ip: str = setting("127.0.0.1", env="POD_IP", help="Address that /healthz, /readyz and /metrics answer on.")
    port: int = setting(8080, env="KEYLESS_PORT", help="Port that they answer on.")
    pod_name: str = setting("", env="POD_NAME", help="This pod, as conditions name it.")

"""Settings of ``keyless run operator``. What a Space is made of comes from the chart's values, not from here."""

from __future__ import annotations

from dataclasses import dataclass

from keyless.api.settings import setting


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the operator finds its values and answers its probes."""

    namespace: str = setting("default", env="POD_NAMESPACE", help="The release's namespace, which holds the values.")
    values_config_map: str = setting(
        "spaces-values", env="KEYLESS_VALUES_CONFIG_MAP", help="The ConfigMap whose values.json the chart rendered."
    )
    apply_definitions: bool = setting(
        True,
        env="KEYLESS_APPLY_DEFINITIONS",
        help="Whether it brings the definitions of ControlPlane and its kin, or waits for them.",
    )
    pod_name: str = setting("", env="POD_NAME", help="This pod: who of several operators holds the lease.")
    workers: int = setting(4, env="KEYLESS_WORKERS", help="Control planes that are worked on at the same time.")
    resync_seconds: float = setting(
        600.0, env="KEYLESS_RESYNC_SECONDS", help="Seconds after which a control plane is looked at without a change."
    )
    pod_ip: str = setting("127.0.0.1", env="POD_IP", help="Address that /healthz, /readyz and /metrics answer on.")
    leave: bool = setting(
        False, env="KEYLESS_LEAVE", help="Let go of every control plane and end: the chart's hook before an uninstall."
    )
    port: int = setting(8080, env="KEYLESS_PORT", help="Port that they answer on.")

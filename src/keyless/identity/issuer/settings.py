"""Settings of the issuer's public side."""

from __future__ import annotations

from dataclasses import dataclass

from keyless.api.settings import setting


@dataclass(frozen=True, slots=True)
class Settings:
    """All of them have defaults; the API server is the one that ``KUBECONFIG`` or the pod's service account names."""

    bind_host: str = setting("0.0.0.0", env="KEYLESS_ISSUER_BIND_HOST", help="Address to listen on.")  # noqa: S104 - AWS is elsewhere
    port: int = setting(8080, env="KEYLESS_ISSUER_PORT", help="Port of the two documents (http, behind an Ingress).")
    probe_port: int = setting(8081, env="KEYLESS_ISSUER_PROBE_PORT", help="Port of probes and /metrics; -1: none.")
    refresh_seconds: float = setting(
        30.0, env="KEYLESS_ISSUER_REFRESH_SECONDS", help="Time between two looks at the API server's keys."
    )

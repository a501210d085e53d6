"""Settings of the agent, named after the EKS Pod Identity agent's flags, with its defaults.

Flags: https://github.com/aws/eks-pod-identity-agent (cmd/server.go)
"""

from __future__ import annotations

from dataclasses import dataclass

from keyless.api.settings import setting


@dataclass(frozen=True, slots=True)
class Settings:
    """Only the cluster's name must be given."""

    cluster_name: str = setting(env="KEYLESS_AGENT_CLUSTER_NAME", help="Name of the EKS cluster the pods run in.")
    bind_hosts: str = setting(
        "169.254.170.23,fd00:ec2::23",
        env="KEYLESS_AGENT_BIND_HOSTS",
        help="Addresses to listen on, comma separated; one of them must be free.",
    )
    port: int = setting(80, env="KEYLESS_AGENT_PORT", help="Port of /v1/credentials.")
    probe_port: int = setting(2703, env="KEYLESS_AGENT_PROBE_PORT", help="Port of the probes on localhost; -1: none.")
    metrics_address: str = setting("0.0.0.0", env="KEYLESS_AGENT_METRICS_ADDRESS", help="Address of /metrics.")  # noqa: S104 - scraped from elsewhere
    metrics_port: int = setting(2705, env="KEYLESS_AGENT_METRICS_PORT", help="Port of /metrics; -1: none.")
    endpoint: str = setting("", env="KEYLESS_AGENT_ENDPOINT", help="EKS Auth endpoint, over the region's own.")
    max_credential_retention_before_renewal: int = setting(
        10800,
        env="KEYLESS_AGENT_MAX_CREDENTIAL_RETENTION_BEFORE_RENEWAL",
        help="Seconds after which credentials are renewed however long they last; 0: no cache.",
    )
    node_name: str = setting(
        "",
        env="KEYLESS_AGENT_NODE_NAME",
        help="The node whose pods are watched, so that credentials go with their pod; empty: none is.",
    )
    max_cache_size: int = setting(
        2000, env="KEYLESS_AGENT_MAX_CACHE_SIZE", help="How many pods' credentials are kept; 0: no cache."
    )

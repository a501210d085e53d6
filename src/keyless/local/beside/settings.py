"""Settings of the local AWS beside a cluster, which ``KUBECONFIG`` or the pod's own service account names."""

from __future__ import annotations

from dataclasses import dataclass

from keyless.api.settings import setting


@dataclass(frozen=True, slots=True)
class Settings:
    """The state folder must be given; what the cluster can say itself need not."""

    state: str = setting(env="KEYLESS_CLOUD_STATE", help="Folder of all that the cloud keeps, mode 0700.")
    bind_host: str = setting("127.0.0.1", env="KEYLESS_CLOUD_BIND_HOST", help="Address to listen on.")
    port: int = setting(8443, env="KEYLESS_CLOUD_PORT", help="Port of the AWS endpoints (TLS).")
    names: str = setting(
        "", env="KEYLESS_CLOUD_NAMES", help="Names and addresses that clients use, with commas between them."
    )
    cluster_name: str = setting("keyless", env="KEYLESS_CLOUD_CLUSTER_NAME", help="The cluster's name in EKS.")
    region: str = setting("us-west-2", env="KEYLESS_CLOUD_REGION", help="The one region.")
    account: str = setting("111122223333", env="KEYLESS_CLOUD_ACCOUNT", help="The one account, twelve digits.")
    issuer: str = setting("", env="KEYLESS_CLOUD_ISSUER", help="Issuer of pods' tokens; empty: the cluster is asked.")
    server_url: str = setting("", env="KEYLESS_CLOUD_SERVER_URL", help="The API server in EKS; empty: the issuer's.")
    cluster_ca: str = setting("", env="KEYLESS_CLOUD_CLUSTER_CA", help="File with the cluster's authority, PEM.")
    issuer_ca: str = setting("", env="KEYLESS_CLOUD_ISSUER_CA", help="File with authorities of token issuers, PEM.")
    pods_endpoint: str = setting(
        "",
        env="KEYLESS_CLOUD_PODS_ENDPOINT",
        help="URL of the cloud as new pods are told; empty: they are told nothing.",
    )
    told_by: str = setting(
        "auto",
        env="KEYLESS_CLOUD_TOLD_BY",
        help="What tells new pods: policy (a MutatingAdmissionPolicy), webhook (the cloud's own), or auto: the policy "
        "where the cluster serves the kind, as Kubernetes 1.36 does, else the webhook.",
    )
    webhook_port: int = setting(
        -1,
        env="KEYLESS_CLOUD_WEBHOOK_PORT",
        help="Port of that webhook (TLS), the Service's too; the API server must reach it. -1: none.",
    )
    service: str = setting(
        "",
        env="KEYLESS_CLOUD_SERVICE",
        help="Service of the cloud, where it runs in the cluster: new pods are told its cluster IP.",
    )
    namespace: str = setting("keyless-cloud", env="POD_NAMESPACE", help="Namespace of that Service.")
    metadata_port: int = setting(
        -1,
        env="KEYLESS_CLOUD_METADATA_PORT",
        help="Port of the instance metadata (http), port 80 of the Service; -1: none.",
    )
    eks_image: str = setting(
        "",
        env="KEYLESS_CLOUD_EKS_IMAGE",
        help="Image of a pod identity webhook and agent to run in the cluster, as EKS does; empty: neither.",
    )
    propagation_delay_seconds: float = setting(
        1.0, env="KEYLESS_CLOUD_PROPAGATION_DELAY_SECONDS", help="How long IAM's changes take to be felt."
    )

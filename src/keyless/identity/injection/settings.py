"""Settings of the webhook: the flags of the pod identity webhook, with its defaults.

Of the upstream flags, those of retired features (``--in-cluster`` and its certificate requests) and of its client
library are not here.

Flags: https://github.com/aws/amazon-eks-pod-identity-webhook#usage
"""

from __future__ import annotations

from dataclasses import dataclass

from keyless.api.settings import setting


@dataclass(frozen=True, slots=True)
class Settings:
    """All of them have defaults."""

    bind_host: str = setting("0.0.0.0", env="KEYLESS_WEBHOOK_BIND_HOST", help="Address to listen on.")  # noqa: S104 - the API server is elsewhere
    port: int = setting(443, env="KEYLESS_WEBHOOK_PORT", help="Port of the webhook (TLS).")
    metrics_port: int = setting(9999, env="KEYLESS_WEBHOOK_METRICS_PORT", help="Port of /metrics (http); -1: none.")
    tls_cert: str = setting("/etc/webhook/certs/tls.crt", env="KEYLESS_WEBHOOK_TLS_CERT", help="Certificate chain.")
    tls_key: str = setting("/etc/webhook/certs/tls.key", env="KEYLESS_WEBHOOK_TLS_KEY", help="Its private key.")
    certificate_secret: str = setting(
        "",
        env="KEYLESS_WEBHOOK_CERTIFICATE_SECRET",
        help="NAMESPACE/NAME of a Secret in which the webhook keeps a certificate that it makes and renews by itself, "
        "laid out at --tls-cert and --tls-key; empty: those files are somebody else's.",
    )
    service_name: str = setting(
        "pod-identity-webhook",
        env="KEYLESS_WEBHOOK_SERVICE_NAME",
        help="Service, in that Secret's namespace, and MutatingWebhookConfiguration by which the API server calls it.",
    )
    namespace: str = setting("eks", env="KEYLESS_WEBHOOK_NAMESPACE", help="Namespace of the watched ConfigMap.")
    annotation_prefix: str = setting(
        "eks.amazonaws.com", env="KEYLESS_WEBHOOK_ANNOTATION_PREFIX", help="Prefix of all annotations."
    )
    token_audience: str = setting(
        "sts.amazonaws.com", env="KEYLESS_WEBHOOK_TOKEN_AUDIENCE", help="Default audience of web identity tokens."
    )
    token_expiration: int = setting(
        86400, env="KEYLESS_WEBHOOK_TOKEN_EXPIRATION", help="Default lifetime of tokens in seconds (600 at least)."
    )
    token_mount_path: str = setting(
        "/var/run/secrets/eks.amazonaws.com/serviceaccount",
        env="KEYLESS_WEBHOOK_TOKEN_MOUNT_PATH",
        help="Where the web identity token is mounted.",
    )
    aws_default_region: str = setting(
        "", env="KEYLESS_WEBHOOK_AWS_DEFAULT_REGION", help="AWS_DEFAULT_REGION and AWS_REGION to set; empty: neither."
    )
    sts_regional_endpoint: bool = setting(
        False, env="KEYLESS_WEBHOOK_STS_REGIONAL_ENDPOINT", help="Set AWS_STS_REGIONAL_ENDPOINTS=regional by default."
    )
    watch_config_map: bool = setting(
        False, env="KEYLESS_WEBHOOK_WATCH_CONFIG_MAP", help="Read roles also from ConfigMap pod-identity-webhook."
    )
    compose_role_arn: bool = setting(
        False, env="KEYLESS_WEBHOOK_COMPOSE_ROLE_ARN", help="Complete a role name to an ARN of this account."
    )
    watch_container_credentials_config: str = setting(
        "",
        env="KEYLESS_WEBHOOK_WATCH_CONTAINER_CREDENTIALS_CONFIG",
        help="Path of the JSON list of service accounts with a pod identity association.",
    )
    container_credentials_config_map: str = setting(
        "",
        env="KEYLESS_WEBHOOK_CONTAINER_CREDENTIALS_CONFIG_MAP",
        help="NAMESPACE/NAME of a ConfigMap with that list as config.json, followed at once; instead of the file.",
    )
    container_credentials_audience: str = setting(
        "pods.eks.amazonaws.com",
        env="KEYLESS_WEBHOOK_CONTAINER_CREDENTIALS_AUDIENCE",
        help="Audience of tokens for the agent.",
    )
    container_credentials_token_mount_path: str = setting(
        "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount",
        env="KEYLESS_WEBHOOK_CONTAINER_CREDENTIALS_TOKEN_MOUNT_PATH",
        help="Where the agent's token is mounted.",
    )
    container_credentials_token_volume_name: str = setting(
        "eks-pod-identity-token",
        env="KEYLESS_WEBHOOK_CONTAINER_CREDENTIALS_TOKEN_VOLUME_NAME",
        help="Name of the volume with the agent's token.",
    )
    container_credentials_token_path: str = setting(
        "eks-pod-identity-token",
        env="KEYLESS_WEBHOOK_CONTAINER_CREDENTIALS_TOKEN_PATH",
        help="File name of the agent's token.",
    )
    container_credentials_full_uri: str = setting(
        "http://169.254.170.23/v1/credentials",
        env="KEYLESS_WEBHOOK_CONTAINER_CREDENTIALS_FULL_URI",
        help="The agent's endpoint, as pods are told.",
    )
    warn_of_trust: bool = setting(
        False,
        env="KEYLESS_WEBHOOK_WARN_OF_TRUST",
        help="Read the trust policy of each role (iam:GetRole), and warn where it would refuse the pod.",
    )
    service_account_lookup_seconds: float = setting(
        3.0,
        env="KEYLESS_WEBHOOK_SERVICE_ACCOUNT_LOOKUP_SECONDS",
        help="How long a service account that the cache misses may be asked of the API server.",
    )

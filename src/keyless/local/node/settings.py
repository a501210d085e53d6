"""Settings of a node that runs by itself (``keyless run node``), beside an API server that ``KUBECONFIG`` names."""

from __future__ import annotations

from dataclasses import dataclass

from keyless.api.settings import setting


@dataclass(frozen=True, slots=True)
class Settings:
    """The folder, the server's URL and the kubelet token must be given."""

    folder: str = setting(env="KEYLESS_NODE_FOLDER", help="Folder of the pods; one node each.")
    server_url: str = setting(env="KEYLESS_NODE_SERVER_URL", help="The API server, as pods are told.")
    kubelet_token: str = setting(env="KEYLESS_NODE_KUBELET_TOKEN", help="What the API server shows to ask for logs.")
    name: str = setting("local-node", env="KEYLESS_NODE_NAME", help="Name of the node.")
    port: int = setting(10250, env="KEYLESS_NODE_PORT", help="Port of the kubelet endpoint on loopback (http).")
    image_map: str = setting("", env="KEYLESS_NODE_IMAGE_MAP", help="YAML or JSON: image name to command.")
    aws_endpoint: str = setting("", env="KEYLESS_NODE_AWS_ENDPOINT", help="AWS_ENDPOINT_URL of the pods.")
    aws_region: str = setting("", env="KEYLESS_NODE_AWS_REGION", help="Region of the pods.")
    metadata_endpoint: str = setting("", env="KEYLESS_NODE_METADATA_ENDPOINT", help="Instance metadata of the pods.")

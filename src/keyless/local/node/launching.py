"""Make the launch of one container: its environment, its command, its mounts.

Writes the pod's kubeconfig and empty folders; starts nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from keyless.kube import KubeObject
from keyless.local.node.configuration import NodeConfiguration
from keyless.local.node.environment import ConfigFault, Lookup, Place, command_line, environment
from keyless.local.node.mounts import Bind, binds, rewritten
from keyless.local.node.namespaces import resolve
from keyless.local.node.processes import Launch

TOKEN_MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - a path
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
REGION_NAMES = ("AWS_REGION", "AWS_DEFAULT_REGION")


@dataclass(frozen=True, slots=True)
class PodPlace:
    """Where one pod lives on this machine."""

    folder: Path
    place: Place
    volumes: Mapping[str, str]
    own_views: bool


def launch(
    container: Mapping[str, Any], pod: KubeObject, where: PodPlace, configuration: NodeConfiguration, lookup: Lookup
) -> Launch | ConfigFault:
    """Everything that a start needs, or why the container cannot be made."""
    image = configuration.images.find(container["image"])
    if image is None:
        return ConfigFault(f"image {container['image']} cannot be run here")
    own = environment(container, pod, where.place, lookup)
    if isinstance(own, ConfigFault):
        return own
    mounted = tuple(Bind(resolve(b.path), b.source, b.read_only) for b in binds(container, where.volumes))
    if fault := _missing_source(mounted):
        return fault
    named = binds(container, where.volumes)  # as the manifest spells them: that is how the environment does, too
    variables = {**_given(pod, where, named, configuration, own), **own}
    argv = command_line(container, image.entrypoint, variables)
    calls = image.function and not container.get("command")
    if not where.own_views:
        variables = {name: rewritten(value, named) for name, value in variables.items()}
        argv = [rewritten(word, named) for word in argv]
    return Launch(
        name=container["name"],
        argv=argv,
        env=variables,
        cwd=str(container.get("workingDir") or "/"),
        root=str(_empty_root(where.folder, container["name"])) if where.own_views else "",
        binds=mounted if where.own_views else (),
        function=image.function if calls else "",
        arguments=tuple(argv[len(image.entrypoint) :]) if calls else (),
    )


def _given(
    pod: KubeObject, where: PodPlace, named: tuple[Bind, ...], configuration: NodeConfiguration, own: Mapping[str, str]
) -> dict[str, str]:
    """What the runtime and the node give every container."""
    home = where.folder / "home"
    home.mkdir(mode=0o700, exist_ok=True)
    server_host, _, server_port = configuration.server_url.partition("://")[2].partition("/")[0].partition(":")
    given = {
        "PATH": f"{os.path.dirname(sys.executable)}:{SYSTEM_PATH}",
        "HOME": str(home),
        "HOSTNAME": pod["metadata"]["name"],
        "KUBERNETES_SERVICE_HOST": server_host,
        "KUBERNETES_SERVICE_PORT": server_port or "443",
        **configuration.environment,
    }
    if any(name in own for name in REGION_NAMES):
        given = {name: value for name, value in given.items() if name not in REGION_NAMES}
    if "AWS_ENDPOINT_URL" in own:
        given.pop("AWS_ENDPOINT_URL_STS", None)
    token = next((bind for bind in named if bind.path == TOKEN_MOUNT), None)
    if token is not None:
        folder = TOKEN_MOUNT if where.own_views else token.source
        given["KUBECONFIG"] = str(_kubeconfig(pod, where.folder, folder, configuration))
    return given


def _kubeconfig(pod: KubeObject, folder: Path, token_folder: str, configuration: NodeConfiguration) -> Path:
    """A kubeconfig that reads the mounted token, so that a renewed one is used. It holds no secret itself."""
    namespace = pod["metadata"]["namespace"]
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "pod",
        "clusters": [
            {
                "name": "host",
                "cluster": {
                    "server": configuration.server_url,
                    "certificate-authority": f"{token_folder}/ca.crt",
                },
            }
        ],
        "users": [{"name": "pod", "user": {"tokenFile": f"{token_folder}/token"}}],
        "contexts": [{"name": "pod", "context": {"cluster": "host", "user": "pod", "namespace": namespace}}],
    }
    path = folder / "kubeconfig"
    path.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2))
    return path


def _missing_source(mounted: tuple[Bind, ...]) -> ConfigFault | None:
    for bind in mounted:
        if not os.path.exists(bind.source):
            return ConfigFault(f"failed to prepare subPath for volumeMount at {bind.path}: the volume has no such path")
    return None


def _empty_root(folder: Path, container: str) -> Path:
    """The folder that a container's root is put together in: inside its own namespace, so it stays empty here."""
    root = folder / "roots" / container
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    return root

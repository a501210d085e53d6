"""Run a node by itself until cancelled."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import uvicorn
import yaml

from keyless.api import Permanent
from keyless.kube import connect
from keyless.local.node.configuration import NodeConfiguration
from keyless.local.node.images import ImageMap, own_image, read_image_map_untrusted
from keyless.local.node.kubelet import Kubelet
from keyless.local.node.processes import SpawnedProcesses
from keyless.local.node.settings import Settings
from keyless.tasks import Tasks

LOOPBACK = "127.0.0.1"


async def run(settings: Settings, environ: Mapping[str, str]) -> None:
    """Connect as ``KUBECONFIG`` says, then work until cancelled; pods are ended before this returns."""
    configuration = configure(settings)
    configuration.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    listener = _listen(settings.port)
    processes = SpawnedProcesses.launch()
    try:
        async with connect(environ) as kube:
            kubelet = Kubelet(configuration, kube, processes)
            server = uvicorn.Server(uvicorn.Config(kubelet.app, lifespan="off", log_config=None))
            async with Tasks() as group:
                # Without its signal handlers: signals are the runner's.
                group.create_task(server._serve(sockets=[listener]))
                group.create_task(kubelet.run())
    finally:
        listener.close()
        await processes.aclose()


def _listen(port: int) -> socket.socket:
    """Bound by us: uvicorn would end the process where the port is taken, without a word that names it."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port))
    except OSError as error:
        listener.close()
        raise OSError(error.errno, error.strerror, f"{LOOPBACK}:{port}") from error
    return listener


def configure(settings: Settings) -> NodeConfiguration:
    """The node's configuration; raises ``Permanent`` for an image map that cannot be read."""
    images = ImageMap(own_image(sys.executable))
    if settings.image_map:
        try:
            content = yaml.safe_load(Path(settings.image_map).read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError) as error:
            raise Permanent(f"image map {settings.image_map}: {error}") from error
        images = images.extended(read_image_map_untrusted(content, settings.image_map))
    environment = {
        "AWS_ENDPOINT_URL": settings.aws_endpoint,
        # The Go SDK asks STS for a web identity's role before it has read the line above.
        "AWS_ENDPOINT_URL_STS": settings.aws_endpoint,
        "AWS_REGION": settings.aws_region,
        "AWS_DEFAULT_REGION": settings.aws_region,
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": settings.metadata_endpoint,
    }
    return NodeConfiguration(
        name=settings.name,
        folder=Path(settings.folder).absolute(),
        images=images,
        kubelet_port=settings.port,
        kubelet_token=settings.kubelet_token,
        server_url=settings.server_url,
        environment={name: value for name, value in environment.items() if value},
        now=lambda: datetime.now(UTC),
    )

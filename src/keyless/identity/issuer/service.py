"""The issuer's public side as a process: looks at the API server now and then, and serves what it saw last."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import orjson
import structlog
from prometheus_client import CollectorRegistry, Gauge

from keyless.api import KeylessError, Permanent
from keyless.identity.issuer.app import app
from keyless.identity.issuer.model import DISCOVERY_PATH, KEYS_PATH, Documents, documents_of_untrusted
from keyless.identity.issuer.settings import Settings
from keyless.kube import Kube, connect
from keyless.serving import Probes, bind, serve
from keyless.tasks import Tasks

RETRY_SECONDS = 2.0
log = structlog.get_logger()


class Published:
    """What was last fit to be published. A look that fails leaves it: keys that were true verify tokens that live."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self.documents: Documents | None = None
        self.trouble = "the API server has not been asked yet"

    async def look(self) -> None:
        """Ask for both documents; raises nothing that the API server can bring about."""
        try:
            asked = [await self._kube.request("GET", path) for path in (DISCOVERY_PATH, KEYS_PATH)]
            found = documents_of_untrusted(*(_parsed(each) for each in asked))
        except KeylessError as error:
            found = str(error)
        if isinstance(found, str):
            if found != self.trouble:
                log.warning("not published; what was seen last stays", error=found)
            self.trouble = found
            return
        if self.documents != found:
            log.info("published", issuer=found.issuer)
        self.documents, self.trouble = found, ""


async def run(settings: Settings, environ: Mapping[str, str]) -> None:
    """Serve until cancelled. Raises ``Permanent`` for settings or a port that cannot be used."""
    if settings.refresh_seconds <= 0:
        raise Permanent(f"--refresh-seconds {settings.refresh_seconds}: expected more than 0")
    async with connect(environ) as kube, Tasks() as tasks:
        published = Published(kube)
        face = app(lambda: published.documents, max_age_seconds=max(1, int(settings.refresh_seconds)))
        sock = bind(settings.bind_host, settings.port)
        if settings.probe_port >= 0:
            probes = bind(settings.bind_host, settings.probe_port)
            tasks.create_task(serve(_probes(published), probes), name="probes")
        tasks.create_task(serve(face, sock), name="documents")
        tasks.create_task(_follow(published, settings.refresh_seconds), name="keys")


async def _follow(published: Published, seconds: float) -> None:
    while True:
        await published.look()
        await asyncio.sleep(min(RETRY_SECONDS, seconds) if published.trouble else seconds)


def _probes(published: Published) -> Probes:
    """Ready with documents, however old: without any, the others' answers are better."""
    registry = CollectorRegistry()
    stale = Gauge("keyless_issuer_stale", "1 while the last look at the API server failed.", registry=registry)
    stale.set_function(lambda: 1.0 if published.trouble else 0.0)
    return Probes(lambda: "" if published.documents else published.trouble, registry)


def _parsed(answer: object) -> object:
    """Keys come as ``application/jwk-set+json``, which is text to a client of Kubernetes."""
    if not isinstance(answer, str):
        return answer
    try:
        return orjson.loads(answer)
    except orjson.JSONDecodeError:
        return None

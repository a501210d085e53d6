"""``keyless run kms-plugin``: the sockets as the file asks for them, and what is said of the keys."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry, Gauge

from keyless.api import KeylessError
from keyless.api.sealed_by import plugin_keys
from keyless.aws import Session, caller_identity
from keyless.encryption.host import Host, Said, said_of
from keyless.encryption.kms import Kms
from keyless.encryption.plugin import Asking, Sockets
from keyless.encryption.settings import Settings
from keyless.kube import Kube, connect
from keyless.serving import Probes, bind, serve
from keyless.tasks import Tasks

POLL_SECONDS = 1.0
"""The kubelet changes the file under us; there is nothing else to wait for."""
ASK_SECONDS = 8.0
LOOK_SECONDS, LOOK_AGAIN_SECONDS = 60.0, 15.0
"""Between two looks at keys that are well, and where one is not."""
TELL_AGAIN_SECONDS = 60.0
"""What could not be written to the host's API is tried again so much later."""
_log = structlog.get_logger("keyless.kms")


async def run(settings: Settings, environ: Mapping[str, str]) -> None:
    """Run until cancelled."""
    session = Session.from_environment(environ, region=settings.region)
    async with connect(environ) as kube:
        work = Keys(settings, Kms(session), kube, session)
        # Ready without KMS and without the host's API: a pod that is not is taken out of the control plane's Service.
        probes = Probes(lambda: work.trouble, work.metrics())
        async with Tasks() as tasks:
            tasks.create_task(serve(probes, bind(settings.pod_ip, settings.port)))
            tasks.create_task(work.tell())
            tasks.create_task(work.watch())
            await tasks.create_task(work.run())


class Keys:
    """One control plane's keys."""

    def __init__(self, settings: Settings, kms: Asking, kube: Kube, session: Session | None) -> None:
        self._file = Path(settings.keys_file)
        self._changed = asyncio.Event()
        self._sockets = Sockets(Path(settings.socket_dir), kms, self._changed.set)
        self._host = Host(kube, settings.control_plane_group, settings.control_plane_name, _now, settings.pod_name)
        self._session = session
        self._told: Said | None = None
        self._refused = ""
        """Why the file is not acted upon, which is logged once: it is read each second."""
        self.trouble = "the keys are read"

    async def run(self) -> None:
        """Serve what the file names until cancelled; where it cannot be read, what it named before goes on."""
        try:
            while True:
                await self.step()
                await asyncio.sleep(POLL_SECONDS)
        finally:
            await self._sockets.close()

    async def step(self) -> None:
        """Read the file, and look at keys that are new."""
        try:
            keys = plugin_keys(await asyncio.to_thread(self._read))
            known = {plugin.key for plugin in self._sockets.plugins}
            await self._sockets.keep(keys)
        except (OSError, ValueError, KeylessError) as error:
            said = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
            if self._refused != said:
                _log.warning("keys not served", file=str(self._file), error=said)
            self._refused = said
            self.trouble = self.trouble if self._sockets.plugins and not self.trouble else said
            return
        self.trouble = self._refused = ""
        new = [plugin for plugin in self._sockets.plugins if plugin.key not in known]
        await asyncio.gather(*(plugin.look(ASK_SECONDS) for plugin in new))

    def _read(self) -> bytes:
        """No file is no key: it comes when the first one is named."""
        return self._file.read_bytes() if self._file.exists() else b'{"keys": []}'

    async def watch(self) -> None:
        """Look also while kube-apiserver does not ask: it may be waiting for the very key."""
        while True:
            well = all(plugin.found.is_well for plugin in self._sockets.plugins)
            await asyncio.sleep(LOOK_SECONDS if well else LOOK_AGAIN_SECONDS)
            await asyncio.gather(*(plugin.look(ASK_SECONDS) for plugin in self._sockets.plugins))

    async def tell(self) -> None:
        """Say what changed. The sockets are served whether it can be said or not."""
        wait: float | None = None
        while True:
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                pass
            self._changed.clear()
            wait = None
            found = [(plugin.key, plugin.found) for plugin in self._sockets.plugins]
            if not found or (said := said_of(found, await self._who())) == self._told:
                continue
            try:
                await self._host.report(said)
                self._told = said
                _log.info("told", status=said.status, reason=said.reason)
            except KeylessError as error:
                wait = TELL_AGAIN_SECONDS
                _log.warning("condition not written", error=str(error))

    async def _who(self) -> str:
        """STS needs no permission; where it is silent the rest is still said."""
        if self._session is None:
            return ""
        try:
            async with asyncio.timeout(ASK_SECONDS):
                return f" as {(await caller_identity(self._session)).arn}"
        except (KeylessError, TimeoutError) as error:
            return f" (by whom, STS did not say: {getattr(error, 'code', 'Timeout')})"

    def metrics(self) -> CollectorRegistry:
        """Whether every key answers."""
        registry = CollectorRegistry()
        usable = Gauge("keyless_kms_usable", "1: KMS encrypts and decrypts with every key.", registry=registry)
        usable.set_function(lambda: float(all(plugin.found.is_well for plugin in self._sockets.plugins)))
        return registry


def _now() -> datetime:
    return datetime.now(UTC)

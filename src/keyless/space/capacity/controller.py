"""Keeps the SpaceLicense's status: looks at what collectors told, decides by :mod:`plan`, writes what is new."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from datetime import datetime

import orjson
import structlog

from keyless.api import KeylessError
from keyless.billing.report.capacity import Bought
from keyless.kube import Kube, KubeObject, NotFound
from keyless.kube import events as kube_events
from keyless.kube.resources import SPACELICENSES
from keyless.space.capacity.plan import (
    KEPT,
    NAME,
    Kept,
    kept_document,
    kept_next,
    kept_untrusted,
    news_of,
    plane_use,
    status_of,
)
from keyless.space.items import FIELD_MANAGER

_log = structlog.get_logger("keyless.operator.capacity")
LOOK_SECONDS = 60.0
COMPONENT = "spaces-operator"


class Licensing:
    """The one SpaceLicense; ``bought`` is what the values say, ``planes`` the ControlPlanes as last seen."""

    def __init__(
        self,
        host: Kube,
        bought: Callable[[], Bought | None],
        planes: Callable[[], Iterable[KubeObject]],
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._host, self._bought, self._planes, self._now = host, bought, planes, now
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look at once: what the values say may have changed, and whoever changed them looks for it."""
        self._woken.set()

    async def run(self) -> None:
        """Look again and again until cancelled; what an API server refuses now it may take the next time."""
        while True:
            # Before the look: what wakes it meanwhile is looked at once more.
            self._woken.clear()
            try:
                await self.look()
            except KeylessError as error:
                _log.warning("capacity not told", error=str(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), LOOK_SECONDS)

    async def look(self) -> None:
        """Once. Stopped after any step, the next look writes the same."""
        bought = self._bought()
        license_ = await self._license(wanted=bought is not None)
        if license_ is None:
            return
        since = bought.start.date().isoformat() if bought else ""
        uses = [use for each in self._planes() if (use := plane_use(each, since)) is not None]
        before = _kept_of(license_)
        kept = kept_next(before, uses, since) if bought else before
        # First what is remembered: a status is made again at any time, what is gone is not.
        if kept is not None and kept != before:
            license_ = await self._remember(license_, kept)
        status = status_of(license_, bought, kept or Kept(since), uses, self._now())
        old = license_.get("status") or {}
        if status == old:
            return
        await self._host.apply(SPACELICENSES, _body(status=status), field_manager=FIELD_MANAGER, subresource="status")
        if (news := news_of(old, status)) is not None:
            reason, message = news
            await kube_events.record(
                self._host, license_, type="Warning", reason=reason, message=message, component=COMPONENT
            )

    async def _license(self, *, wanted: bool) -> KubeObject | None:
        """Made where a capacity is set and nobody has made one: else nobody would see how it stands."""
        try:
            return await self._host.get(SPACELICENSES, NAME)
        except NotFound:
            if not wanted:
                return None
            return await self._host.apply(SPACELICENSES, _body(), field_manager=FIELD_MANAGER)

    async def _remember(self, license_: KubeObject, kept: Kept) -> KubeObject:
        text = orjson.dumps(kept_document(kept)).decode()
        applied = await self._host.apply(SPACELICENSES, _body(annotations={KEPT: text}), field_manager=FIELD_MANAGER)
        return {**applied, "status": license_.get("status") or {}}


def _kept_of(license_: KubeObject) -> Kept | None:
    text = (license_["metadata"].get("annotations") or {}).get(KEPT)
    try:
        # orjson: nesting without end is refused as any other text that is no JSON.
        return kept_untrusted(orjson.loads(text)) if text else None
    except ValueError:
        return None


def _body(*, status: KubeObject | None = None, annotations: dict[str, str] | None = None) -> KubeObject:
    return {
        "apiVersion": SPACELICENSES.api_version,
        "kind": SPACELICENSES.kind,
        "metadata": {"name": NAME, **({"annotations": annotations} if annotations else {})},
        **({"status": status} if status is not None else {}),
    }

"""What is asked of AWS: in the key's own region, within the time that kube-apiserver waits."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Mapping
from typing import Any

from botocore.config import Config

from keyless.api import Arn
from keyless.aws import AwsPermanent, AwsTransient, Session, in_pool
from keyless.aws.errors import Said
from keyless.aws.sessions import call

CONFIG = Config(connect_timeout=2, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 1})
"""One attempt: how often is decided here, by the time that is left."""
WAITS = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds between attempts; KMS throttles by the second."""


class Kms:
    """One process's way to KMS; ``session`` has its credentials."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._services: dict[str, Any] = {}

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], region: str) -> Kms:
        """As the pod's own service account."""
        return cls(Session.from_environment(environ, region=region))

    async def call(self, operation: str, key_id: str, seconds: float, /, **params: Any) -> Mapping[str, Any]:
        """Ask about a key; what may go better is tried again within ``seconds``.

        Raises ``AwsTransient`` or ``AwsPermanent``. A thread that hangs ends by itself within its own timeout.
        """
        loop = asyncio.get_running_loop()
        until, waits = loop.time() + seconds, iter(WAITS)
        last: AwsTransient | None = None
        while True:
            try:
                async with asyncio.timeout_at(until):
                    return await call(await self._service(key_id), operation, KeyId=key_id, **params)
            except AwsTransient as error:
                last = error
            except TimeoutError:
                raise last or _late(operation) from None
            wait = next(waits, WAITS[-1])
            if loop.time() + wait >= until:
                raise last
            await asyncio.sleep(wait)

    async def _service(self, key_id: str) -> Any:
        region = region_of(key_id) or self._session.region
        if region not in self._services:
            make = functools.partial(self._session.in_region(region).service_blocking, "kms", config=CONFIG)
            self._services[region] = await in_pool(make)
        return self._services[region]


def region_of(key_id: str) -> str:
    """Of an ARN; empty: it is none."""
    try:
        return Arn.parse(key_id).region
    except ValueError:
        return ""


def _late(operation: str) -> AwsTransient:
    return AwsTransient(Said(operation, "RequestTimeout", "no answer in time", answered=False))


__all__ = ["AwsPermanent", "AwsTransient", "Kms"]

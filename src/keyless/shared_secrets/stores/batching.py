"""Reads of one identity that are asked for at the same moment go to AWS together, where its policy allows that.

Never required: the guide's three actions have no batch. The first batch that is denied is remembered for an hour, and
each read is a call of its own again. What a batch does not answer (an entry of its ``Errors``, a name it passes over)
is read by itself, so each ExternalSecret hears AWS's own words about its own secret and none vanishes without an error.

Limits: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_BatchGetSecretValue.html (20),
https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameters.html (10)
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from keyless.aws import AwsPermanent
from keyless.shared_secrets.stores.metered import Caller
from keyless.shared_secrets.stores.model import Payload

GATHER_SECONDS = 0.02
"""How long the first read waits for others; a call to AWS takes about as long."""
DENIED_SECONDS = 3600.0
MAX_BATCHERS = 500

Asked = Callable[[Caller, Sequence[str]], Awaitable[Mapping[str, Payload]]]
"""Reads several names in one call; what it did not answer is not in the result."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One service's batch: how many names a call takes, and the call."""

    most: int
    ask: Asked


@dataclass(slots=True)
class _Waiting:
    single: Callable[[], Awaitable[Payload]]
    futures: list[asyncio.Future[Payload]] = field(default_factory=list)


class Batcher:
    """The reads of one identity at one service; ``clock`` is monotonic seconds."""

    def __init__(self, session: Caller, kind: Kind, clock: Callable[[], float]) -> None:
        self._session, self._kind, self._clock = session, kind, clock
        self._waiting: dict[str, _Waiting] = {}
        self._flushing: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._denied_until = 0.0

    async def read(self, name: str, single: Callable[[], Awaitable[Payload]]) -> Payload:
        """Return what AWS has under ``name``; ``single`` reads it alone and raises what AWS says of it."""
        if self._clock() < self._denied_until:
            return await single()
        loop = asyncio.get_running_loop()
        waiting = self._waiting.setdefault(name, _Waiting(single))
        future: asyncio.Future[Payload] = loop.create_future()
        waiting.futures.append(future)
        if len(self._waiting) >= self._kind.most:
            self._flush()
        elif self._timer is None:
            self._timer = loop.call_later(GATHER_SECONDS, self._flush)
        return await future

    def _flush(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        waiting, self._waiting = self._waiting, {}
        task = asyncio.create_task(self._run(waiting))
        self._flushing.add(task)
        task.add_done_callback(self._flushing.discard)

    async def _run(self, waiting: dict[str, _Waiting]) -> None:
        try:
            # One alone needs no right that it may not have.
            found = await self._kind.ask(self._session, list(waiting)) if len(waiting) > 1 else {}
        except AwsPermanent as error:
            if error.code in _DENIED:
                self._denied_until = self._clock() + DENIED_SECONDS
            # One name that AWS finds malformed fails a whole batch: each is heard by itself.
            found = {}
        except Exception as error:  # noqa: BLE001 - whoever waits must hear it, whatever it is
            for one in waiting.values():
                _fail(one, error)
            return
        await asyncio.gather(*(self._answer(one, found.get(name)) for name, one in waiting.items()))

    async def _answer(self, one: _Waiting, payload: Payload | None) -> None:
        try:
            answer = await one.single() if payload is None else payload
        except Exception as error:  # noqa: BLE001 - whoever waits must hear it, whatever it is
            _fail(one, error)
            return
        for future in one.futures:
            if not future.done():
                future.set_result(answer)


_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnknownOperationException", "InvalidAction"})


def _fail(one: _Waiting, error: Exception) -> None:
    for future in one.futures:
        if not future.done():
            future.set_exception(error)


class Batchers:
    """One batcher for each identity and service: reads of two identities never share a call."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: OrderedDict[tuple[str, str, str], Batcher] = OrderedDict()

    def of(self, identity: str, session: Caller, service: str, region: str) -> Batcher:
        """Return the batcher of an identity; ``identity`` names its whole chain of credentials."""
        key = (identity, service, region)
        if key not in self._known:
            self._known[key] = Batcher(session, KINDS[service], self._clock)
        self._known.move_to_end(key)
        while len(self._known) > MAX_BATCHERS:
            self._known.popitem(last=False)
        return self._known[key]


async def _secrets(session: Caller, names: Sequence[str]) -> Mapping[str, Payload]:
    answer = await session.call("secretsmanager", "BatchGetSecretValue", SecretIdList=list(names))
    found: dict[str, Payload] = {}
    for one in answer.get("SecretValues") or ():
        payload = Payload(one.get("SecretString"), one.get("SecretBinary"), one.get("VersionId", ""))
        found |= _under(one, names, payload)
    return found


async def _parameters(session: Caller, names: Sequence[str]) -> Mapping[str, Payload]:
    answer = await session.call("ssm", "GetParameters", Names=list(names), WithDecryption=True)
    found: dict[str, Payload] = {}
    for one in answer.get("Parameters") or ():
        selector = one.get("Selector") or ""
        payload = Payload(text=one["Value"], version=str(one.get("Version", "")))
        asked = {**one, "Name": f"{one['Name']}{selector}", "ARN": f"{one.get('ARN', '')}{selector}"}
        found |= _under(asked, names, payload)
    return found


def _under(one: Mapping[str, Any], names: Sequence[str], payload: Payload) -> dict[str, Payload]:
    """Return the answer under whichever of its two names was asked for: no other is taken for it."""
    return {name: payload for name in (one.get("Name", ""), one.get("ARN", "")) if name and name in names}


KINDS = {"secretsmanager": Kind(20, _secrets), "ssm": Kind(10, _parameters)}

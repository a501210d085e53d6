"""Probes: when a container counts as started, ready and alive.

The counting is pure (``Tally``); ``probe_forever`` asks and tells. https://kubernetes.io/docs/concepts/workloads/pods/probes/
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from keyless.api import KeylessError
from keyless.api.numbers import is_digits
from keyless.kube import KubeObject

Execute = Callable[[list[str]], Awaitable[tuple[int, str]]]
"""Run a command in the container: its exit code and the end of its output."""

OUTPUT_LIMIT = 256
EAGER_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one probe found."""

    ok: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class Tally:
    """Consecutive outcomes; ``verdict`` changes only when a threshold is reached."""

    verdict: bool | None = None
    ok: bool = False
    count: int = 0


def counted(tally: Tally, outcome: Outcome, probe: Mapping[str, Any]) -> Tally:
    """The tally after one more outcome."""
    count = tally.count + 1 if outcome.ok == tally.ok and tally.count else 1
    threshold = int(probe.get("successThreshold") or 1) if outcome.ok else int(probe.get("failureThreshold") or 3)
    verdict = outcome.ok if count >= threshold else tally.verdict
    return Tally(verdict, outcome.ok, count)


async def probe_forever(
    probe: Mapping[str, Any],
    ask: Callable[[], Awaitable[Outcome]],
    tell: Callable[[Outcome, Tally], bool],
) -> None:
    """Ask every period and tell each outcome with the tally so far; ends when ``tell`` says so.

    Until the first success a failure counts once a period, as ever, but within the period we look again more often: a
    kubelet would let a pod that is ready after half a second wait for the rest of its period.
    """
    tally = Tally()
    period_seconds = float(probe.get("periodSeconds") or 10)
    await asyncio.sleep(float(probe.get("initialDelaySeconds") or 0))
    while True:
        # A command costs a process: it is not run more often than asked for.
        is_eager = not tally.verdict and "exec" not in probe
        outcome = await (_within(period_seconds, ask) if is_eager else ask())
        tally = counted(tally, outcome, probe)
        if tell(outcome, tally):
            return
        if outcome.ok or not is_eager:
            await asyncio.sleep(period_seconds)


async def _within(period_seconds: float, ask: Callable[[], Awaitable[Outcome]]) -> Outcome:
    """A success as soon as there is one, or the last failure when the period is over."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + period_seconds
    while True:
        outcome = await ask()
        left = deadline - loop.time()
        if outcome.ok or left <= 0:
            return outcome
        await asyncio.sleep(min(left, EAGER_SECONDS))


async def ask(probe: Mapping[str, Any], container: Mapping[str, Any], pod_ip: str, execute: Execute) -> Outcome:
    """One probe, within its timeout. Never raises for what the container does."""
    seconds = float(probe.get("timeoutSeconds") or 1)
    try:
        async with asyncio.timeout(seconds):
            if http := probe.get("httpGet"):
                return await http_get(http, container, pod_ip)
            if tcp := probe.get("tcpSocket"):
                return await _tcp(tcp, container, pod_ip)
            if command := (probe.get("exec") or {}).get("command"):
                code, output = await execute(list(command))
                return Outcome(code == 0, output[-OUTPUT_LIMIT:])
    except TimeoutError:
        return Outcome(False, f"context deadline exceeded after {seconds:g} s")
    except (OSError, KeylessError, ValueError) as error:
        return Outcome(False, str(error)[:OUTPUT_LIMIT])
    return Outcome(True, "")  # a kind of probe that this node does not know


async def http_get(spec: KubeObject, container: Mapping[str, Any], pod_ip: str) -> Outcome:
    """A GET; codes 200–399 count as success."""
    host, port = spec.get("host") or pod_ip, _port(spec["port"], container)
    tls = _unverified() if str(spec.get("scheme") or "HTTP").upper() == "HTTPS" else None
    reader, writer = await asyncio.open_connection(host, port, ssl=tls)
    try:
        headers = {"Host": f"{host}:{port}", "User-Agent": "kube-probe/1.32", "Accept": "*/*", "Connection": "close"}
        headers |= {h["name"]: h["value"] for h in spec.get("httpHeaders") or ()}
        lines = [f"GET {spec.get('path') or '/'} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
        writer.write("\r\n".join(lines).encode())
        words = (await reader.readline()).split()
        code = int(words[1]) if len(words) > 1 and is_digits(words[1].decode("latin-1")) else 0
    finally:
        writer.close()
    if not code:
        return Outcome(False, "the answer is no HTTP")
    return Outcome(200 <= code < 400, f"HTTP probe failed with statuscode: {code}")


async def _tcp(spec: KubeObject, container: Mapping[str, Any], pod_ip: str) -> Outcome:
    _, writer = await asyncio.open_connection(spec.get("host") or pod_ip, _port(spec["port"], container))
    writer.close()
    return Outcome(True)


def _port(port: int | str, container: Mapping[str, Any]) -> int:
    """A number, or the name of one of the container's ports."""
    if isinstance(port, int) or is_digits(port):
        return int(port)
    for known in container.get("ports") or ():
        if known.get("name") == port:
            return int(known["containerPort"])
    raise ValueError(f"couldn't find port: {port!r}")


def _unverified() -> ssl.SSLContext:
    """Probes do not verify certificates, in Kubernetes as here."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context

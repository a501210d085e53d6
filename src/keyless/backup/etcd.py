"""etcd's maintenance service over its JSON gateway, as the holder of a client certificate.

The folder holds ``server``, ``ca.crt``, ``tls.crt`` and ``tls.key``; they are read anew for each snapshot, for they are
renewed. What the gateway answers: ``docs/reference/facts/etcd-snapshots.md``.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from keyless.api import Reason, Transient
from keyless.backup.model import State

TIMEOUT_SECONDS = 30.0
"""Between two pieces; a snapshot as a whole takes as long as it takes."""
_LINE_BYTES = 1 << 20
_KUBE_SYSTEM = base64.b64encode(b"/registry/namespaces/kube-system").decode()
_UID = re.compile(rb".*?\x2a\x24([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}).*", re.DOTALL)
"""In protobuf: field 5 of ``ObjectMeta``, 36 bytes long; nothing before it can hold the first of the two."""


class EtcdFailure(Transient):
    """etcd did not answer, or not as etcd does."""

    code = str(Reason.ETCD_UNREACHABLE)


class Etcd:
    """One control plane's etcd."""

    def __init__(self, folder: Path, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._folder = folder
        self._transport = transport

    async def state(self) -> State:
        """Its version, its cluster, the revision that it is at, and which control plane's data it holds."""
        async with self._opened() as client, _failures():
            answer = await client.post("/v3/maintenance/status", json={})
            said = _document(answer.content, answer.status_code)
            found = await client.post("/v3/kv/range", json={"key": _KUBE_SYSTEM})
            holds = _uid(_document(found.content, found.status_code))
        header = _part(said, "header")
        try:
            return State(str(said["version"]), str(header.get("cluster_id", "")), int(header["revision"]), holds)
        except (KeyError, ValueError, TypeError, OverflowError):
            raise EtcdFailure("etcd's status: expected its version and revision, found something else") from None

    async def snapshot(self) -> AsyncGenerator[bytes]:
        """The database as it is now, piece by piece, with its hash at the end."""
        async with (
            self._opened() as client,
            _failures(),
            client.stream("POST", "/v3/maintenance/snapshot", json={}) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                _document(await answer.aread(), answer.status_code)
            async for line in _lines(answer):
                said = _document(line, answer.status_code)
                if piece := _piece(_part(said, "result").get("blob")):
                    yield piece

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[httpx.AsyncClient]:
        folder = self._folder
        try:
            server = (folder / "server").read_text().strip()
            context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
            context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
        except (OSError, ssl.SSLError, ValueError) as error:
            raise EtcdFailure(f"the certificate for etcd in {folder}: {type(error).__name__}") from error
        # No proxy: etcd is in the same namespace.
        async with httpx.AsyncClient(
            base_url=server, verify=context, timeout=TIMEOUT_SECONDS, trust_env=False, transport=self._transport
        ) as client:
            yield client


@asynccontextmanager
async def _failures() -> AsyncIterator[None]:
    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
        # Its words may be empty, as a timeout's are.
        raise EtcdFailure(f"etcd did not answer: {type(error).__name__}: {error}".rstrip(": ")) from error


async def _lines(answer: httpx.Response) -> AsyncIterator[bytes]:
    """A message a line. One without end is no message of etcd's."""
    held = bytearray()
    async for piece in answer.aiter_bytes():
        held += piece
        while (end := held.find(b"\n")) >= 0:
            line = bytes(held[:end])
            del held[: end + 1]
            if line.strip():
                yield line
        if len(held) > _LINE_BYTES:
            raise EtcdFailure(f"etcd's snapshot: expected messages below {_LINE_BYTES} bytes, found a longer one")
    if bytes(held).strip():
        yield bytes(held)


def _document(body: bytes, status: int) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise EtcdFailure(f"etcd answered {status} with something that is no JSON object")
    told = said.get("error")
    if told or status != httpx.codes.OK:
        words = told.get("message", "") if isinstance(told, dict) else said.get("message", "") or told or ""
        raise EtcdFailure(f"etcd answered {status}: {str(words)[:300]}")
    return said


def _part(said: dict[str, Any], name: str) -> dict[str, Any]:
    """An object within; what is none counts as not there, whatever it is."""
    found = said.get(name)
    return found if isinstance(found, dict) else {}


def _uid(said: dict[str, Any]) -> str:
    """Of the namespace that a range answers with; empty where there is none."""
    kvs = said.get("kvs")
    first = kvs[0] if isinstance(kvs, list) and kvs else None
    found = _UID.fullmatch(_piece(first.get("value"))) if isinstance(first, dict) else None
    return found[1].decode() if found else ""


def _piece(blob: Any) -> bytes:
    if blob is None:
        return b""
    try:
        return base64.b64decode(blob, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise EtcdFailure("etcd's answer: expected base64, found something else") from None

"""What an ingress controller or a Gateway does that passes TLS on: it reads a name, and nothing else of what is said.

Callers reach it as an HTTPS proxy (``CONNECT``), for no name of the tests is in any DNS.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterator
from typing import Any

from production.node import OneNode

CLASS = "passing"
ANNOTATION, VALUE = "passing.example.com/tls", "passthrough"
ROUTES = "tlsroutes.gateway.networking.k8s.io"
GATEWAY = "edge"


class Passing:
    """``passed`` has the name of each connection and what led it on: ``ingresses`` or ``tlsroutes``."""

    def __init__(self, space: OneNode) -> None:
        self._space = space
        self.passed: list[tuple[str, str]] = []
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def up(self) -> None:
        """Listen on loopback."""
        self._thread.start()
        assert self._ready.wait(10)

    def down(self) -> None:
        """End, with all that is passed on just now."""
        self._loop.call_soon_threadsafe(self._stop)
        self._thread.join(10)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._caller, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                self._loop.run_until_complete(task)
        self._loop.close()

    def _stop(self) -> None:
        self._loop.stop()

    async def _caller(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            hello = await reader.read(1 << 14)
            name = called(hello)
            found = await asyncio.to_thread(self._backend, name)
            if found is None:
                return
            kind, address, port = found
            self.passed.append((name, kind))
            there, back = await asyncio.open_connection(address, port)
            back.write(hello)
            await asyncio.gather(_pipe(reader, back), _pipe(there, writer))
        finally:
            writer.close()

    def _backend(self, name: str) -> tuple[str, str, int] | None:
        """The Service that an object of ours leads this name to."""
        for kind, namespace, backend in [*self._ingresses(name), *self._routes(name)]:
            service = self._space.object("service", backend[0], "-n", namespace)["spec"]
            return kind, service["clusterIP"], backend[1]
        return None

    def _ingresses(self, name: str) -> Iterator[tuple[str, str, tuple[str, int]]]:
        for each in self._space.object("ingresses", "-A")["items"]:
            passes = (each["metadata"].get("annotations") or {}).get(ANNOTATION) == VALUE
            for rule in each["spec"]["rules"] if passes and each["spec"]["ingressClassName"] == CLASS else ():
                if rule["host"] == name:
                    service = rule["http"]["paths"][0]["backend"]["service"]
                    yield "ingresses", each["metadata"]["namespace"], (service["name"], service["port"]["number"])

    def _routes(self, name: str) -> Iterator[tuple[str, str, tuple[str, int]]]:
        if not self._space.kubectl("get", "crd", ROUTES, "--ignore-not-found", "-o", "name"):
            return
        for each in self._space.object(ROUTES, "-A")["items"]:
            mine = any(parent["name"] == GATEWAY for parent in each["spec"]["parentRefs"])
            if mine and name in each["spec"]["hostnames"]:
                backend = each["spec"]["rules"][0]["backendRefs"][0]
                yield "tlsroutes", each["metadata"]["namespace"], (backend["name"], backend["port"])


def called(hello: bytes) -> str:
    """By which name a caller calls (SNI), as OpenSSL reads it; empty: by none."""
    names: list[str] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = lambda _, name, __: names.append(name or "")
    incoming = ssl.MemoryBIO()
    incoming.write(hello)
    # There is no certificate to show: it ends after the name was read.
    with contextlib.suppress(ssl.SSLError):
        context.wrap_bio(incoming, ssl.MemoryBIO(), server_side=True).do_handshake()
    return names[0] if names else ""


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


def definition() -> dict[str, Any]:
    """TLSRoute as far as we write it: the host has no Gateway API."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    spec = {
        "group": "gateway.networking.k8s.io",
        "scope": "Namespaced",
        "names": {"plural": "tlsroutes", "singular": "tlsroute", "kind": "TLSRoute"},
        "versions": [{"name": "v1alpha2", "served": True, "storage": True, "schema": schema}],
    }
    # Names below k8s.io are Kubernetes' own, and whoever tries one out says so.
    metadata = {"name": ROUTES, "annotations": {"api-approved.kubernetes.io": "unapproved, a test's"}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": metadata,
        "spec": spec,
    }

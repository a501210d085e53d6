"""A control plane's own processes without a node, under the operator's own loop: the host is in memory.

Each process is started with the words of the pod's template. What a kubelet does is done at once: files that changed
are written, and with another template the processes begin anew.
"""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import ssl
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx

from keyless.kube import Kube, KubeObject
from keyless.kube.resources import CONTROLPLANES, SECRETS, STATEFULSETS
from keyless.space.control_planes.controller import ControlPlanes
from keyless.space.control_planes.gathering import Gatherer
from keyless.space.control_planes.model import Served
from keyless.space.control_planes.plan import plan
from keyless.space.control_planes.renewal import Terms
from keyless.space.control_planes.tenants import Tenants
from keyless.space.kubernetes.names import DATA, ETCD_PORT, MOUNT, PORT
from keyless.space.service import door_of
from keyless.space.values import Values
from production.parts import Parts
from unit.space.world import CTP1, World

OWN = Values(mode="kubernetes", shared_secrets=False)


class Bare(World):
    """``starts``: how often the processes were started together."""

    def __init__(self, folder: Path, binaries: Path, terms: Terms) -> None:
        self._folder, self._binaries, self.terms = folder, binaries, terms
        self.parts = Parts(folder)
        self.starts, self._template = 0, ""
        self._words: dict[str, list[str]] = {}
        found = [_port() for _ in range(4)]
        self._ports = dict(zip((2379, 2380, ETCD_PORT, PORT), found, strict=True))
        (folder / "data").mkdir(mode=0o700)
        super().__init__(OWN)

    def start(self) -> None:
        self.woken = []
        self.tenants = Tenants(self._door, self.woken.append)
        gatherer = Gatherer(self.host, self.tenants, lambda: self.values)
        self.loop = ControlPlanes(
            self.host,
            self.tenants,
            gatherer,
            now=lambda: datetime.now(UTC),
            decide=lambda facts: plan(facts, self.terms),
        )

    async def up(self) -> None:
        """The control plane, ready."""
        self.create(spec={"writeConnectionSecretToRef": {"name": "mine"}})
        await self.until(lambda: self._status("Ready") == "Available", 90)

    async def until(self, holds, seconds: float, *, serves: bool = False) -> float:
        """Look again and again until that holds; with ``serves`` the API answers all the while."""
        began = time.monotonic()
        while not holds():
            assert time.monotonic() - began < seconds, self._conditions()
            await self.loop.reconcile(CTP1)
            self.play()
            if serves and not holds():  # what is waited for may be a restart
                assert self.answers(), self._conditions()
            await asyncio.sleep(0.5)
        return time.monotonic() - began

    def told(self) -> str:
        """Reason and message."""
        found = [each for each in self._conditions() if each["type"] == "AuthorityCurrent"]
        return f"{found[0]['reason']}: {found[0]['message']}" if found else ""

    def secret(self, name: str) -> dict[str, str]:
        """One Secret of the host, as text."""
        (found,) = [each for each in self._objects(SECRETS) if each["metadata"]["name"] == name]
        return {key: base64.b64decode(value).decode() for key, value in found["data"].items()}

    def answers(self, ca: str = "", *, certificate: tuple[str, str] | None = None) -> bool:
        """Whether whoever holds the connection's Secret is served; ``ca``: believing that one alone."""
        held = self.secret("mine")
        context = ssl.create_default_context(cadata=ca or held["ca.crt"])
        headers = {"authorization": f"Bearer {held['token']}"}
        if certificate is not None:
            path = self._folder / "client.pem"
            path.write_text("".join(certificate))
            context.load_cert_chain(path)
            headers = {}
        try:
            with httpx.Client(verify=context, trust_env=False, headers=headers, timeout=5) as client:
                return client.get(f"https://127.0.0.1:{self._ports[PORT]}/api/v1/namespaces/default").status_code == 200
        except httpx.HTTPError:
            return False

    def config_map(self, name: str) -> dict[str, str]:
        """One of ``kube-system`` inside."""
        held = self.secret("mine")
        context = ssl.create_default_context(cadata=held["ca.crt"])
        headers = {"authorization": f"Bearer {held['token']}"}
        with httpx.Client(verify=context, trust_env=False, headers=headers, timeout=5) as client:
            url = f"https://127.0.0.1:{self._ports[PORT]}/api/v1/namespaces/kube-system/configmaps/{name}"
            return dict(client.get(url).json().get("data") or {})

    def play(self) -> bool:
        moved = super().play()
        self._bring_files()
        templates = [each["spec"]["template"] for each in self._objects(STATEFULSETS)]
        if templates and str(templates[0]) != self._template:
            self._template = str(templates[0])
            self.restart(templates[0])
        for name in self._words:
            if self.parts.has_ended(name):  # kube-controller-manager waits ten seconds for an API server, and ends
                self._start(name)
        return moved

    def restart(self, template: KubeObject | None = None) -> None:
        """What the kubelet does with another template, or anybody by ending the pod."""
        found = template or next(each["spec"]["template"] for each in self._objects(STATEFULSETS))
        self.starts += 1
        self.parts.end_all()
        for container in found["spec"]["containers"]:
            name, *words = map(self._here, container["command"])
            self._words[name] = words
            self._start(name)
            if name == "etcd":
                self.parts.wait("etcd", lambda: _listens(self._ports[2379]))

    def _start(self, name: str) -> None:
        environ = {"PATH": os.environ["PATH"], "HOME": str(self._folder), "POD_IP": "127.0.0.1"}
        self.parts.start(name, self._binaries / name, *self._words[name], environ=environ)

    def down(self) -> None:
        """End what was started."""
        self.parts.end_all()

    def _bring_files(self) -> None:
        files = self._folder / "files"
        files.mkdir(exist_ok=True)
        if not any(each["metadata"]["name"] == "control-plane-certificates" for each in self._objects(SECRETS)):
            return
        for name, text in self.secret("control-plane-certificates").items():
            path, here = files / name, self._here(text)
            if not path.exists() or path.read_text() != here:
                (files / f".{name}").write_text(here)
                (files / f".{name}").rename(path)

    def _here(self, word: str) -> str:
        word = word.replace(MOUNT, str(self._folder / "files")).replace(DATA, str(self._folder / "data"))
        word = word.replace("$(POD_IP)", "127.0.0.1").replace(
            f"--secure-port={PORT}", f"--secure-port={self._ports[PORT]}"
        )
        for before, after in self._ports.items():
            word = word.replace(f"127.0.0.1:{before}", f"127.0.0.1:{after}")
        return word

    def _door(self, served: Served) -> Kube:
        port = self._ports[ETCD_PORT if served.server.endswith(f":{ETCD_PORT}") else PORT]
        return door_of({})(replace(served, server=f"https://127.0.0.1:{port}"))

    def _conditions(self) -> list[KubeObject]:
        return next(each for each in self._objects(CONTROLPLANES)).get("status", {}).get("conditions", [])

    def _status(self, kind: str) -> str:
        return next((each["reason"] for each in self._conditions() if each["type"] == kind), "")


def _port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as found:
        return found.connect_ex(("127.0.0.1", port)) == 0

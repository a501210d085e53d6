"""A world whose control plane's processes show certificates, and believe those whose authority they have read.

kube-apiserver reads changed files some time after they were written, kube-controller-manager and etcd what they trust
when the pod starts; certificates that they show are read by all. Whoever shows a wrong certificate is not let in, and
whoever is shown one that he does not believe goes.
"""

from __future__ import annotations

import asyncio
import base64
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding

from keyless.kube import Kube, KubeObject, Unauthorized, Unreachable
from keyless.kube.errors import failure_status
from keyless.kube.resources import CONFIGMAPS, CONTROLPLANES, SECRETS, STATEFULSETS
from keyless.kube.transport import Request, Response
from keyless.space.control_planes.model import Served
from keyless.space.kubernetes.authorities import certificates_in
from keyless.space.kubernetes.names import ETCD_PORT
from keyless.space.values import Values
from unit.space.world import CTP1, World

OWN = Values(mode="kubernetes", shared_secrets=False)
MADE = "control-plane-certificates"


def is_signed(certificate: str, by: str, now: datetime) -> bool:
    """Whether one of the authorities in ``by`` vouches for it now."""
    own = x509.load_pem_x509_certificate(certificate.encode())
    for each in map(str.encode, certificates_in(by)):
        authority = x509.load_pem_x509_certificate(each)
        if not all(one.not_valid_before_utc <= now < one.not_valid_after_utc for one in (own, authority)):
            continue
        try:
            own.verify_directly_issued_by(authority)
        except (InvalidSignature, ValueError, TypeError):
            continue
        return True
    return False


class Trusting(World):
    """``lag``: until changed files are read. ``starts``: how often the pod began anew."""

    def __init__(self) -> None:
        self.lag, self.starts = timedelta(seconds=50), 0
        self._read: dict[str, str] = {}
        self._started: dict[str, str] = {}
        self._template: KubeObject | None = None
        self._changed: datetime | None = None
        self.silent_manager = False
        super().__init__(OWN)

    async def made(self) -> str:
        """The control plane; its host namespace."""
        self.create(spec={"writeConnectionSecretToRef": {"name": "mine"}})
        await self.settle()
        return await self.host_namespace()

    def mounted(self) -> dict[str, str]:
        """The files of the pod as the host has them."""
        return self.secret(MADE)

    def secret(self, name: str) -> dict[str, str]:
        """One Secret of the host, as text."""
        found = [each for each in self._objects(SECRETS) if each["metadata"]["name"] == name]
        return {key: base64.b64decode(value).decode() for key, value in (found[0]["data"] if found else {}).items()}

    def bundles(self) -> list[str]:
        """Whom somebody is told to trust, wherever it is handed out."""
        told = [self.secret(name).get("ca.crt", "") for name in ("mine", "control-plane-operator")]
        plane = next(each for each in self._objects(CONTROLPLANES))
        told.append(base64.b64decode((plane["status"].get("api") or {}).get("caBundle", "")).decode())
        return [each for each in told if each]

    @property
    def certificate(self) -> str:
        """What kube-apiserver shows."""
        return self._read["api-server.crt"]

    def play(self) -> bool:
        moved = super().play()
        templates = [each["spec"]["template"] for each in self._objects(STATEFULSETS) if each["spec"]["replicas"]]
        if self.mounted() and templates and templates[0] != self._template:
            self._template, self.starts = templates[0], self.starts + 1
            self._read = self._started = self.mounted()
            self._publish()
            return True
        return moved

    def read_when_due(self) -> None:
        """kube-apiserver and etcd look at changed files, if they were changed long enough ago."""
        if self._changed is not None and self.clock - self._changed >= self.lag:
            self._read, self._changed = self.mounted(), None

    async def pass_time(self, by: timedelta = timedelta(seconds=30)) -> None:
        """One look of the operator's, and what the others do until the next."""
        await self.loop.reconcile(CTP1)
        self.play()
        await asyncio.sleep(0.2)
        if self._read and self.mounted() != self._read:
            self._changed = self._changed or self.clock
        self.clock += by
        self.read_when_due()

    async def leap(self, by: timedelta) -> None:
        """So much time passes, in which nobody does anything; then all come to rest."""
        self.clock += by
        for number in range(40):
            await self.pass_time()
            ready = await self.condition("Ready")
            if number > 4 and ready is not None and ready["status"] == "True":
                return
        raise AssertionError(ready)

    async def ask(self, word: str = "now") -> None:
        """Ask for another authority."""
        note = {"metadata": {"annotations": {"keyless.dev/rotate-authority": word}}}
        await self.host.patch(CONTROLPLANES, CTP1.name, note, CTP1.namespace)

    async def told(self) -> tuple[str, str, str]:
        """Status, reason and message of the condition."""
        found = await self.condition("AuthorityCurrent")
        assert found is not None
        return found["status"], found["reason"], found["message"]

    def restart_pod(self) -> None:
        """Somebody ends the pod."""
        self._template = None
        self.play()

    def _publish(self) -> None:
        if self.silent_manager:
            return
        for name in [each for each in self.insides if not each[0].isdigit()]:
            metadata = {"name": "kube-root-ca.crt", "namespace": "kube-system"}
            self.inside(name).put(CONFIGMAPS, {"metadata": metadata, "data": {"ca.crt": self._started["ca.crt"]}})

    def _door(self, served: Served) -> Kube:
        return Kube(_Wary(self, served, super()._door(served)))

    def judge(self, served: Served) -> None:
        """Raise what a client sees, who comes with that now."""
        if not self._read:
            return
        etcd = served.server.endswith(f":{ETCD_PORT}")
        shown = self._read["etcd.crt" if etcd else "api-server.crt"]
        trusted = self._started["ca.crt"] if etcd else self._read["ca.crt"]
        believed = is_signed(shown, served.ca_pem, self.clock)
        if not believed or (etcd and not is_signed(served.certificate, trusted, self.clock)):
            raise Unreachable(failure_status(0, "", "TLS"))
        if not is_signed(served.certificate, trusted, self.clock):
            raise Unauthorized(failure_status(401, "Unauthorized", "Unauthorized"))


class _Wary:
    """A connection that TLS decides about."""

    def __init__(self, world: Trusting, served: Served, behind: Kube) -> None:
        self._world, self._served, self._behind = world, served, behind

    async def send(self, request: Request) -> Response:
        self._world.judge(self._served)
        if request.path == "/version":
            return Response(200, {"content-type": "application/json"}, b"{}")
        return await self._behind._transport.send(request)

    def stream(self, request: Request) -> object:
        self._world.judge(self._served)
        return self._behind._transport.stream(request)

    async def aclose(self) -> None:
        await self._behind.aclose()


def one_line(certificate: str) -> bytes:
    """To compare certificates, whatever their text."""
    return x509.load_pem_x509_certificate(certificate.encode()).public_bytes(Encoding.DER)

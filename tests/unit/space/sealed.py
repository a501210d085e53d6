"""A world whose control plane's API server encrypts Secrets, as far as can be seen from outside.

It reads its EncryptionConfiguration again some time after the Secret that is mounted was changed, says which one it has
read, writes with the first key, makes no new version of what is written as it is unless another key was used, and fails
to read what none of its keys opens.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta

from keyless.api.sealed_by import KmsKey, name_of, sealers_of
from keyless.kube import KubeObject
from keyless.kube.errors import ApiError, Forbidden, failure_status
from keyless.kube.resources import CONTROLPLANES, SECRETS
from keyless.kube.transport import Request
from keyless.space.values import Values
from unit.space.world import CTP1, World

OWN = Values(mode="kubernetes", shared_secrets=False)
"""Without components, which have no part in it."""
METRIC = "apiserver_encryption_config_controller_last_config_info"


class Sealed(World):
    """``lag``: until a changed file is read. ``silent``: it does not say what it has read.

    ``refused``: what KMS says of each of its keys; a file with one of them is read at a start alone. ``met``: the
    Secrets that were read since then, whose data keys it holds; ``unread``: what it says instead of reading one.
    """

    def __init__(self, values: Values = OWN) -> None:
        self.read, self.lag, self.silent = "", timedelta(seconds=50), False
        self.refuses: set[str] = set()
        self.refused = self.unread = ""
        self.met: set[str] = set()
        self._changed = None
        super().__init__(values)

    async def made(self) -> str:
        """The control plane, with two Secrets; its host namespace."""
        self.create()
        await self.settle()
        return await self.begin()

    async def begin(self) -> str:
        """Its API server, with what it is told now."""
        namespace = await self.host_namespace()
        self.inside(namespace).admit = self._seal
        before = self.inside(namespace).before

        def both(request: Request) -> None:
            if request.path == "/readyz/kms-providers" and self.refused and self._by_kms(self.read):
                raise ApiError(failure_status(500, "InternalError", self.refused))
            self._open(request)
            self._meet(request)
            before(request)

        self.inside(namespace).before = both
        self._load(namespace)
        for name in ("a", "b"):
            await self.put_secret(name)
        return namespace

    async def put_secret(self, name: str) -> None:
        """A tenant's."""
        kube = self.inside(await self.host_namespace())
        await kube.create(SECRETS, {"metadata": {"name": name, "namespace": "default"}, "data": {}})

    def told(self, namespace: str) -> str:
        """The file as it would be mounted now."""
        certificates = [each for each in self._objects(SECRETS) if _is(each, namespace, "control-plane-certificates")]
        return base64.b64decode(certificates[0]["data"]["encryption.json"]).decode() if certificates else self.read

    def seals(self, namespace: str) -> dict[str, str]:
        """By Secret the key that it is encrypted with."""
        found = self.inside(namespace).stored(SECRETS)
        return {each["metadata"]["name"]: each["sealedWith"] for each in found if "sealedWith" in each}

    async def pass_time(self, seconds: float = 30.0) -> None:
        """One look of the operator's, and what the others do until the next."""
        await self.loop.reconcile(CTP1)
        self.play()
        self.clock += timedelta(seconds=seconds)
        self.load_when_due()

    def load_when_due(self) -> None:
        """Read the file again, if it was changed long enough ago."""
        for namespace in self.insides:
            if self.read and not namespace[0].isdigit() and self.told(namespace) != self.read:
                self._changed = self._changed or self.clock
                if self.refused and self._by_kms(self.told(namespace)):
                    continue
                if self.clock - self._changed >= self.lag:
                    self._load(namespace)

    async def rotate(self, word: str = "now") -> None:
        """Ask for another key."""
        note = {"metadata": {"annotations": {"keyless.dev/rotate-encryption-key": word}}}
        await self.host.patch(CONTROLPLANES, CTP1.name, note, CTP1.namespace)

    async def until_current(self, *, limit: int = 120, seconds: float = 30.0) -> None:
        """Until the change has ended."""
        for number in range(limit):
            await self.pass_time(seconds)
            told = await self.condition("EncryptionKeyCurrent")
            # An operator that has just begun keeps what was said, until it has looked.
            if number > 2 and told is not None and told["reason"] == "EncryptionKeyInUse":
                return
        raise AssertionError(f"the change does not end: {told}")

    def _meet(self, request: Request) -> None:
        """A list opens nothing."""
        if request.method == "GET" and "/secrets/" in request.path:
            if self.unread:
                raise ApiError(failure_status(500, "InternalError", self.unread))
            self.met.add(request.path.rpartition("/")[2])

    def _by_kms(self, text: str) -> bool:
        return any(isinstance(each, KmsKey) for each in sealers_of(text.encode()))

    def _load(self, namespace: str) -> None:
        self.read, self._changed = self.told(namespace), None
        self.met = set()
        digest = hashlib.sha256(self.read.encode()).hexdigest()
        line = f'{METRIC}{{apiserver_id_hash="sha256:0",hash="sha256:{digest}"}} 1\n'
        self.inside(namespace).texts["/readyz/kms-providers"] = "ok"
        self.inside(namespace).texts["/metrics"] = "" if self.silent else f"# TYPE {METRIC} gauge\n{line}"

    def _seal(self, operation: str, plural: str, obj: KubeObject) -> KubeObject:
        if plural != "secrets":
            return obj
        if operation == "UPDATE" and obj["metadata"]["name"] in self.refuses:
            raise Forbidden(failure_status(403, "Forbidden", "admission webhook denied: xyzzy-plugh"))
        return {**obj, "sealedWith": name_of(sealers_of(self.read.encode())[0])}

    def _open(self, request: Request) -> None:
        """What none of its keys opens cannot be read, nor be in a list."""
        for namespace, kube in self.insides.items():
            if "/secrets" not in request.path or namespace[0].isdigit():
                continue
            closed = {*self.seals(namespace).values()} - {name_of(each) for each in sealers_of(self.read.encode())}
            assert not closed, f"{request.subject}: no key opens {closed} of {kube}"


def _is(each: KubeObject, namespace: str, name: str) -> bool:
    return (each["metadata"]["namespace"], each["metadata"]["name"]) == (namespace, name)

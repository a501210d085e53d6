"""The operator with a real kube-apiserver, its etcd, our KMS plugin and the local cloud, as bare processes.

The host's API is in memory, and what a kubelet does is done here: the mounted files are written as the operator's
Secret has them, and an API server is started again when it is told to.
"""

from __future__ import annotations

import base64
import json
import os
import ssl
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import botocore.session
import httpx

from keyless.api import sealed_by
from keyless.kube import Kube
from keyless.kube.connect import connect_certified
from keyless.kube.resources import SECRETS
from keyless.space.control_planes.model import Served
from keyless.space.kubernetes.names import ETCD_PORT
from keyless.space.kubernetes.ring import Ring, ring_of
from keyless.space.values import Values
from production.beside import KEYLESS
from production.parts import Parts
from production.pki import Pki
from production.told import _port
from unit.space.world import CTP1, World

SECRET = "xyzzy-plugh"


class Keyed(World):
    """A control plane whose API server is real. Sockets lie in ``folder``, whose path must be short."""

    def __init__(self, values: Values, folder: Path, binaries: Path) -> None:
        self.folder, self.binaries = folder, binaries
        self.files, self.sockets = folder / "f", folder / "s"
        for each in (self.files, self.sockets):
            each.mkdir()
        sealed_by.SOCKETS = str(self.sockets)
        self.parts, self.pki = Parts(folder), Pki(folder / "pki")
        self.pki.certify("api", user="kube-apiserver", at=("127.0.0.1",))
        self.pki.certify("admin", user="admin", groups=("system:masters",))
        self.port, self.store, self.cloud_port = _port(), _port(), _port()
        self.url = f"https://127.0.0.1:{self.port}"
        super().__init__(values)
        self.clock = datetime.now(UTC)

    def _door(self, served: Served) -> Kube:
        if served.server.endswith(f":{ETCD_PORT}"):
            return self.etcd.kube()
        read = [(self.pki.folder / name).read_text() for name in ("ca.crt", "admin.crt", "admin.key")]
        return connect_certified(self.url, *read)

    async def up(self) -> None:
        """A control plane that is ready, with a key of its own as ever."""
        self._start_etcd()
        self.create()
        for _ in range(40):
            await self.loop.reconcile(CTP1)
            self.play()
            if any(each["metadata"]["name"] == "control-plane-certificates" for each in self._objects(SECRETS)):
                break
        self.mount()
        self.start_api()
        self.start_cloud()
        await self.look()

    def down(self) -> None:
        """End all."""
        self.parts.end_all()

    def mount(self) -> None:
        """As the kubelet does: each file at once."""
        (held,) = [each for each in self._objects(SECRETS) if each["metadata"]["name"] == "control-plane-certificates"]
        for name in ("encryption.json", "kms.json"):
            if name in held["data"]:
                partial = self.files / f"{name}.partial"
                partial.write_bytes(base64.b64decode(held["data"][name]))
                partial.rename(self.files / name)

    async def look(self) -> dict[str, Any]:
        """One look of the operator's, and what it says of the key."""
        self.clock = datetime.now(UTC)
        await self.loop.reconcile(CTP1)
        self.play()
        self.mount()
        return await self.condition("EncryptionKeyCurrent") or {}

    def ring(self) -> Ring | None:
        """The keys as they are stored; None: they were never changed."""
        held = [each for each in self._objects(SECRETS) if each["metadata"]["name"] == "control-plane-encryption"]
        return ring_of(held[0]) if held else None

    def start_api(self, *, wait: bool = True) -> None:
        """Start kube-apiserver (again); with ``wait`` until it is ready."""
        pki = self.pki.folder
        self.parts.start(
            "api", self.binaries / "kube-apiserver", f"--etcd-servers=http://127.0.0.1:{self.store}",
            "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", f"--secure-port={self.port}",
            "--endpoint-reconciler-type=none", f"--tls-cert-file={pki}/api.crt",
            f"--tls-private-key-file={pki}/api.key", f"--client-ca-file={pki}/ca.crt",
            "--service-account-issuer=https://plane.svc", f"--service-account-signing-key-file={pki}/sa.key",
            f"--service-account-key-file={pki}/sa.pub", "--service-cluster-ip-range=10.96.0.0/16",
            "--authorization-mode=RBAC", "--profiling=false", "--encryption-provider-config-automatic-reload=true",
            f"--encryption-provider-config={self.files}/encryption.json",
        )  # fmt: skip
        if wait:
            self.parts.wait("the API server", lambda: self.status("/readyz?exclude=kms-providers") == 200)

    def start_cloud(self) -> None:
        """Start the local cloud (again) at its port."""
        environ = self._environ(KUBECONFIG=str(self.pki.kubeconfig("admin", self.url)))
        self.parts.start(
            "cloud", KEYLESS, "run", "cloud", f"--state={self.folder}/cloud", f"--port={self.cloud_port}",
            f"--pods-endpoint=https://127.0.0.1:{self.cloud_port}", f"--webhook-port={_port()}",
            "--issuer=https://127.0.0.1", environ=environ,
        )  # fmt: skip
        self.parts.wait("the cloud", self._cloud_answers)

    def start_plugin(self) -> float:
        """Start it; the seconds until it serves its keys."""
        began = time.monotonic()
        access = json.loads((self.folder / "cloud" / "access.json").read_text())
        self.parts.start(
            "plugin", KEYLESS, "run", "kms-plugin",
            environ=self._environ(
                KUBECONFIG=str(self.folder / "pki" / "admin.kubeconfig"),
                AWS_ENDPOINT_URL=f"https://127.0.0.1:{self.cloud_port}", AWS_CA_BUNDLE=f"{self.folder}/cloud/ca.crt",
                AWS_ACCESS_KEY_ID=access["accessKeyId"], AWS_SECRET_ACCESS_KEY=access["secretAccessKey"],
                AWS_REGION=access["region"], KEYLESS_CONTROL_PLANE_NAME="ctp1", KEYLESS_CONTROL_PLANE_GROUP="default",
                KEYLESS_KMS_KEYS_FILE=f"{self.files}/kms.json", KEYLESS_KMS_SOCKET_DIR=str(self.sockets),
                KEYLESS_PORT=str(_port()),
            ),
        )  # fmt: skip
        return began

    def kms(self) -> Any:
        """KMS as its administrator."""
        access = json.loads((self.folder / "cloud" / "access.json").read_text())
        return botocore.session.get_session().create_client(
            "kms", endpoint_url=f"https://127.0.0.1:{self.cloud_port}", verify=f"{self.folder}/cloud/ca.crt",
            aws_access_key_id=access["accessKeyId"], aws_secret_access_key=access["secretAccessKey"],
            region_name=access["region"],
        )  # fmt: skip

    def client(self) -> httpx.Client:
        """A tenant who may do all."""
        context = ssl.create_default_context(cafile=str(self.pki.folder / "ca.crt"))
        context.load_cert_chain(self.pki.folder / "admin.crt", self.pki.folder / "admin.key")
        return httpx.Client(base_url=self.url, verify=context, timeout=30.0, trust_env=False)

    def status(self, path: str) -> int:
        """What the API server answers; 0: nothing."""
        try:
            with self.client() as client:
                return client.get(path).status_code
        except httpx.HTTPError:
            return 0

    def put(self, name: str) -> None:
        """A tenant's Secret."""
        body = {"metadata": {"name": name}, "stringData": {"word": SECRET}}
        with self.client() as client:
            answer = client.post("/api/v1/namespaces/default/secrets", json=body)
        assert answer.status_code == 201, answer.text

    def reads(self, name: str) -> bool:
        """Whether it comes back."""
        with self.client() as client:
            answer = client.get(f"/api/v1/namespaces/default/secrets/{name}")
        return answer.status_code == 200 and base64.b64decode(answer.json()["data"]["word"]).decode() == SECRET

    def raw(self) -> dict[str, bytes]:
        """By Secret the bytes in etcd."""
        asked = {"key": base64.b64encode(b"/registry/secrets/").decode(),
                 "range_end": base64.b64encode(b"/registry/secrets0").decode()}  # fmt: skip
        answer = httpx.post(f"http://127.0.0.1:{self.store}/v3/kv/range", json=asked, trust_env=False).json()
        found = {base64.b64decode(each["key"]).decode(): base64.b64decode(each["value"]) for each in answer["kvs"]}
        return {name.removeprefix("/registry/secrets/default/"): value for name, value in found.items()}

    def seals(self) -> set[str]:
        """With what they are encrypted, up to the key's name."""
        every = self.raw().values()
        assert not any(SECRET.encode() in value for value in every)
        return {b":".join(value.split(b":")[:5]).decode() for value in every}

    def _cloud_answers(self) -> bool:
        try:
            self.kms().list_keys()
        except Exception:  # noqa: BLE001 - it is not there yet, whatever botocore calls that
            return False
        return True

    def _start_etcd(self) -> None:
        url, peers = f"http://127.0.0.1:{self.store}", f"http://127.0.0.1:{_port()}"
        self.parts.start(
            "etcd", self.binaries / "etcd", "--data-dir", self.folder / "etcd", "--listen-client-urls", url,
            "--advertise-client-urls", url, "--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers,
            "--initial-cluster", f"default={peers}", "--log-level", "warn",
        )  # fmt: skip

    def _environ(self, **more: str) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), **more}

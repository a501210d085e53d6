"""What lies in the etcd of a control plane of the Space's own, and which certificate its API server shows."""

from __future__ import annotations

import base64
import json
import ssl
from datetime import datetime
from pathlib import Path

import httpx
from cryptography import x509

from keyless.kube import KubeObject
from production.owning import Owned

PREFIX = b"/registry/secrets/"


class Sealed:
    """``folder``: for the operator's certificate of etcd, which it is asked with."""

    def __init__(self, own: Owned, folder: Path) -> None:
        self._own, self._folder = own, folder

    def keys(self) -> dict[str, str]:
        """By Secret inside the key of its own that etcd says it is encrypted with."""
        found = self.seals()
        assert {way for way, _ in found.values()} == {"secretbox:v1"}, found
        return {secret: key for secret, (_, key) in found.items()}

    def seals(self) -> dict[str, tuple[str, str]]:
        """By Secret inside what its bytes in etcd begin with: the provider with its version, and its key's name."""
        held = self._own.space.object("secret", "control-plane-operator", "-n", self._own.namespace)["data"]
        for name in ("ca.crt", "etcd.crt", "etcd.key"):
            (self._folder / name).write_bytes(base64.b64decode(held[name]))
        context = ssl.create_default_context(cafile=str(self._folder / "ca.crt"))
        context.load_cert_chain(self._folder / "etcd.crt", self._folder / "etcd.key")
        every = {
            "key": base64.b64encode(PREFIX).decode(),
            "range_end": base64.b64encode(b"/registry/secrets0").decode(),
        }
        with httpx.Client(verify=context, trust_env=False) as client:
            answer = client.post(f"https://{self.address()}:2381/v3/kv/range", json=every).raise_for_status().json()
        found = {}
        for each in answer["kvs"]:
            name, value = (base64.b64decode(each[part]) for part in ("key", "value"))
            k8s, enc, provider, version, key = value.split(b":")[:5]
            assert (k8s, enc) == (b"k8s", b"enc"), name
            found[name.removeprefix(PREFIX).decode()] = f"{provider.decode()}:{version.decode()}", key.decode()
        return found

    def address(self) -> str:
        """The Service's."""
        return str(self._own.space.object("service", "control-plane", "-n", self._own.namespace)["spec"]["clusterIP"])

    def shown_until(self) -> datetime:
        """When the certificate ends that the API server shows."""
        text = ssl.get_server_certificate((self.address(), 443))
        return x509.load_pem_x509_certificate(text.encode()).not_valid_after_utc

    def pod(self) -> KubeObject:
        """Its pod."""
        return self._own.space.object("pod", "control-plane-0", "-n", self._own.namespace)

    def hurry(self, word: object) -> None:
        """The kubelet looks at a pod that was changed at once, and brings it changed files."""
        note = json.dumps({"metadata": {"annotations": {"test/hurry": str(word)}}})
        self._own.space.kubectl(
            "patch", "pod", "control-plane-0", "-n", self._own.namespace, "--type=merge", "-p", note
        )  # fmt: skip

    def life(self) -> tuple[str, int]:
        """Which pod it is, and how often etcd and the API server were started again."""
        pod = self.pod()
        counted = [
            each["restartCount"]
            for each in pod["status"]["containerStatuses"]
            if each["name"] in ("etcd", "kube-apiserver")
        ]
        return pod["metadata"]["uid"], sum(counted)

"""Secrets of a control plane of its own under a KMS key, by the page, either way; its bad days, and off again."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from guides.page import HOW_TO, Block, chosen
from guides.reader import Reader
from production import planes
from production.beside import Beside
from production.following import clean, reader_of
from production.node import NAME, OneNode
from production.owning import Owned, set_values, told
from production.sealing import Sealed
from tests.tools import GUIDES

pytestmark = [pytest.mark.production, pytest.mark.timeout(1200)]
PAGE = "encrypt-secrets-with-kms.md"
KEY, VERIFY = "Create the key and what the role may do", "Verify your configuration"
IRSA, POD_IDENTITY = "IAM Roles for Service Accounts (IRSA)", "EKS Pod Identity"
KEY_POLICY, OFF = "Let nobody else open them", "Turn it off"
CHANGED_WITHIN, TOLD_WITHIN = 480.0, 200.0


@pytest.fixture(scope="module")
def owned(space: OneNode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owned]:
    """Control plane ``sealed``, ready, with a key of its own as ever."""
    found = Owned(space, "sealed", tmp_path_factory.mktemp("o"))
    found.create()
    yield found
    found.delete()
    set_values(space)


@pytest.fixture
def sealed(owned: Owned, tmp_path: Path) -> Sealed:
    return Sealed(owned, tmp_path)


def reading(cloud: Beside, owned: Owned, folder: Path, own: str) -> Reader:
    """A reader in a Space where nobody has read the page."""
    clean(cloud)
    folder.mkdir()
    reader = reader_of(folder, GUIDES, owned.space, planes.own(owned), cloud, own)
    reader.said(f"export YOUR_ENCRYPTION_ROLE_NAME={own}-encryption")
    return reader


def followed(*sections: str) -> list[Block]:
    return chosen(PAGE, *sections, without=("eksctl",), folder=HOW_TO)


def condition(owned: Owned, kind: str) -> dict[str, Any]:
    """Of the ControlPlane; empty: it is not there."""
    status = owned.space.object("controlplane", owned.name, "-n", "default")["status"]
    return next((one for one in status["conditions"] if one["type"] == kind), {})


def write(owned: Owned, name: str) -> None:
    owned.kubectl("create", "secret", "generic", name, "-n", "default", "--from-literal=word=xyzzy-plugh")


def reads(owned: Owned, *names: str) -> bool:
    """Whether they come back."""
    if not owned.answers("get", "secret", *names, "-n", "default"):
        return False
    found = [json.loads(owned.kubectl("get", "secret", name, "-n", "default", "-o", "json")) for name in names]
    return all(base64.b64decode(one["data"]["word"]) == b"xyzzy-plugh" for one in found)


def until(what: str, owned: Owned, sealed: Sealed, holds: Callable[[], bool], seconds: float = CHANGED_WITHIN) -> float:
    """Seconds until it holds; the kubelet brings changed files at once, and what is told meanwhile is printed."""
    began, last = time.monotonic(), ""
    while not holds():
        passed = time.monotonic() - began
        said = condition(owned, "EncryptionKeyCurrent").get("message", "").split("; Secrets")[0]
        if said != last:
            print(f"{passed:5.0f} s  {said}")
            last = said
        assert passed < seconds, f"{what}\n{told(owned.space, owned.name, owned.namespace)}"
        if owned.space.kubectl("get", "pod", "control-plane-0", "-n", owned.namespace, "--ignore-not-found"):
            sealed.hurry(f"{passed:.0f}")
        time.sleep(3)
    passed = time.monotonic() - began
    print(f"{what}: after {passed:.0f} s")
    return passed


def turned_on(owned: Owned) -> bool:
    return "are written with KMS key" in condition(owned, "EncryptionKeyCurrent").get("message", "")


def turned_off(owned: Owned) -> bool:
    current = condition(owned, "EncryptionKeyCurrent").get("message", "")
    return "are written with key" in current and not condition(owned, "EncryptionKeyUsable")


def ready_seconds(sealed: Sealed) -> float:
    """From the pod's creation until it was ready, as the kubelet tells it, to a second."""
    pod = sealed.pod()
    ready = next(one for one in pod["status"]["conditions"] if one["type"] == "Ready")
    assert ready["status"] == "True", pod["status"]
    made = datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
    return (datetime.fromisoformat(ready["lastTransitionTime"]) - made).total_seconds()


def killed(owned: Owned, sealed: Sealed) -> None:
    """The pod goes without a word, and another one is ready."""
    before = sealed.pod()["metadata"]["uid"]
    owned.space.kubectl("delete", "pod", "control-plane-0", "-n", owned.namespace, "--grace-period=0", "--force")
    place = ("-n", owned.namespace, "--timeout=120s")
    owned.space.kubectl("wait", "--for=create", "pod/control-plane-0", *place)
    owned.space.kubectl("wait", "--for=condition=Ready", "pod/control-plane-0", *place)
    assert sealed.pod()["metadata"]["uid"] != before


def memory(owned: Owned) -> dict[str, float]:
    """MiB in use by container of the pod, as the kubelet counts."""
    found = json.loads(owned.space.kubectl("get", "--raw", f"/api/v1/nodes/{NAME}/proxy/stats/summary"))
    (pod,) = [one for one in found["pods"] if one["podRef"] == {**one["podRef"], "name": "control-plane-0"}
              and one["podRef"]["namespace"] == owned.namespace]  # fmt: skip
    return {one["name"]: round(one["memory"]["workingSetBytes"] / 2**20, 1) for one in pod["containers"]}


def given(pod: dict[str, Any], variable: str) -> set[str]:
    """The containers that have the variable."""
    every = [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]
    return {one["name"] for one in every if variable in [env["name"] for env in one.get("env", ())]}


def follow_on(reader: Reader, owned: Owned, sealed: Sealed, way: str) -> None:
    """The page from its first command to where it sees that all is encrypted."""
    reader.follow(followed(KEY, way))
    verify, wait = followed(VERIFY)
    reader.follow([verify])
    until("turned on", owned, sealed, lambda: turned_on(owned))
    reader.follow([wait])
    ((provider, key),) = set(sealed.seals().values())
    assert provider == "kms:v2"
    assert key.startswith("of-")
    reader.follow(followed(KEY_POLICY))


def follow_off(reader: Reader, owned: Owned, sealed: Sealed) -> None:
    """The page to its end."""
    off, wait, remove = followed(OFF)
    reader.follow([off])
    until("turned off", owned, sealed, lambda: turned_off(owned))
    reader.follow([wait])
    assert {way for way, _ in sealed.seals().values()} == {"secretbox:v1"}
    # From here on KMS can refuse: nothing asks it any more.
    reader.follow([remove])


def test_secrets_go_under_a_key_by_irsa_live_through_its_bad_days_and_come_back(
    owned: Owned, sealed: Sealed, cloud: Beside, tmp_path: Path
) -> None:
    write(owned, "before")
    killed(owned, sealed)
    print(f"without the plugin ready {ready_seconds(sealed):.0f} s after the pod was made")
    reader = reading(cloud, owned, tmp_path / "r", "irsa")
    follow_on(reader, owned, sealed, IRSA)
    print(f"with the plugin, first: ready {ready_seconds(sealed):.0f} s after the pod was made")
    assert given(sealed.pod(), "AWS_WEB_IDENTITY_TOKEN_FILE") == {"kms-plugin"}
    usable = condition(owned, "EncryptionKeyUsable")
    assert ":assumed-role/irsa-encryption/" in usable["message"]
    assert reads(owned, "before")
    owned.wait("Ready", "True")

    killed(owned, sealed)
    print(f"with the plugin, killed: ready {ready_seconds(sealed):.0f} s after the pod was made")
    owned.space.parts.wait("Secrets to be read again", lambda: reads(owned, "before"))
    print("MiB in use:", memory(owned))

    arn = reader.variable("YOUR_KMS_KEY_ARN")
    cloud.aws("kms", "disable-key", "--key-id", arn)
    refused = until("the plugin's word of it", owned, sealed, lambda: _says(owned, "EncryptionKeyUsable", "False"), 150)
    assert refused < 150
    usable = condition(owned, "EncryptionKeyUsable")
    assert usable["reason"] == "DisabledException"
    assert "enable-key" in usable["message"]
    until("kube-apiserver's word of it", owned, sealed, lambda: _says(owned, "EncryptionKeyCurrent", "False"),
          TOLD_WITHIN)  # fmt: skip
    current = condition(owned, "EncryptionKeyCurrent")
    assert current["reason"] == "KeyNotUsable"
    assert "DisabledException" in current["message"]
    code = reader.run(f"keyless verify encryption --control-plane {owned.name}")
    assert code.returncode == 1
    assert "disabled" in code.stdout.lower()
    # It is served all the while, by the data keys that it holds.
    write(owned, "disabled")
    assert reads(owned, "before", "disabled")
    owned.wait("Ready", "True")
    cloud.aws("kms", "enable-key", "--key-id", arn)
    for kind in ("EncryptionKeyUsable", "EncryptionKeyCurrent"):
        until(f"{kind} again", owned, sealed, lambda kind=kind: _says(owned, kind, "True"), TOLD_WITHIN)

    follow_off(reader, owned, sealed)
    assert reads(owned, "before", "disabled")
    owned.wait("Ready", "True")
    assert [one["name"] for one in sealed.pod()["spec"].get("initContainers", ())] == []
    left = owned.space.kubectl("get", "serviceaccount", "control-plane", "-n", owned.namespace, "--ignore-not-found")
    assert not left
    said = "\n".join(reader.transcript) + told(owned.space, owned.name, owned.namespace)
    assert "xyzzy-plugh" not in said


def test_secrets_go_under_a_key_by_pod_identity(owned: Owned, sealed: Sealed, cloud: Beside, tmp_path: Path) -> None:
    set_values(owned.space)
    write(owned, "associated")
    reader = reading(cloud, owned, tmp_path / "r", "pods")
    follow_on(reader, owned, sealed, POD_IDENTITY)
    assert given(sealed.pod(), "AWS_CONTAINER_CREDENTIALS_FULL_URI") == {"kms-plugin"}
    assert ":assumed-role/pods-encryption/" in condition(owned, "EncryptionKeyUsable")["message"]
    assert reads(owned, "associated")
    follow_off(reader, owned, sealed)
    assert reads(owned, "associated")


def _says(owned: Owned, kind: str, status: str) -> bool:
    return bool(condition(owned, kind).get("status") == status)

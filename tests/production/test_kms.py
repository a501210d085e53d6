"""Secrets under a KMS key by a real kube-apiserver: turned on, KMS away, key disabled, turned off; bare processes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from keyless.api import sealed_by
from keyless.space.control_planes import rotation
from keyless.space.values import ApiServer
from production.binaries import built
from production.keyed import Keyed
from unit.space.sealed import OWN

pytestmark = [pytest.mark.production, pytest.mark.timeout(1500)]
CHANGED_WITHIN = 420.0
SEEN_WITHIN = 150.0


@pytest.fixture
async def keyed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Keyed]:
    # Whoever writes here is this test, which waits for its own writes.
    monkeypatch.setattr(rotation, "SETTLE", timedelta(seconds=2))
    monkeypatch.setattr(sealed_by, "SOCKETS", sealed_by.SOCKETS)
    found = Keyed(OWN, tmp_path, built())
    try:
        await found.up()
        yield found
    finally:
        found.down()
        await found.tenants.aclose()


async def changed(keyed: Keyed, name: str, *, kms: bool) -> None:
    """The operator until a change has ended; a Secret is written and every one is read at each step."""
    began, names, told = time.monotonic(), [], ""
    while True:
        said = await keyed.look()
        word = said.get("message", "").split("; Secrets")[0]
        if word != told:
            print(f"{time.monotonic() - began:5.0f} s  {said.get('reason')}: {word}")
            told = word
        current = keyed.ring()
        if current is not None and current.stage == "current" and bool(current.keys[0].kms) is kms:
            break
        assert time.monotonic() - began < CHANGED_WITHIN, (said, keyed.parts.words("plugin"), keyed.parts.words("api"))
        if len(names) < 12:
            names.append(f"{name}-{len(names)}")
            keyed.put(names[-1])
        assert all(keyed.reads(each) for each in names)
        await asyncio.sleep(3)
    print(f"changed after {time.monotonic() - began:.0f} s")


async def until(keyed: Keyed, reason: str) -> str:
    """What the operator says, once it is of this reason."""
    end = time.monotonic() + SEEN_WITHIN
    while (said := await keyed.look()).get("reason") != reason:
        assert time.monotonic() < end, (said, keyed.parts.words("plugin"))
        await asyncio.sleep(2)
    return str(said["message"])


async def test_secrets_go_under_a_kms_key_survive_its_bad_days_and_come_back(keyed: Keyed) -> None:
    keyed.put("before")
    assert keyed.seals() == {"k8s:enc:secretbox:v1:first"}
    kms = keyed.kms()
    key = kms.create_key()["KeyMetadata"]
    keyed.values = replace(OWN, api_server=ApiServer(kms_key=key["Arn"]))
    began = keyed.start_plugin()
    keyed.parts.wait("the plugin", lambda: "starting" in keyed.parts.words("plugin") or time.monotonic() - began > 3)
    await changed(keyed, "on", kms=True)
    (sealed,) = keyed.seals()
    assert sealed.startswith("k8s:enc:kms:v2:of-"), sealed
    assert sealed.endswith(".2")
    pid = keyed.parts._running["plugin"].pid
    resident = Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split("kB")[0].strip()
    print(f"the plugin holds {int(resident) // 1024} MiB")

    # KMS away: what the API server has data keys for goes on, for reading and for writing.
    assert keyed.reads("before")
    keyed.parts.end("cloud")
    message = await until(keyed, "KeyNotUsable")
    print("away:", message)
    keyed.put("away")
    assert keyed.reads("before")
    assert keyed.reads("away")
    assert keyed.status("/readyz") == 500
    assert keyed.status("/readyz?exclude=kms-providers") == 200
    keyed.start_cloud()
    await until(keyed, "EncryptionKeyInUse")

    # The key disabled, and kube-apiserver started again meanwhile: nothing is read until it is enabled.
    kms.disable_key(KeyId=key["KeyId"])
    message = await until(keyed, "KeyNotUsable")
    assert "DisabledException" in message
    assert "enable-key" in message
    keyed.put("disabled")
    keyed.parts.end("api")
    keyed.parts.end("plugin")
    keyed.start_plugin()
    keyed.start_api(wait=False)
    keyed.parts.wait("the API server", lambda: keyed.status("/livez") == 200)
    assert not keyed.reads("before")
    kms.enable_key(KeyId=key["KeyId"])
    began = time.monotonic()
    keyed.parts.wait("Secrets", lambda: keyed.reads("before") and keyed.reads("disabled"))
    print(f"read again {time.monotonic() - began:.0f} s after the key was enabled")
    keyed.parts.wait("the API server", lambda: keyed.status("/readyz") == 200)

    # KMS rotates: kube-apiserver makes another data key by itself, and older ones are read.
    kms.rotate_key_on_demand(KeyId=key["KeyId"])
    keyed.put("rotated")
    assert keyed.reads("before")

    keyed.values = OWN
    await changed(keyed, "off", kms=False)
    (sealed,) = keyed.seals()
    assert sealed.startswith("k8s:enc:secretbox:v1:of-"), sealed
    assert all(keyed.reads(each) for each in ("before", "away", "disabled", "rotated"))
    words = "".join((keyed.folder / f"{name}.log").read_text() for name in ("plugin", "api"))
    assert "xyzzy" not in words

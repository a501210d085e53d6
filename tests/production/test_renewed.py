"""Keys and certificates of a control plane of its own change under its users' hands, and nothing restarts."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from keyless.space.kubernetes import issuing
from keyless.space.kubernetes.names import addresses
from keyless.space.place import Place
from production.node import OneNode
from production.owning import Owned
from production.sealing import Sealed

pytestmark = [pytest.mark.production, pytest.mark.timeout(900)]
CHANGED_WITHIN = 780.0


@pytest.fixture(scope="module")
def owned(space: OneNode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owned]:
    """Control plane ``turned``, ready."""
    found = Owned(space, "turned", tmp_path_factory.mktemp("k"))
    found.create()
    yield found
    found.delete()


@pytest.fixture(scope="module")
def sealed(owned: Owned, tmp_path_factory: pytest.TempPathFactory) -> Sealed:
    """Its etcd."""
    return Sealed(owned, tmp_path_factory.mktemp("e"))


def _secret(owned: Owned, name: str) -> None:
    owned.kubectl("create", "secret", "generic", name, "-n", "default", f"--from-literal=word=xyzzy-{name}")


def _reads(owned: Owned, name: str) -> bool:
    found = owned.kubectl("get", "secret", name, "-n", "default", "-o", "jsonpath={.data.word}")
    return base64.b64decode(found).decode() == f"xyzzy-{name}"


def _told(owned: Owned) -> dict[str, str]:
    conditions = owned.space.object("controlplane", owned.name, "-n", "default")["status"]["conditions"]
    return next(each for each in conditions if each["type"] == "EncryptionKeyCurrent")


def test_the_key_of_secrets_changes_while_they_are_written_and_read(owned: Owned, sealed: Sealed) -> None:
    _secret(owned, "before")
    life, old = sealed.life(), {*sealed.keys().values()}
    owned.space.kubectl(
        "annotate", "controlplane", owned.name, "-n", "default", "keyless.dev/rotate-encryption-key=now"
    )  # fmt: skip
    began, names, steps = time.monotonic(), ["before"], []
    while True:
        told = _told(owned)
        if told["message"].split("; Secrets")[0] not in steps:
            steps.append(told["message"].split("; Secrets")[0])
            print(f"{time.monotonic() - began:5.0f} s  {steps[-1]}")
        if told["reason"] == "EncryptionKeyInUse" and ".2 of" in told["message"]:
            break
        assert time.monotonic() - began < CHANGED_WITHIN, (told, steps)
        names.append(f"during-{len(names)}")
        _secret(owned, names[-1])
        assert _reads(owned, names[len(names) // 2])
        if len(names) == 12:
            # Another operator goes on.
            owned.space.kubectl("rollout", "restart", "deployment/spaces-operator", "-n", "default")
        sealed.hurry(len(names))
        time.sleep(5)
    print(f"changed after {time.monotonic() - began:.0f} s, with {len(names)} Secrets written meanwhile")
    _secret(owned, "after")
    assert all(_reads(owned, name) for name in [*names, "after"])
    after = sealed.keys()
    assert {*after} >= {f"default/{name}" for name in [*names, "after"]}
    (new,) = {*after.values()}
    assert old == {"first"}
    assert new.endswith(".2")
    assert sealed.life() == life, "something was started again"


def test_certificates_are_renewed_without_an_outage(owned: Owned, sealed: Sealed) -> None:
    life, until = sealed.life(), sealed.shown_until()
    mark = (datetime.now(UTC) - timedelta(days=20)).strftime("%Y-%m-%dT%H:%M:%SZ")
    owned.space.kubectl(
        "annotate", "secret", "control-plane-certificates", "-n", owned.namespace, "--overwrite",
        f"keyless.dev/certificates-issued-at={mark}",
    )  # fmt: skip
    # It looks again at what changed on the ControlPlane.
    owned.space.kubectl("annotate", "controlplane", owned.name, "-n", "default", "test/look=1", "--overwrite")
    began = time.monotonic()
    while sealed.shown_until() == until:
        assert owned.answers("get", "namespace", "default"), "an outage"
        assert time.monotonic() - began < 240
        sealed.hurry(f"renewed-{time.monotonic():.0f}")
        time.sleep(1)
    print(f"the renewed certificate was shown after {time.monotonic() - began:.0f} s")
    assert owned.answers("get", "namespace", "default")
    assert sealed.life() == life, "something was started again"


def test_certificates_that_ended_while_the_operator_was_away_for_a_year_are_made_anew(
    owned: Owned, sealed: Sealed
) -> None:
    life = sealed.life()
    operator = ("deployment/spaces-operator", "-n", "default")
    owned.space.kubectl("scale", *operator, "--replicas=0")
    owned.space.kubectl("wait", "pod", "-l", "app.kubernetes.io/name=spaces-operator", "-n", "default",
                        "--for=delete", "--timeout=60s")  # fmt: skip
    try:
        _age(owned, sealed)
        _wait(sealed, lambda: sealed.shown_until() < datetime.now(UTC), "certificates that ended")
        assert not owned.answers("get", "namespace", "default")
    finally:
        owned.space.kubectl("scale", *operator, "--replicas=1")
    _wait(sealed, lambda: sealed.shown_until() > datetime.now(UTC), "certificates that hold")
    owned.wait("Ready", "True", seconds=60)
    assert owned.answers("get", "namespace", "default")
    assert sealed.life() == life, "something was started again"


def _age(owned: Owned, sealed: Sealed) -> None:
    """What an operator of last year would have left: the same keys, and certificates that ended long ago."""
    status = owned.space.object("controlplane", owned.name, "-n", "default")["status"]
    place = Place(owned.name, "default", "", status["controlPlaneID"], owned.namespace)
    keys = issuing.keys_of(owned.space.object("secret", "control-plane-keys", "-n", owned.namespace))
    assert keys is not None
    told = issuing.told_config(owned.space.object("secret", "control-plane-certificates", "-n", owned.namespace))
    made = issuing.certificate_items(
        place, keys, addresses(place, (sealed.address(),)), datetime.now(UTC) - timedelta(days=365), encryption=told
    )
    for each in made:
        owned.space.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", given=json.dumps(each.object))


def _wait(sealed: Sealed, holds: Callable[[], bool], what: str) -> None:
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < 240, what
        sealed.hurry(f"{what}-{time.monotonic():.0f}".replace(" ", "-"))
        time.sleep(2)
    print(f"{what}: after {time.monotonic() - began:.0f} s")

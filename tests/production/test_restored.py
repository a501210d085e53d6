"""A control plane with usage and shared secrets is lost with its host namespace, and begins anew as its snapshot."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from production.beside import Beside
from production.node import OneNode
from production.owning import Owned
from production.parts import said
from production.restoring import Everything

pytestmark = [pytest.mark.production, pytest.mark.timeout(900)]


@pytest.fixture
def everything(space: OneNode, cloud: Beside, tmp_path: Path) -> Iterator[Everything]:
    """For the control plane that is lost, and for the one that takes its place."""
    found = Everything(space, cloud, tmp_path, "lost-host", "found-host")
    try:
        found.up()
        yield found
    finally:
        for name in ("lost", "found"):
            space.kubectl("delete", "controlplane", name, "-n", "default", "--ignore-not-found", "--timeout=180s")
            space.kubectl("delete", "persistentvolume", f"{name}-host", "--ignore-not-found")
        found.down()


def test_after_the_loss_of_the_host_namespace_nothing_is_counted_twice_and_no_secret_deleted(
    everything: Everything, space: OneNode, tmp_path: Path
) -> None:
    (tmp_path / "l").mkdir()
    (tmp_path / "f").mkdir()
    lost = Owned(space, "lost", tmp_path / "l")
    everything.share("lost", "found")
    began = time.time()
    lost.create()
    everything.fill(lost)
    lost.wait("BillingStored", "True")
    before = everything.secrets(lost)
    snapshot = everything.snapshot_after(lost)
    old = everything.status("lost")["controlPlaneID"]

    space.kubectl("delete", "namespace", lost.namespace, "--timeout=120s")
    space.kubectl("delete", "persistentvolume", lost.namespace)
    gone = time.time()
    said("sh", "-c", f"rm -rf '{lost.volume}'/*")
    lost.wait("Ready", "False")
    space.parts.wait("the loss to be told", lambda: "DataLost" in _reasons(everything, "lost"))
    ready = next(each for each in everything.status("lost")["conditions"] if each["type"] == "Ready")
    assert snapshot.partition("/")[0] in ready["message"]
    assert "keyless.dev/restore-from" in ready["message"]
    space.kubectl("delete", "controlplane", "lost", "-n", "default", "--timeout=120s")

    found = Owned(space, "found", tmp_path / "f", restore=snapshot)
    again = time.time()
    found.create()
    print(f"restored and ready after {found.seconds:.1f} s, {time.time() - gone:.1f} s after the loss")
    found.wait("Restored", "True")
    found.wait("BillingStored", "True", seconds=180)
    everything.synced(found)
    # Longer than the tenant's own secrets take to be read anew, so that whatever shall delete one has had its turn.
    time.sleep(25)
    after = everything.secrets(found)
    assert after == before
    new = everything.status("found")["controlPlaneID"]
    assert new != old
    found.delete()  # what it counted is stored to its end

    ended = time.time()
    _, verified = everything.billing("verify")
    # What the lost one counted and had not stored is told as missing; all that was stored is whole, in one chain each.
    assert verified["faults"] == [], verified
    assert {each["name"] for each in verified["missing"]} <= {"lost"}, verified["missing"]
    used = everything.used()
    print(f"missing: {verified['missing']}; used: {used}")
    assert set(used) == {"lost", "found"}, used
    # Three resources, in the one control plane until it was gone, in the other from its beginning, never in both.
    for name, (start, end) in {"lost": (began, gone), "found": (again, ended)}.items():
        assert 0 < used[name][0] <= 3 * (end - start) / 3600, (name, end - start, used)
    assert used["found"][1] == 0, "restoring a resource does not make one"


def _reasons(everything: Everything, name: str) -> set[str]:
    return {str(each.get("reason")) for each in everything.status(name).get("conditions") or ()}

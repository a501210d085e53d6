"""A control plane of the Space's own on a bad day: what was stored is not lost, and what is lost or full is told."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from production.node import OneNode
from production.own_faults import CREATING, RUNNING, VOLUME_BYTES, Fault, ready, writing_until
from production.owning import Owned, set_values, told
from production.parts import said, succeeds
from tests.tools import GUIDES, kubernetes_clients

pytestmark = [pytest.mark.production, pytest.mark.timeout(900)]


@pytest.fixture
def own(space: OneNode, tmp_path: Path) -> Iterator[Owned]:
    """One on a small volume of its own."""
    found = Owned(space, "faulty", tmp_path)
    found.volume.mkdir()
    said("mount", "-t", "tmpfs", "-o", f"size={VOLUME_BYTES},mode=0777", "tmpfs", found.volume)
    try:
        found.begin()
        yield found
        found.delete()
    finally:
        succeeds("umount", found.volume)


@pytest.mark.parametrize("fault", CREATING.values(), ids=[name.replace(" ", "-") for name in CREATING])
def test_what_happens_in_the_middle_of_its_creation_delays_it_and_no_more(own: Owned, fault: Fault) -> None:
    own.space.kubectl("wait", "--for=create", "secret/control-plane-keys", "-n", own.namespace, "--timeout=60s")
    keys = own.space.object("secret", "control-plane-keys", "-n", own.namespace)["metadata"]["uid"]
    fault(own)
    own.finish()
    print(f"ready after {own.seconds:.0f} s")
    assert own.space.object("secret", "control-plane-keys", "-n", own.namespace)["metadata"]["uid"] == keys
    works(own, "after-it")


def test_a_running_one_keeps_what_was_stored_and_goes_on(own: Owned) -> None:
    own.finish()
    works(own, "first")
    wrong = []
    for number, (name, fault) in enumerate(RUNNING.items()):
        kept = f"kept-{number}"
        own.kubectl("create", "configmap", kept, "-n", "default", "--from-literal=a=b")
        fault(own)
        ended = time.monotonic()
        try:
            # A write, which may be repeated: reads are answered from kube-apiserver's memory while etcd is away.
            waiting(own, "to answer again", "annotate", "configmap", kept, "again=yes", "--overwrite", "-n", "default")
            answered = time.monotonic() - ended
            own.wait("Ready", "True")
            works(own, f"after-{number}")
            print(f"| {name} | {answered:.0f} | {time.monotonic() - ended:.0f} |", flush=True)
        except AssertionError as error:  # the others are worth knowing, too
            wrong.append(f"{name}: {error}")
    assert not wrong, "\n".join(wrong)
    lost(own)


def lost(own: Owned) -> None:
    """The volume is emptied under the pod; the printed command begins anew."""
    said("sh", "-c", f"rm -rf '{own.volume}'/*")
    own.space.kubectl("delete", "pod", "control-plane-0", "-n", own.namespace, "--grace-period=0", "--force")
    own.space.parts.wait("the loss to be told", lambda: ready(own)[0] == "DataLost", 120.0)
    printed = re.search(r"`(kubectl [^`]*)`", ready(own)[1])
    assert printed is not None, ready(own)
    assert not own.answers("get", "configmap", "kept-0", "-n", "default")
    clients = kubernetes_clients(GUIDES)
    assert clients is not None
    environ = {"PATH": f"{clients}:/usr/bin:/bin", "KUBECONFIG": str(own.space.api.kubeconfig)}
    said("sh", "-c", printed[1], environ=environ)
    own.wait("Ready", "True")


def test_an_etcd_that_is_full_is_told_and_takes_writes_again_once_something_was_deleted(
    space: OneNode, tmp_path: Path
) -> None:
    full = Owned(space, "full", tmp_path)
    try:
        set_values(space, "controlPlanes.kubernetes.persistence.size=64Mi")
        full.create()
        taken = writing_until(full, lambda: ready(full)[0] == "StorageFull")
        print(f"told when {taken} writes of 500 kB were taken: {ready(full)[1]}")
        assert 20 < taken < 80
        assert full.answers("get", "configmap", "large-1", "-n", "default"), "reads go on"
        assert not full.answers("create", "configmap", "small", "-n", "default")
        full.kubectl("delete", "configmaps", "-l", "large=yes", "-n", "default")
        ended = time.monotonic()
        full.wait("Ready", "True", seconds=180)
        print(f"writes again {time.monotonic() - ended:.0f} s after they were deleted")
        works(full, "after-it")
        # The node's volumes cannot grow: that is told, and all goes on.
        set_values(space)
        full.wait("StorageAvailable", "False")
        conditions = space.object("controlplane", full.name, "-n", "default")["status"]["conditions"]
        print([one["message"] for one in conditions if one["type"] == "StorageAvailable"])
        assert {one["type"]: one["reason"] for one in conditions}["StorageAvailable"] == "VolumeNotGrown"
        assert ready(full)[0] == "Available"
        works(full, "as-before")
    finally:
        full.delete()
        set_values(space)


def waiting(own: Owned, what: str, *words: str) -> None:
    wait(own, what, lambda: own.answers(*words, "--request-timeout=5s"))


def wait(own: Owned, what: str, holds: Callable[[], bool]) -> None:
    try:
        own.space.parts.wait(what, holds, 180.0)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{told(own.space, own.name, own.namespace)}") from None


def works(own: Owned, name: str) -> None:
    """All three parts do their work: a namespace gets its account, which controllers make, and goes again."""
    # More than once: an API server that has just answered may leave its Service for a moment, as it was not ready.
    there = ("get", "namespace", name)
    wait(own, "a namespace", lambda: own.answers(*there) or own.answers("create", "namespace", name))
    waiting(own, "a default account", "get", "serviceaccount", "default", "-n", name)
    gone = ("delete", "namespace", name, "--ignore-not-found", "--timeout=60s")
    wait(own, "a namespace to go", lambda: own.answers(*gone))

"""A control plane of the Space's own on a bad day: nothing that was stored is lost, and all its parts work again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from production.node import OneNode
from production.own_faults import CREATING, RUNNING, VOLUME_BYTES, Fault
from production.owning import Owned, told
from production.parts import said, succeeds

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

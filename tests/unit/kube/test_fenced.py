"""A write is sent only while its sender may write; a read always."""

import pytest

from keyless.kube import NotHeld
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import CONFIGMAPS, SERVICEACCOUNTS

OBJECT = {"metadata": {"name": "one", "namespace": "default"}, "data": {}}
WRITES = {
    "create": lambda kube: kube.create(CONFIGMAPS, {"metadata": {"name": "two", "namespace": "default"}}),
    "replace": lambda kube: kube.replace(CONFIGMAPS, OBJECT),
    "patch": lambda kube: kube.patch(CONFIGMAPS, "one", {"data": {"a": "b"}}, "default"),
    "apply": lambda kube: kube.apply(CONFIGMAPS, OBJECT, field_manager="me"),
    "delete": lambda kube: kube.delete(CONFIGMAPS, "one", "default"),
    "token": lambda kube: kube.token("one", "default", audiences=(), expiration_seconds=600),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
async def test_no_write_is_sent_by_one_who_may_not(write):
    kube, may = MemoryKube(), [False]
    for res in (CONFIGMAPS, SERVICEACCOUNTS):
        kube.put(res, OBJECT)
    fenced = kube.fenced(lambda: may[0])
    with pytest.raises(NotHeld, match="not sent"):
        await write(fenced)
    assert kube.calls == []
    may[0] = True
    await write(fenced)
    assert kube.calls


async def test_reads_go_on():
    kube = MemoryKube()
    kube.put(CONFIGMAPS, OBJECT)
    fenced = kube.fenced(lambda: False)
    assert (await fenced.get(CONFIGMAPS, "one", "default"))["metadata"]["name"] == "one"
    assert len((await fenced.list(CONFIGMAPS, "default")).items) == 1


async def test_the_state_of_the_connection_is_shared():
    kube = MemoryKube()
    assert kube.fenced(lambda: True).contact is kube.contact

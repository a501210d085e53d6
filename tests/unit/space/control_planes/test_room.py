"""How full a control plane's etcd and volume are: room is made where there is some, and what is wrong is said."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyless.kube import Forbidden, KubeObject
from keyless.kube.errors import failure_status
from keyless.kube.resources import PERSISTENTVOLUMECLAIMS, PODS, STATEFULSETS
from keyless.space.control_planes.model import Room
from keyless.space.control_planes.room import ENOUGH, Mend, is_news, next_mend, percent
from keyless.space.control_planes.roomwatch import LOOK_SECONDS, RoomWatch
from keyless.space.kubernetes import sizes
from keyless.space.values import ApiServer, Values
from unit.space.etcds import MemoryEtcd
from unit.space.world import BILLING, CTP1, World

OWN = Values(mode="kubernetes", billing=BILLING)
MIB = 1 << 20


@pytest.fixture
async def world():
    made = World(OWN)
    yield made
    await made.tenants.aclose()


async def _made(world: World) -> str:
    world.create()
    await world.settle()
    return await world.host_namespace()


async def _look(world: World) -> None:
    """A minute passes, and the operator is woken where there is news."""
    await asyncio.sleep(LOOK_SECONDS + 1)
    while world.woken:
        world.woken.clear()
        await world.settle()


async def _says(world: World, kind: str) -> tuple[str, str, str]:
    found = await world.condition(kind)
    assert found is not None, kind
    return found["status"], found["reason"], found["message"]


# --- what is decided


@given(
    live=st.integers(0, 120), old=st.integers(0, 120), free=st.integers(0, 120), alarm=st.booleans(), quota=st.just(100)
)
def test_a_look_comes_to_an_end_and_leaves_no_alarm_where_there_is_room(
    live: int, old: int, free: int, alarm: bool, quota: int
) -> None:
    etcd = MemoryEtcd(live=live, quota=quota)
    etcd.old, etcd.free, etcd.alarm = old, free, alarm
    before = etcd.live
    done: list[Mend] = []
    while (due := next_mend(_room(etcd), done)) is not None:
        assert due not in done, "nothing is done twice in a look"
        if due is Mend.DEFRAGMENT:
            assert etcd.free >= 0.1 * quota, "etcd answers nobody meanwhile: not for nothing"
        if due is Mend.DISARM:
            assert etcd.used < ENOUGH * quota, "the next write would raise it again"
        done.append(due)
        _do(etcd, due)
    assert etcd.live == before
    assert Mend.DISARM not in done or alarm
    if alarm and live < (ENOUGH - 0.1) * quota:
        assert not etcd.alarm
    if not alarm:
        assert Mend.COMPACT not in done, "kube-apiserver does that itself"


def _room(etcd: MemoryEtcd) -> Room:
    return Room(etcd.used, etcd.live + etcd.old, etcd.quota, 42, etcd.alarm, "1")


def _do(etcd: MemoryEtcd, due: Mend) -> None:
    match due:
        case Mend.COMPACT:
            etcd.old, etcd.free = 0, etcd.free + etcd.old
        case Mend.DEFRAGMENT:
            etcd.free = 0
        case Mend.DISARM:
            etcd.alarm = False


@given(st.integers(0, 300), st.integers(0, 300), st.booleans(), st.booleans())
def test_what_is_said_changes_with_each_ten_percent_and_with_the_alarm_alone(
    one: int, other: int, was: bool, now: bool
) -> None:
    before, after = Room(one, one, 200, full=was), Room(other, other, 200, full=now)
    assert is_news(before, after) == (was != now or percent(before) != percent(after))
    assert 0 <= percent(after) - 100 * other / 200 < 10
    assert is_news(None, after)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4Gi", 4 * 1024 * MIB),
        ("1.5Gi", 1536 * MIB),
        ("512M", 512_000_000),
        ("1000", 1000),
        ("", None),
        ("-1Gi", None),
        ("4GiB", None),
        ("1e3", None),
    ],
)
def test_a_size_is_read_as_kubernetes_means_it_or_not_at_all(text: str, size: int | None) -> None:
    assert sizes.bytes_of(text) == size


@given(st.integers(1, 64_000), st.integers(1, 64_000), st.booleans())
def test_etcd_never_gets_more_than_half_of_a_volume_that_it_can_live_on(asked: int, found: int, bound: bool) -> None:
    claim: KubeObject = {"spec": {"resources": {"requests": {"storage": f"{asked}Mi"}}}}
    if bound:
        claim["status"] = {"capacity": {"storage": f"{found}Mi"}}
    quota = sizes.quota_bytes("4Gi", claim)
    smaller = min(asked, found) if bound else asked
    assert sizes.LEAST <= quota <= sizes.MOST
    assert smaller < 32 or quota <= smaller * MIB // 2
    # Where it was made and where it is bound to as much as was asked for or more, the pod is not restarted for it.
    if not bound or found >= asked:
        assert quota == sizes.quota_bytes(f"{asked}Mi", None)


# --- what is done and said


async def test_an_etcd_that_took_no_more_writes_takes_them_again_once_something_was_deleted(world: World) -> None:
    world.etcd = MemoryEtcd(live=10 * MIB, quota=100 * MIB)
    await _made(world)
    assert (await _says(world, "StorageAvailable"))[:2] == ("True", "StorageAvailable")
    while world.etcd.write(5 * MIB):
        pass
    await _look(world)
    status, reason, message = await _says(world, "Ready")
    assert (status, reason) == ("False", "StorageFull")
    assert "100.0 MiB" in message
    assert "--set controlPlanes.kubernetes.persistence.size=8192Mi" in message
    assert world.etcd.alarm, "there is no room: the next write would raise it again"
    world.etcd.delete(50 * MIB)
    await _look(world)
    assert (await _says(world, "Ready"))[:2] == ("True", "Available")
    assert (await _says(world, "StorageAvailable"))[:2] == ("True", "StorageAvailable")
    assert world.etcd.write(5 * MIB)


async def test_it_is_told_before_it_is_full_and_free_pages_are_given_back(world: World) -> None:
    world.etcd = MemoryEtcd(live=75 * MIB, quota=100 * MIB)
    await _made(world)
    world.etcd.write(10 * MIB)
    await _look(world)
    status, reason, message = await _says(world, "StorageAvailable")
    assert (status, reason) == ("False", "StorageNearlyFull")
    assert "more than 80 % of the 100.0 MiB" in message
    assert (await _says(world, "Ready"))[0] == "True"
    world.etcd.delete(40 * MIB)
    world.etcd.old, world.etcd.free = 0, world.etcd.old  # kube-apiserver compacts
    await _look(world)
    assert world.etcd.free == 0
    assert (await _says(world, "StorageAvailable"))[:2] == ("True", "StorageAvailable")


async def test_what_was_said_stays_over_a_restart_of_the_operator(world: World) -> None:
    world.etcd = MemoryEtcd(live=10 * MIB, quota=100 * MIB)
    await _made(world)
    while world.etcd.write(5 * MIB):
        pass
    await _look(world)
    before = [await world.condition(kind) for kind in ("Ready", "StorageAvailable")]
    await world.tenants.aclose()
    world.start()
    world.etcd.refused = frozenset({"maintenance/status"})
    await world.settle()
    assert [await world.condition(kind) for kind in ("Ready", "StorageAvailable")] == before


@pytest.mark.parametrize("step", ["kv/compaction", "maintenance/defragment", "maintenance/alarm"])
async def test_a_step_that_etcd_refuses_holds_back_no_other_and_is_tried_at_the_next_look(step: str) -> None:
    etcd = MemoryEtcd(live=20 * MIB, quota=100 * MIB)
    etcd.old, etcd.alarm = 85 * MIB, True
    etcd.refused = frozenset({step})
    told: list[str] = []
    watch = RoomWatch(etcd.kube(), lambda: told.append("news"))
    await watch.look()
    assert etcd.alarm
    assert watch.room is not None
    assert watch.room.full
    etcd.refused = frozenset()
    await watch.look()
    assert not etcd.alarm
    assert told == ["news", "news"]


@given(
    answer=st.one_of(
        st.just(b"[]"),
        st.just(b"{}"),
        st.just(b'{"header":7,"dbSize":"1","dbSizeInUse":"1"}'),
        st.dictionaries(
            st.sampled_from(["header", "dbSize", "dbSizeInUse", "dbSizeQuota", "errors"]),
            st.one_of(st.none(), st.integers(-5, 5), st.text(max_size=5), st.lists(st.integers(0, 3), max_size=2)),
        ).map(orjson.dumps),
    )
)
async def test_whatever_etcd_answers_what_is_known_stays(answer: bytes) -> None:
    etcd = MemoryEtcd()
    watch = RoomWatch(etcd.kube(), lambda: None)
    await watch.look()
    known = watch.room
    assert known is not None
    etcd.answer = answer
    await watch.look()
    assert watch.room == known


async def test_an_etcd_that_tells_no_quota_is_judged_by_the_one_in_its_command() -> None:
    etcd = MemoryEtcd(live=1, quota=100)
    etcd.tells_quota = False
    bare, told = RoomWatch(etcd.kube(), lambda: None), RoomWatch(etcd.kube(), lambda: None, 100)
    await bare.look()
    await told.look()
    assert bare.room is None
    assert told.room is not None
    assert told.room.quota == 100


# --- the volume


def _pod(world: World, namespace: str, message: str, finished: str) -> None:
    owner = next(each for each in world._objects(STATEFULSETS))
    labels = {**owner["metadata"]["labels"], "controller-revision-hash": owner["status"]["updateRevision"]}
    ended = {"exitCode": 1, "reason": "Error", "message": message, "finishedAt": finished}
    status = {"name": "etcd", "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": ended}}
    pod = {"metadata": {"name": "control-plane-0", "namespace": namespace, "labels": labels}}
    world.webhook, world._end_pods = False, lambda: False
    world.host.put(PODS, {**pod, "spec": {"containers": []}, "status": {"containerStatuses": [status]}})


FATAL = '{"level":"fatal","msg":"failed to commit tx","error":"write /d/member/snap/db: no space left on device"}'


@pytest.mark.parametrize(
    ("message", "finished", "reason"),
    [
        (FATAL, "2026-11-22T12:00:00Z", "VolumeFull"),
        (FATAL, None, "VolumeFull"),
        (FATAL, "2026-11-22T10:00:00Z", "Creating"),
        ("panic: something else", "2026-11-22T12:00:00Z", "Creating"),
        ("", None, "Creating"),
    ],
)
async def test_a_volume_that_is_full_is_told_by_etcds_last_words_and_by_fresh_ones_alone(
    message: str, finished: str, reason: str
) -> None:
    world = World(OWN)
    world.broken = True
    world.create()
    for _ in range(12):
        await world.loop.reconcile(CTP1)
        world.play()
    _pod(world, await world.host_namespace(), message, finished)
    await world.loop.reconcile(CTP1)
    status, found, said = await _says(world, "Ready")
    assert (status, found) == ("False", reason)
    if reason == "VolumeFull":
        assert "data-control-plane-0" in said
        assert "4Gi" in said
        assert "member/snap" not in said, "a program's own words are not quoted"
    await world.tenants.aclose()


async def test_a_volume_grows_with_the_values_and_etcd_with_it_once_it_has_grown(world: World) -> None:
    namespace = await _made(world)
    world.values = replace(OWN, api_server=ApiServer(size="9Gi"))
    await world.settle()
    claim = await world.host.get(PERSISTENTVOLUMECLAIMS, "data-control-plane-0", namespace)
    assert claim["spec"]["resources"]["requests"]["storage"] == "9Gi"
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    # The storage class's own work takes its time.
    world.host.put(PERSISTENTVOLUMECLAIMS, {**claim, "status": {"capacity": {"storage": "4Gi"}}})
    await world.settle()
    assert await _quota(world, namespace) == 2 << 30
    world.host.put(PERSISTENTVOLUMECLAIMS, {**claim, "status": {"capacity": {"storage": "9Gi"}}})
    await world.settle()
    assert await _quota(world, namespace) == 9 << 29
    world.values = OWN
    await world.settle()
    claim = await world.host.get(PERSISTENTVOLUMECLAIMS, "data-control-plane-0", namespace)
    assert claim["spec"]["resources"]["requests"]["storage"] == "9Gi", "no volume gets smaller"


async def _quota(world: World, namespace: str) -> int:
    pod = (await world.host.get(STATEFULSETS, "control-plane", namespace))["spec"]["template"]["spec"]
    (told,) = [each for each in pod["containers"][0]["command"] if each.startswith("--quota-backend-bytes=")]
    return int(told.partition("=")[2])


async def test_a_volume_that_cannot_grow_is_told_and_holds_nothing_back(world: World) -> None:
    namespace = await _made(world)
    words = "only dynamically provisioned pvc can be resized"

    def refuse(plural: str, obj: KubeObject) -> KubeObject:
        if plural == "persistentvolumeclaims":
            raise Forbidden(failure_status(403, "Forbidden", words))
        return obj

    world.meddle = refuse
    world.values = replace(OWN, api_server=ApiServer(size="9Gi", image="newer"))
    await world.settle()
    status, reason, message = await _says(world, "StorageAvailable")
    assert (status, reason) == ("False", "VolumeNotGrown")
    assert words in message
    assert (await _says(world, "Ready"))[0] == "True"
    spec = (await world.host.get(STATEFULSETS, "control-plane", namespace))["spec"]
    assert spec["template"]["spec"]["containers"][1]["image"] == "newer"


async def test_a_full_volume_grows_although_nothing_answers(world: World) -> None:
    world.broken = True
    world.create()
    for _ in range(12):
        await world.loop.reconcile(CTP1)
        world.play()
    namespace = await world.host_namespace()
    _pod(world, namespace, FATAL, "2026-11-22T12:00:00Z")
    await world.loop.reconcile(CTP1)
    world.values = replace(OWN, api_server=ApiServer(size="9Gi"))
    await world.loop.reconcile(CTP1)
    claim = await world.host.get(PERSISTENTVOLUMECLAIMS, "data-control-plane-0", namespace)
    assert claim["spec"]["resources"]["requests"]["storage"] == "9Gi"
    assert (await _says(world, "Ready"))[1] == "VolumeFull"

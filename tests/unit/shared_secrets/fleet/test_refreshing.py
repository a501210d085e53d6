"""A refresh that is asked for: what is done, what waits, what is refused."""

import pytest

from keyless.shared_secrets.fleet.model import Plane
from keyless.shared_secrets.fleet.refreshing import PATIENCE, Progress, arrived, of_one, of_shared
from keyless.shared_secrets.sync.cluster_plan import FORCE_SYNC
from keyless.shared_secrets.sync.hashes import resource_version

STAMP = "7"


def external(*, stamp=STAMP, ready="True", synced=True):
    obj = {
        "metadata": {
            "name": "db",
            "namespace": "app",
            "generation": 1,
            "annotations": {FORCE_SYNC: stamp},
            "ownerReferences": [{"kind": "ClusterExternalSecret", "name": "db", "uid": "c"}],
        }
    }
    conditions = [{"type": "Ready", "status": ready, "reason": "R", "message": "no right (request r-1)"}]
    obj["status"] = {"conditions": conditions, "syncedResourceVersion": resource_version(obj) if synced else "old"}
    return obj


def plane(name, *objects, stamp=STAMP):
    metadata = {"name": "db", "uid": "c", "labels": {"keyless.dev/shared-from": "database"}}
    return Plane(name, "default", objects, ({"metadata": {**metadata, "annotations": {FORCE_SYNC: stamp}}},))


@pytest.mark.parametrize(
    ("obj", "done", "waiting", "failing"),
    [
        (external(), 1, 0, 0),
        (external(stamp="6"), 0, 1, 0),
        (external(synced=False), 0, 1, 0),
        (external(ready="False"), 0, 0, 1),
        (external(ready="False", stamp="6"), 0, 1, 0),
    ],
)
def test_done_is_what_carries_the_stamp_and_was_synced_since(obj, done, waiting, failing):
    for found in (of_one(obj, STAMP), of_shared([plane("ctp1", obj)], "database", STAMP, ["ctp1"])):
        assert (len(found.done), len(found.waiting), len(found.failing)) == (done, waiting, failing)


def test_a_control_plane_that_has_not_heard_of_it_is_waited_for_and_one_that_is_away_fails():
    found = of_shared([plane("ctp1", external(), stamp="6"), Plane("ctp2", "default")], "database", STAMP, ["ctp2"])
    assert (found.done, found.waiting) == ((), ("ctp1", "ctp2"))
    away = of_shared([Plane("ctp2", "default", unreachable="no answer")], "database", STAMP, ["ctp2"])
    assert away.failing == ("ctp2: no answer",)


async def test_a_refusal_counts_once_it_stays_and_its_request_is_not_what_differs():
    looks = []

    async def sleep(_seconds):
        looks.append(1)

    async def look():
        return of_one(external(ready="False"), STAMP)

    found = await arrived(look, 600, sleep=sleep)
    assert found.failing == ("app/db: no right",)
    assert len(looks) == PATIENCE


async def test_a_wait_ends_when_all_is_done_or_its_time_is_over():
    answers = [Progress(waiting=("a",)), Progress(failing=("a",)), Progress(done=("a",))]

    async def sleep(_seconds):
        return None

    async def look():
        return answers.pop(0) if len(answers) > 1 else answers[0]

    assert await arrived(look, 60, sleep=sleep) == Progress(done=("a",))
    answers[:] = [Progress(waiting=("a",))]
    assert await arrived(look, 2, sleep=sleep) == Progress(waiting=("a",))

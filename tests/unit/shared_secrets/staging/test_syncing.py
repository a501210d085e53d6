"""What a version that has to wait does to an ExternalSecret, and a rotation through two whole controllers."""

import base64
from dataclasses import replace
from datetime import timedelta

import pytest

from keyless.kube import Forbidden, condition_of
from keyless.kube.errors import failure_status
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import (
    CONTROLPLANES,
    DEPLOYMENTS,
    EXTERNALSECRETS,
    NAMESPACES,
    SECRETS,
    SHAREDEXTERNALSECRETS,
    SHAREDSECRETSTORES,
)
from keyless.shared_secrets.staging import controller as staging_module
from keyless.shared_secrets.staging import gate as gate_module
from keyless.shared_secrets.staging.controller import StagingController
from keyless.shared_secrets.staging.gate import LOOK_SECONDS, Gate
from keyless.shared_secrets.staging.plan import STAGES
from unit.shared_secrets.bench import Bench, db
from unit.shared_secrets.fakes import SETTINGS, FakeAws, a_space, a_value, as_defined
from unit.shared_secrets.test_service import SELECTED, a_shared_secret, a_shared_store, running, until

OLD, NEW = "11111111-0000-0000-0000-000000000001", "11111111-0000-0000-0000-000000000002"


class VersionedAws(FakeAws):
    """One secret with two versions; ``current`` is what AWSCURRENT means."""

    current = OLD
    versions = {OLD: "old", NEW: "new"}  # noqa: RUF012 - never changed

    def GetSecretValue(self, **asked):
        version = asked.get("VersionId") or self.current
        if version not in self.versions:
            self._no("GetSecretValue", "ResourceNotFoundException", "Secrets Manager can't find the specified version.")
        return {"SecretString": self.versions[version], "VersionId": version}


def staged(stages="1", rotation=()):
    provisioned = [{"controlPlane": "ctp0"}, {"controlPlane": "ctp1"}]
    return {
        "metadata": {"annotations": {STAGES: stages}},
        "status": {"provisioned": provisioned, "rotation": list(rotation)},
    }


class Staged(Bench):
    def __init__(self):
        self.shared = staged()
        gate = Gate("ctp1", lambda _obj: self.shared, lambda: self.now)
        super().__init__(rules={"gate": gate})
        self.aws.__class__ = VersionedAws

    async def held(self):
        condition = condition_of((await self.status())["conditions"], "RotationHeld")
        return condition and (condition["status"], condition["reason"], condition["message"])

    async def rotated(self):
        """Sync once, and again after a new version came, which has to wait."""
        await self.sync(db())
        self.aws.current = NEW
        self.now += timedelta(hours=2)
        return await self.sync()


async def test_what_is_there_for_the_first_time_waits_for_nobody():
    bench = Staged()
    bench.aws.current = NEW
    await bench.sync(db())
    assert await bench.data() == {"password": "new"}
    assert await bench.held() is None


async def test_a_new_version_waits_and_the_secret_keeps_what_it_holds():
    bench = Staged()
    assert await bench.rotated() <= LOOK_SECONDS
    assert await bench.data() == {"password": "old"}
    assert await bench.held() == ("True", "VersionHeld", "stage 2 of 2 waits for ctp0, which does not hold it yet")
    assert await bench.ready() == ("True", "SecretSynced", "secret synced")
    (source,) = (await bench.status())["sources"]
    assert (source["version"], source["seenVersion"]) == (OLD, NEW)


async def test_looking_whether_it_may_go_on_asks_the_provider_nothing():
    bench = Staged()
    await bench.rotated()
    bench.aws.calls.clear()
    assert await bench.sync() <= LOOK_SECONDS
    assert bench.aws.calls == []


@pytest.mark.parametrize("opens", ["the stage before does well", "the annotation goes", "it is shared no more"])
async def test_it_is_taken_when_nothing_holds_it_back_any_more_also_after_a_restart(opens):
    bench = Staged()
    await bench.rotated()
    (source,) = (await bench.status())["sources"]
    bench.restart()
    if opens == "the annotation goes":
        bench.shared = {"metadata": {}}
    elif opens == "it is shared no more":
        bench.shared = None
    else:
        from keyless.shared_secrets.staging.plan import held_of, revision_of

        revision = revision_of(held_of([{**source, "version": NEW}]))
        row = {"controlPlane": "ctp0", "revision": revision, "ready": True, "readySince": bench.now.isoformat()}
        bench.shared = staged(rotation=[row])
    await bench.sync()
    assert await bench.data() == {"password": "new"}
    assert (await bench.held())[:2] == ("False", "VersionTaken")


async def test_what_else_a_person_changes_meanwhile_is_done_with_the_version_that_is_held():
    bench = Staged()
    await bench.rotated()
    await bench.change({"spec": {"data": [a_value("password", "db/password"), a_value("again", "db/password")]}})
    await bench.sync()
    assert await bench.data() == {"password": "old", "again": "old"}
    assert (await bench.held())[0] == "True"


async def test_a_secret_that_somebody_changed_is_mended_with_the_version_that_is_held():
    bench = Staged()
    await bench.rotated()
    wrong = {"data": {"password": base64.b64encode(b"x").decode()}}
    await bench.kube.patch(SECRETS, "db", wrong, "app")
    bench.now += timedelta(minutes=1)
    await bench.sync()
    assert await bench.data() == {"password": "old"}


async def test_where_the_version_that_is_held_is_gone_nothing_is_written_and_it_is_said():
    bench = Staged()
    await bench.rotated()
    bench.aws.versions = {NEW: "new"}
    await bench.change({"metadata": {"annotations": {"force-sync": "1"}}})
    bench.now += timedelta(minutes=2)
    status, _reason, message = await bench.fails()
    assert (status, "ResourceNotFoundException" in message, "stage 2 of 2" in message) == ("False", True, True)
    assert await bench.data() == {"password": "old"}


async def test_an_annotation_that_says_nothing_holds_back_and_is_named():
    bench = Staged()
    bench.shared = staged("150%")
    await bench.rotated()
    assert await bench.data() == {"password": "old"}
    assert "expected a share from 1% to 100%" in (await bench.held())[2]


def a_deployment(available):
    template = {"spec": {"containers": [{"name": "c", "envFrom": [{"secretRef": {"name": "db"}}]}]}}
    return {
        "metadata": {"name": "web", "namespace": "app"},
        "spec": {"replicas": 1, "template": template},
        "status": {"availableReplicas": available, "updatedReplicas": 1, "observedGeneration": 99},
    }


def rotation_says(plane, reason):
    def holds(obj):
        rows = {row["controlPlane"]: row for row in (obj.get("status") or {}).get("rotation") or ()}
        said = condition_of((rows.get(plane) or {}).get("conditions"), "Rotated") or {}
        return said.get("reason") == reason

    return holds


def password_is(value):
    return lambda secret: (secret.get("data") or {}).get("password") == base64.b64encode(value).decode()


async def test_a_rotation_goes_through_two_control_planes_when_the_first_ones_workloads_run(monkeypatch):
    monkeypatch.setattr(staging_module, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(gate_module, "LOOK_SECONDS", 0.05)
    host, first = a_space()
    second = MemoryKube()
    second.admit = as_defined
    host.put(NAMESPACES, {"metadata": {"name": "mxp-2-system"}})
    host.put(CONTROLPLANES, {"metadata": {"name": "ctp2", "namespace": "default"}})
    second.put(NAMESPACES, {"metadata": {"name": "app"}})
    both = {**SELECTED, "controlPlaneSelector": {"names": ["ctp1", "ctp2"]}}
    host.put(SHAREDSECRETSTORES, a_shared_store(**both))
    shared = a_shared_secret()
    shared["metadata"]["annotations"] = {STAGES: "1"}
    shared["spec"] = {**shared["spec"], **both}
    host.put(SHAREDEXTERNALSECRETS, shared)
    first.put(DEPLOYMENTS, a_deployment(available=0))
    aws = VersionedAws()
    other = replace(SETTINGS, control_plane_name="ctp2", host_namespace="mxp-2-system")
    async with running(aws, host, first), running(aws, host, second, other):
        for tenant in (first, second):
            await until(tenant, SECRETS, password_is(b"old"))
        await until(host, SHAREDEXTERNALSECRETS, rotation_says("ctp1", "WorkloadsNotReady"))
        await until(host, SHAREDEXTERNALSECRETS, rotation_says("ctp2", "RotationComplete"))
        aws.current = NEW
        asked = {"metadata": {"annotations": {"external-secrets.io/force-sync": "1"}}}
        await host.patch(SHAREDEXTERNALSECRETS, "db", asked, "default")
        await until(first, SECRETS, password_is(b"new"))
        waiting = await until(host, SHAREDEXTERNALSECRETS, rotation_says("ctp2", "WaitingForStage"))
        rows = {row["controlPlane"]: row for row in waiting["status"]["rotation"]}
        assert "ctp1" in condition_of(rows["ctp2"]["conditions"], "Rotated")["message"]
        assert password_is(b"old")(await second.get(SECRETS, "db", "app"))
        first.put(DEPLOYMENTS, a_deployment(available=1))
        await until(second, SECRETS, password_is(b"new"))
        for plane in ("ctp1", "ctp2"):
            await until(host, SHAREDEXTERNALSECRETS, rotation_says(plane, "RotationComplete"))


class Refusing(MemoryKube):
    async def list(self, res, *args, **kwargs):
        if res == DEPLOYMENTS:
            raise Forbidden(failure_status(403, "Forbidden", "no"))
        return await super().list(res, *args, **kwargs)


async def test_workloads_that_may_not_be_looked_at_are_not_ready():
    bench, host = Staged(), MemoryKube()
    host.admit = as_defined
    await bench.sync(db())
    metadata = {"name": "db", "namespace": "default", "annotations": {STAGES: "1"}}
    shared = host.put(SHAREDEXTERNALSECRETS, {**a_shared_secret(), "metadata": metadata})
    owned = [await bench.kube.get(EXTERNALSECRETS, "db", "app")]
    loop = StagingController(
        "ctp1", host, Refusing(), shared=lambda _key: shared, owned=lambda _name: owned, now=lambda: bench.now
    )
    assert await loop.reconcile(staging_module.Name("default", "db")) is not None
    (row,) = (await host.get(SHAREDEXTERNALSECRETS, "db", "default"))["status"]["rotation"]
    assert (row["ready"], row["message"]) == (False, "deployments in namespace app may not be listed")

"""What outlives a killed process, and what ``up`` refuses with a reason instead of guessing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from tests.tools import GUIDES, kubernetes_clients

from e2e import local_space, seeing
from e2e.local_space import LocalSpace, keyless
from keyless.api import KeylessError
from keyless.kube import Kube
from keyless.kube.resources import CONFIGMAPS, PODS
from keyless.local.state import State

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

WRITES_BEFORE_THE_END = 150
WRONG_USE = 2


@pytest.fixture(scope="module")
def own_space(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalSpace]:
    """A Space that these tests may kill."""
    folder = tmp_path_factory.mktemp("durable") / "state"
    yield local_space.start(folder)
    local_space.stop(folder)


class Writers:
    """Several people who write at once, and remember what they were told is done."""

    def __init__(self, space: LocalSpace, host: Kube) -> None:
        self.objects: set[str] = set()
        self.keys: set[str] = set()
        self.enough = asyncio.Event()
        self._space = space
        self._host = host

    async def run(self) -> None:
        """Write until nobody answers any more."""
        await asyncio.gather(*(self._objects(n) for n in range(4)), *(asyncio.to_thread(self._keys, n) for n in (0, 1)))

    async def _objects(self, writer: int) -> None:
        with suppress(KeylessError):
            while True:
                name = f"written-{writer}-{len(self.objects)}"
                await self._host.create(CONFIGMAPS, {"metadata": {"name": name}, "data": {"by": name}}, "default")
                self.objects.add(name)
                if len(self.objects) >= WRITES_BEFORE_THE_END and self.keys:
                    self.enough.set()

    def _keys(self, writer: int) -> None:
        s3 = self._space.aws("s3")
        with suppress(BotoCoreError, ClientError):
            while True:
                key = f"written-{writer}-{len(self.keys)}"
                s3.put_object(Bucket="durable", Key=key, Body=key.encode())
                self.keys.add(key)


async def test_what_was_answered_is_there_after_kill_9_and_everything_comes_back(own_space: LocalSpace) -> None:
    before = own_space.running
    own_space.aws("s3").create_bucket(
        Bucket="durable", CreateBucketConfiguration={"LocationConstraint": own_space.environ["AWS_REGION"]}
    )
    async with own_space.host as host:
        keys_before = await host.request("GET", "/openid/v1/jwks")
        pods_before = {pod["metadata"]["uid"] for pod in (await host.list(PODS)).items}
        writers = Writers(own_space, host)
        writing = asyncio.create_task(writers.run())
        await writers.enough.wait()
        os.kill(before["pid"], signal.SIGKILL)
        await writing

    again = local_space.start(own_space.folder)

    assert again.running["pid"] != before["pid"]
    assert again.running["endpoints"] == before["endpoints"]
    assert dict(again.environ) == dict(own_space.environ)
    async with again.host as host:
        found = {obj["metadata"]["name"] for obj in (await host.list(CONFIGMAPS, "default")).items}
        assert writers.objects <= found
        assert await host.request("GET", "/openid/v1/jwks") == keys_before
        namespace = (await seeing.ready(host, "ctp1"))["status"]["hostNamespace"]
        for deployment, place in (
            ("spaces-operator", "default"),
            ("pod-identity-webhook", "kube-system"),
            ("external-secrets", namespace),
        ):
            await seeing.rolled_out(host, deployment, place)
        # The same pods, not new ones in their place.
        assert pods_before == {pod["metadata"]["uid"] for pod in (await host.list(PODS)).items}
    s3 = again.aws("s3")
    for key in writers.keys:
        assert s3.get_object(Bucket="durable", Key=key)["Body"].read() == key.encode()


def test_a_second_up_on_a_running_folder_changes_nothing(own_space: LocalSpace) -> None:
    before = own_space.running
    for options in ((), ("--detach",)):
        said = keyless(own_space.folder, "up", *options)
        assert said.returncode == 0, said.stderr
        assert f"already running (process {before['pid']}" in said.stdout
        assert "nothing changed" in said.stdout
    assert own_space.running == before


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A state folder that was used before, with its ports chosen."""
    made = tmp_path / "state"
    with closing(State.open(made)) as state:
        for name in ("kubernetes", "aws", "imds", "webhook", "agent", "kubelet", "authenticator"):
            state.port(name)
    return made


def refused(folder: Path) -> str:
    """What ``up`` says when it does not start; both forms say the same."""
    said = [keyless(folder, "up", *options) for options in ((), ("--detach",))]
    assert [one.returncode for one in said] == [WRONG_USE, WRONG_USE], [one.stderr for one in said]
    for one in said:
        assert "Traceback" not in one.stdout + one.stderr
    return said[0].stderr + said[1].stderr


@pytest.mark.parametrize("part", ["state", "cluster", "cloud", "boot"])
def test_a_state_of_a_newer_version_is_refused_and_left_as_it_is(folder: Path, part: str) -> None:
    with closing(State.open(folder)) as state:
        state.database.execute("INSERT OR REPLACE INTO part VALUES (?, 99)", (part,))
    told = refused(folder)
    assert f"part '{part}'" in told
    assert "newer keyless" in told


@pytest.mark.parametrize("name", ["kubernetes", "aws", "imds", "webhook", "agent", "kubelet", "authenticator"])
def test_a_port_that_somebody_took_is_named_with_its_holder(folder: Path, name: str) -> None:
    with closing(State.open(folder)) as state:
        number = state.port(name)
    with closing(socket.create_server(("127.0.0.1", number))):
        told = refused(folder)
    assert f"port {number} ({name})" in told
    assert f"process {os.getpid()} " in told
    with closing(State.open(folder)) as state:
        assert state.port(name) == number


def test_a_folder_that_others_may_read_is_refused_with_the_command_that_mends_it(folder: Path) -> None:
    folder.chmod(0o755)
    assert f"run: chmod 700 {folder}" in refused(folder)


def test_a_file_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "state"
    place.write_text(json.dumps({}))
    assert "expected a folder, found a file" in refused(place)


def test_what_helm_uninstalls_holds_no_control_plane_back(own_space: LocalSpace) -> None:
    """Uninstalled before its control planes, each can be deleted; installed again, the chart makes new ones."""
    clients = kubernetes_clients(GUIDES)
    assert clients is not None, "run `make tools`"

    def ran(*words: str) -> str:
        path = f"{clients}:/usr/bin:/bin"
        done = subprocess.run(
            words,
            env={**own_space.environ, "PATH": path, "HOME": str(own_space.folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    helm, chart = str(clients / "helm"), str(Path(__file__).resolve().parents[2] / "spaces-helm-chart")
    kubectl = str(clients / "kubectl")
    ran(helm, "uninstall", "spaces", "--namespace", "default")
    (plane,) = json.loads(ran(kubectl, "get", "controlplanes", "-n", "default", "-o", "json"))["items"]
    assert not plane["metadata"].get("finalizers")
    host = plane["status"]["hostNamespace"]
    kinds = "deployments,pods,roles,rolebindings,secrets"
    assert json.loads(ran(kubectl, "get", kinds, "-n", host, "-o", "json"))["items"] == []
    ran(helm, "upgrade", "--install", "spaces", chart, "--namespace", "default", "--wait")
    ran(kubectl, "wait", "controlplane", plane["metadata"]["name"], "--for=condition=Ready", "--timeout=60s")
    ran(kubectl, "rollout", "status", "deployment/external-secrets", "-n", host, "--timeout=60s")

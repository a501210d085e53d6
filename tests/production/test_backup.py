"""Backups of control planes of their own on a real Kubernetes, and a new one that begins as a snapshot."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guides.page import chosen
from guides.reader import Reader
from production import planes
from production.beside import PROVIDER, Beside
from production.following import clean, reader_of
from production.node import OneNode
from production.owning import CLAIM, Owned, set_values, told
from production.parts import said
from tests.tools import GUIDES

pytestmark = [pytest.mark.production, pytest.mark.timeout(900)]
PAGE, IRSA, POD_IDENTITY = (
    "backup-workload-identity.md",
    "IAM Roles for Service Accounts (IRSA)",
    "EKS Pod Identity",
)
BUCKET, ROLE, ACCOUNT = "own-snapshots", "own-backup", "111122223333"
ANNOTATIONS = "controlPlanes.backup.serviceAccount.customAnnotations"
POLICY = ("s3:PutObject", "s3:GetObject", "s3:DeleteObject", "s3:ListBucket", "s3:AbortMultipartUpload")


@pytest.fixture(scope="class")
def backed_up(space: OneNode, cloud: Beside, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owned]:
    """Control plane ``own3``, with a snapshot each minute by a role that its trust names."""
    cloud.bucket(BUCKET)
    clean(cloud)
    found = Owned(space, "own3", tmp_path_factory.mktemp("o"))
    _role(space, cloud, "own3-host", "own4-host")
    set_values(
        space,
        "backup.enabled=true",
        "backup.interval=1m",
        "backup.keep=3",
        f"backup.storage.aws.bucket={BUCKET}",
        "backup.storage.aws.region=us-west-2",
        rf"{ANNOTATIONS}.eks\.amazonaws\.com/role-arn=arn:aws:iam::{ACCOUNT}:role/{ROLE}",
    )
    found.create()
    yield found
    found.delete()
    set_values(space)


def _role(space: OneNode, cloud: Beside, *namespaces: str) -> None:
    subjects = [f"system:serviceaccount:{one}:backup" for one in namespaces]
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{PROVIDER}"},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {
                    "StringEquals": {f"{PROVIDER}:aud": "sts.amazonaws.com", f"{PROVIDER}:sub": subjects},
                },
            }
        ],
    }
    arns = [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": POLICY, "Resource": arns}]}
    cloud.aws("iam", "create-open-id-connect-provider", "--url", space.api.url,
              "--client-id-list", "sts.amazonaws.com")  # fmt: skip
    cloud.aws("iam", "create-role", "--role-name", ROLE, "--assume-role-policy-document", json.dumps(trust))
    cloud.aws(
        "iam", "put-role-policy", "--role-name", ROLE, "--policy-name", "p", "--policy-document", json.dumps(policy)
    )


def _status(space: OneNode, name: str) -> Any:
    return space.object("controlplane", name, "-n", "default")["status"]


class TestSnapshots:
    """A class, for its tests are run together: the guide's, which turn other values on, come before or after."""

    def test_a_snapshot_is_stored_by_the_role_and_the_next_one_by_the_clock(
        self, backed_up: Owned, cloud: Beside
    ) -> None:
        began = time.monotonic()
        backed_up.wait("BackedUp", "True")
        print(f"first snapshot {time.monotonic() - began:.1f} s after it was ready")
        space = backed_up.space
        (said_of_it,) = [one for one in _status(space, "own3")["conditions"] if one["type"] == "BackedUp"]
        assert f":assumed-role/{ROLE}/" in said_of_it["message"]
        first = _status(space, "own3")["backup"]["snapshot"]
        space.parts.wait("a second snapshot", lambda: _status(space, "own3")["backup"]["snapshot"] != first, 120)
        listed = cloud.aws("s3api", "list-objects-v2", "--bucket", BUCKET)["Contents"]
        assert {one["Key"].rpartition("/")[2] for one in listed} == {"snapshot.db", "encryption.json", "manifest.json"}
        print({one["Key"].rpartition("/")[2]: one["Size"] for one in listed})

    def test_nobody_else_is_let_in_by_etcd(self, backed_up: Owned) -> None:
        way = backed_up.space.object("secret", "control-plane-operator", "-n", backed_up.namespace)["data"]
        server = backed_up.space.object("secret", "control-plane-backup", "-n", backed_up.namespace)["data"]["server"]
        folder = backed_up.volume.parent
        for name, value in {**way, "server": server}.items():
            said("sh", "-c", f"printf %s '{value}' | base64 -d > {folder}/{name}")
        url = (folder / "server").read_text() + "/v3/maintenance/status"
        words = f"curl -sS --cacert {folder}/ca.crt --cert {folder}/tls.crt --key {folder}/tls.key -d '{{}}' {url}"
        assert "bad certificate" in said("sh", "-c", f"{words} 2>&1 || true")

    def test_a_new_control_plane_begins_as_a_snapshot_of_one_that_still_runs(
        self, space: OneNode, cloud: Beside, backed_up: Owned, tmp_path: Path
    ) -> None:
        backed_up.kubectl("create", "secret", "generic", "kept", "-n", "default", "--from-literal=word=xyzzy")
        backed_up.kubectl("create", "configmap", "kept", "-n", "default", "--from-literal=a=b")
        # Not the last one that is told: another may be under way that has neither.
        before = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        backed_up.wait("BackedUp", "True")
        space.parts.wait("a snapshot with both", lambda: _status(space, "own3")["backup"]["takenAt"] > before, 150)
        snapshot, old = _status(space, "own3")["backup"]["snapshot"], _status(space, "own3")["controlPlaneID"]
        uid = backed_up.kubectl("get", "secret", "kept", "-n", "default", "-o", "jsonpath={.metadata.uid}")
        token = backed_up.kubectl("create", "token", "default", "-n", "default")
        again = Owned(space, "own4", tmp_path, restore=snapshot)
        began = time.monotonic()
        again.create()
        print(f"restored and ready after {time.monotonic() - began:.1f} s")
        again.wait("Restored", "True")
        assert _status(space, "own4")["controlPlaneID"] != old
        held = json.loads(again.kubectl("get", "secret", "kept", "-n", "default", "-o", "json"))
        assert (held["data"], held["metadata"]["uid"]) == ({"word": "eHl6enk="}, uid)
        assert not again.answers("get", "ns", "--token", token)
        again.kubectl("create", "secret", "generic", "new", "-n", "default", "--from-literal=word=plugh")
        left = space.kubectl("get", "secret,pod,role", "-n", again.namespace, "-o", "name").split()
        assert not [one for one in left if one.endswith(("/restore", "/control-plane-restored"))], left
        again.delete()


@pytest.mark.parametrize("way", [IRSA, POD_IDENTITY], ids=["irsa", "pods"])
def test_the_backup_guide(
    space: OneNode, cloud: Beside, tmp_path: Path, way: str, request: pytest.FixtureRequest
) -> None:
    """Word for word, to the control plane that began as the snapshot."""
    short = request.node.callspec.id
    set_values(space)
    clean(cloud)
    for folder in ("o", "a"):
        (tmp_path / folder).mkdir()
    own, again = Owned(space, f"read-{short}", tmp_path / "o"), tmp_path / "a"
    try:
        own.create()
        again.chmod(0o777)
        space.volume(f"{own.namespace}-again", again, claim=(f"{own.namespace}-again", CLAIM), size="8Gi")
        follow(reader_of(tmp_path, GUIDES, space, planes.own(own), cloud, f"read-{short}"), own, way)
        (said_of_it,) = [one for one in _status(space, own.name)["conditions"] if one["type"] == "BackedUp"]
        assert f":assumed-role/read-{short}-backup/" in said_of_it["message"]
    finally:
        place = ("--ignore-not-found", "--timeout=120s")
        space.kubectl("delete", "controlplane", f"{own.name}-again", "-n", "default", *place)
        space.kubectl("delete", "persistentvolume", f"{own.namespace}-again", *place)
        own.delete()
        set_values(space)


def follow(reader: Reader, own: Owned, way: str) -> None:
    """The page; where it fails, with how both control planes stand."""
    name = reader.variable("YOUR_CONTROL_PLANE")
    reader.said(f"export YOUR_BACKUP_BUCKET={name}-snapshots YOUR_BACKUP_ROLE_NAME={name}-backup")
    try:
        reader.follow(
            chosen(PAGE, "Before you begin", way, "Verify your configuration", "Restore", without=("eksctl",))
        )
    except AssertionError as error:
        both = ((own.name, own.namespace), (f"{own.name}-again", f"{own.namespace}-again"))
        raise AssertionError("\n".join([str(error), *(told(own.space, *each) for each in both)])) from None

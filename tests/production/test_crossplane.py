"""A controller in Crossplane's shape beside a control plane of its own, by the page: renewed, metered, paused, gone.

One story, in order: what it made before the operator's death and before the pause must be there and be counted once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from guides.page import HOW_TO, Block, blocks
from guides.reader import Reader
from production.beside import Beside
from production.node import OneNode
from production.owning import Owned, set_values
from production.shaped import ACCOUNT, IMAGE, ROLE, VALUES, Shaped, image

pytestmark = [pytest.mark.production, pytest.mark.timeout(1200)]
PAGE = "run-crossplane-beside-it.md"
SECRET = ("secret", "kubeconfig-crossplane")
FINALIZER = "finalizer.managedresource.crossplane.io"


@pytest.fixture(scope="module")
def shaped(space: OneNode, cloud: Beside, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shaped]:
    """Control plane ``shop``, metered, with the kinds inside; nothing runs beside it yet."""
    space.load(image())
    found = Shaped(space, cloud, Owned(space, "shop", tmp_path_factory.mktemp("o")), tmp_path_factory.mktemp("s"))
    found.prepare()
    set_values(space, *VALUES)
    found.own.create()
    found.define()
    yield found
    found.own.delete()
    set_values(space)


@pytest.fixture(scope="module")
def reader(shaped: Shaped, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """An administrator of the host, at a shell."""
    made = Reader(tmp_path_factory.mktemp("r"))
    told = shaped.cloud.environ() | {
        "KUBECONFIG": str(shaped.space.api.kubeconfig),
        "AWS_PAGER": "",
        "CLUSTER": "keyless",
        "ROLE": f"arn:aws:iam::{ACCOUNT}:role/{ROLE}",
        "IMAGE": IMAGE,
    }
    made.said("\n".join(f"export {name}='{value}'" for name, value in told.items()))
    return made


def marked(*marks: str) -> list[Block]:
    return [one for one in blocks(PAGE, HOW_TO) if set(one.marks) & set(marks) or (not one.marks and "" in marks)]


def test_it_works_beside_a_control_plane_by_the_page_until_the_control_plane_goes(
    shaped: Shaped, reader: Reader
) -> None:
    _follows_the_page(shaped, reader)
    _takes_a_new_token_while_the_operator_is_killed(shaped)
    _goes_on_after_a_pause(shaped)
    _nothing_was_counted_twice(shaped)
    _is_taken_away(shaped, reader)


def _follows_the_page(shaped: Shaped, reader: Reader) -> None:
    reader.follow(marked("", "account", "aws"))
    shaped.claim("one", 3)
    reader.follow(marked("see"))
    assert "default-one-2" in reader.transcript[-1]
    assert '"secret":"kubeconfig-crossplane"' in reader.transcript[-1]
    assert {one["metadata"]["finalizers"][0] for one in shaped.buckets()} == {FINALIZER}
    assert _who(shaped) == {"keyless-system:crossplane"}
    # A role of AWS is its service account's on the host, like any pod's.
    environ = {one["name"] for one in shaped.pod()["spec"]["containers"][0]["env"]}
    assert "AWS_CONTAINER_CREDENTIALS_FULL_URI" in environ
    # What is not in the role that was named with it, it may not.
    can = ("auth", "can-i", "--as=system:serviceaccount:keyless-system:crossplane")
    assert shaped.own.answers(*can, "create", "buckets.s3.aws.upbound.io")
    assert not shaped.own.answers(*can, "get", "secrets")
    shaped.own.wait("BillingStored", "True", seconds=240)
    # An entry that is ours to be is refused, and the other holds.
    _name(shaped, "crossplane=crossplane,vector")
    shaped.space.parts.wait("the refusal", lambda: _condition(shaped, "Synced")["reason"] == "ControllerRefused")
    assert "'vector': expected a name that is none of the Space's own" in _condition(shaped, "Synced")["message"]
    shaped.space.kubectl("get", *SECRET, "-n", shaped.own.namespace)
    fix = _condition(shaped, "Synced")["message"].split("`")[1]
    reader.said(fix)
    shaped.own.wait("Synced", "True")


def _takes_a_new_token_while_the_operator_is_killed(shaped: Shaped) -> None:
    space, place = shaped.space, ("-n", shaped.own.namespace)
    before, pod = space.object(*SECRET, *place), shaped.pod()
    assert shaped.log()[0] == "token 1"
    # As if half of its life were over: the operator is killed as soon as it may begin, and another one goes on.
    now = datetime.now(UTC)
    stamps = {"issued": now - timedelta(minutes=40), "expires": now + timedelta(minutes=20)}
    told = [f"keyless.dev/token-{name}-at={at:%Y-%m-%dT%H:%M:%SZ}" for name, at in stamps.items()]
    space.kubectl("annotate", *SECRET, *place, "--overwrite", *told)
    _name(shaped, "crossplane=crossplane,other")
    space.kubectl("delete", "pods", "-n", "default", "-l", "app.kubernetes.io/name=spaces-operator",
                  "--grace-period=0", "--force")  # fmt: skip
    space.kubectl("wait", "secret/kubeconfig-other", *place, "--for=create", "--timeout=180s")
    space.parts.wait(
        "another token", lambda: space.object(*SECRET, *place)["data"]["token"] != before["data"]["token"], 180.0
    )
    # The kubelet brings the file within some two minutes, client-go reads it within one more.
    space.parts.wait("the controller to show it", lambda: "token 2" in shaped.log(), 300.0)
    shaped.claim("two", 1)
    after = shaped.pod()
    assert after["metadata"]["uid"] == pod["metadata"]["uid"]
    assert after["status"]["containerStatuses"][0]["restartCount"] == 0
    assert not [line for line in shaped.log() if "nauthorized" in line]
    _name(shaped, "crossplane=crossplane")
    space.kubectl("wait", "secret/kubeconfig-other", *place, "--for=delete", "--timeout=120s")
    assert "other" not in shaped.own.kubectl("get", "serviceaccounts", "-n", "keyless-system", "-o", "name")


def _goes_on_after_a_pause(shaped: Shaped) -> None:
    space = shaped.space
    _state(shaped, "Paused")
    space.parts.wait("the pause", lambda: bool(_status(shaped).get("pauses")), 240.0)
    assert "crossplane beside it: no API to reach" in _condition(shaped, "Ready")["message"]
    (before,) = {one["metadata"]["uid"] for one in [shaped.pod()]}
    stored = shaped.manifests()
    assert _condition(shaped, "BillingStored")["status"] == "True"
    # Nobody may say anything while nothing runs, for longer than is taken for a part of its edges.
    until = datetime.now(UTC) + timedelta(seconds=140)
    space.parts.wait("the pause to last", lambda: datetime.now(UTC) > until, 240.0)
    assert len(shaped.manifests()) == len(stored)
    _state(shaped, "Running")
    shaped.own.wait("Ready", "True", seconds=240)
    shaped.claim("three", 2)
    assert shaped.pod()["metadata"]["uid"] == before
    made = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}"
    space.parts.wait("all to be stored", lambda: shaped.manifests()[-1]["to"][:19] > made, 300.0)
    assert {one["metadata"]["name"] for one in shaped.buckets()} == {
        *(f"default-one-{number}" for number in range(3)), "default-two-0", "default-three-0", "default-three-1",
    }  # fmt: skip


def _nothing_was_counted_twice(shaped: Shaped) -> None:
    (pause,) = _status(shaped)["pauses"]
    began, ended = (datetime.fromisoformat(pause[at]) for at in ("from", "to"))
    manifests = shaped.manifests()
    # It is told as a pause, and nothing that it lacks overlaps it.
    (told,) = [one for one in manifests[-1]["census"] if one["name"] == "shop"]
    assert [(one["from"][:19], one["to"][:19]) for one in told["pauses"]] == [(pause["from"][:19], pause["to"][:19])]
    report = shaped.report("kind")
    _, verified = shaped.billing("verify")
    for told_of in (report, verified):
        assert told_of["faults"] == []
        lacks = [(gap["from"][:19], gap["to"][:19]) for gap in told_of["missing"] if gap["name"] == "shop"]
        # What is not stored yet, at the end, is no part of it.
        assert [one for one in lacks if one[0] < pause["to"][:19] and one[1] > pause["from"][:19]] == []
    (line,) = [one for one in report["lines"] if any("Bucket" in str(value) for value in one["values"])]
    assert line["made"] == 6
    # Resource-hours of each before and after the pause, and none of it.
    stored_from = datetime.fromisoformat(manifests[0]["from"])
    stored_to = datetime.fromisoformat(manifests[-1]["to"])
    most = 4 * (began - stored_from) + 6 * (stored_to - ended)
    least = 3 * timedelta(minutes=1) + 4 * timedelta(seconds=30)
    assert least < timedelta(hours=float(line["exactResourceHours"])) < most
    by_claim = {one["values"][0]: one["made"] for one in shaped.report("claim")["lines"]}
    assert sorted(by_claim.values()) == [1, 2, 3], by_claim


def _is_taken_away(shaped: Shaped, reader: Reader) -> None:
    for name in ("one", "two", "three"):
        shaped.unclaim(name)
    assert shaped.buckets() == []
    token = shaped.space.object(*SECRET, "-n", shaped.own.namespace)["data"]["token"]
    assert token
    reader.follow(marked("remove"))
    assert "crossplane" not in shaped.own.kubectl("get", "serviceaccounts", "-n", "keyless-system", "-o", "name")
    assert "controller:crossplane" not in shaped.own.kubectl("get", "clusterrolebindings", "-o", "name")
    assert not _status(shaped).get("controllers")


def _who(shaped: Shaped) -> set[str]:
    """Who wrote the buckets, by the audit record of the control plane's own API server."""
    said = shaped.space.kubectl("logs", "control-plane-0", "-c", "kube-apiserver", "-n", shaped.own.namespace)
    found = set()
    for line in said.splitlines():
        if '"resource":"buckets"' in line and '"verb":"create"' in line:
            event = json.loads(line)
            found.add(event["user"]["username"].removeprefix("system:serviceaccount:"))
    return found


def _name(shaped: Shaped, controllers: str) -> None:
    shaped.space.kubectl("annotate", "controlplane", "shop", "-n", "default", "--overwrite",
                         f"keyless.dev/controllers={controllers}")  # fmt: skip


def _state(shaped: Shaped, state: str) -> None:
    patch = json.dumps({"spec": {"crossplane": {"state": state}}})
    shaped.space.kubectl("patch", "controlplane", "shop", "-n", "default", "--type", "merge", "-p", patch)


def _status(shaped: Shaped) -> dict[str, Any]:
    return dict(shaped.space.object("controlplane", "shop", "-n", "default")["status"])


def _condition(shaped: Shaped, kind: str) -> dict[str, str]:
    found: list[dict[str, str]] = _status(shaped)["conditions"]
    return next((one for one in found if one["type"] == kind), {"reason": "", "message": "", "status": ""})

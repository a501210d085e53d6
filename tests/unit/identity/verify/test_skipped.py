"""When a pod asks the webhook to leave all of it out: by the label, or by naming every container that runs."""

from __future__ import annotations

from typing import Any

import pytest

from keyless.identity.verify.kube_facts import pod_of
from keyless.identity.verify.model import SKIP_CONTAINERS, SKIP_LABEL

SIDECAR = {"name": "kms-plugin", "restartPolicy": "Always"}


@pytest.mark.parametrize(
    ("containers", "before", "listed", "skipped"),
    [
        (["vector"], [], "vector", True),
        (["vector", "proxy"], [], " proxy , vector", True),
        (["vector", "proxy"], [], "proxy", False),
        (["vector"], [], "", False),
        (["vector"], [], None, False),
        (["etcd", "kube-apiserver"], [SIDECAR], "etcd,kube-apiserver", False),
        (["etcd", "kube-apiserver"], [SIDECAR], "etcd,kube-apiserver,kms-plugin", True),
        # It has ended when the others run.
        (["vector"], [{"name": "copy"}], "vector", True),
    ],
)
def test_a_pod_is_skipped_where_none_of_what_runs_in_it_is_left(
    containers: list[str], before: list[dict[str, str]], listed: str | None, skipped: bool
) -> None:
    assert pod_of(pod(containers, before, {} if listed is None else {SKIP_CONTAINERS: listed})).skipped is skipped


def test_the_label_skips_all_of_it() -> None:
    found = pod(["vector"], [], {})
    found["metadata"]["labels"] = {SKIP_LABEL: "true"}
    assert pod_of(found).skipped


def pod(containers: list[str], before: list[dict[str, str]], annotations: dict[str, str]) -> dict[str, Any]:
    spec = {"containers": [{"name": name} for name in containers], "initContainers": before}
    return {"metadata": {"name": "p", "annotations": annotations}, "spec": spec, "status": {}}

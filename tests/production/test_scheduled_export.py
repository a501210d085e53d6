"""The scheduled export on a real Kubernetes: a Job of the CronJob, as a role of its own, killed and run again."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from keyless.billing.export.plan import closed_month, period_of
from production.beside import KEYLESS, Beside
from production.images import ROOT
from production.node import OneNode
from production.parts import said
from tests.tools import GUIDES, kubernetes_clients
from unit.billing.bucket import MemoryBucket
from unit.billing.test_scheduled import used_in

pytestmark = [pytest.mark.production, pytest.mark.timeout(600)]
BUCKET, ROLE = "finance", "keyless-billing-export"
SETS = (
    *("account=acme", "billing.storage.provider=aws", f"billing.storage.aws.bucket={BUCKET}"),
    *("billing.storage.aws.region=us-west-2", "sharedSecrets.enabled=true", "billing.export.schedule=0 3 1 1 *"),
)


class Finance:
    """A Space whose months are exported, and who looks after it."""

    def __init__(self, space: OneNode, cloud: Beside) -> None:
        self.space, self.cloud = space, cloud
        clients = kubernetes_clients(GUIDES)
        assert clients is not None
        path = f"{KEYLESS.parent}:{clients}:{os.environ['PATH']}"
        self.environ = {**os.environ, **cloud.environ(), "KUBECONFIG": str(space.api.kubeconfig), "PATH": path}
        self.environ |= {"YOUR_CLUSTER_NAME": "keyless", "HOME": str(cloud.state)}

    def run(self, *words: str | Path) -> str:
        return said(*words, environ=self.environ)

    def verify(self) -> tuple[int, dict[str, str]]:
        """The code, and each link's state."""
        asked = [KEYLESS, "verify", "billing-export", "--output", "json"]
        done = subprocess.run(asked, env=self.environ, stdout=subprocess.PIPE, text=True, check=False)
        (chain,) = json.loads(done.stdout)["items"]
        return done.returncode, {link["name"]: link["state"] for link in chain["links"]}

    def start(self, name: str) -> None:
        self.space.kubectl("create", "job", "--from=cronjob/billing-export", name, "-n", "default")

    def ended(self, name: str, how: str = "Complete") -> str:
        """What the job has printed, once it has ended so."""
        self.space.kubectl("wait", f"--for=condition={how}", f"job/{name}", "-n", "default", "--timeout=180s")
        return self.space.kubectl("logs", f"job/{name}", "-n", "default", "--tail=-1")

    def reports(self) -> list[str]:
        listed = self.cloud.aws("s3api", "list-objects-v2", "--bucket", BUCKET, "--prefix", "report/")
        return [each["Key"] for each in (listed or {}).get("Contents", [])]

    def forget(self) -> None:
        """Delete every report: tests come in any order."""
        for key in self.reports():
            self.cloud.aws("s3api", "delete-object", "--bucket", BUCKET, "--key", key)


@pytest.fixture(scope="module")
def months() -> tuple[str, str]:
    last = closed_month(datetime.now(UTC))
    return closed_month(period_of(last, "")[0] + timedelta(hours=1)), last


@pytest.fixture(scope="module")
def finance(
    space: OneNode, cloud: Beside, months: tuple[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Finance:
    found, usage, folder = Finance(space, cloud), MemoryBucket(), tmp_path_factory.mktemp("usage")
    cloud.bucket(BUCKET)
    for month in months:
        used_in(usage, month)
    for number, (key, body) in enumerate(usage.objects.items()):
        (folder / str(number)).write_bytes(body)
        cloud.aws("s3api", "put-object", "--bucket", BUCKET, "--key", key, "--body", str(folder / str(number)))
    words = [word for one in SETS for word in ("--set", one)]
    found.run("helm", "upgrade", "spaces", ROOT / "spaces-helm-chart", *words, "--wait")
    # What the plan leaves to do in Kubernetes, as it prints it.
    then = folder / "then.sh"
    found.run(KEYLESS, "identity", "apply", "--yes", "--then", then)
    found.run("bash", "-ec", f"cd {ROOT}; . {then}")
    return found


def test_a_job_writes_each_closed_month_as_its_own_role_and_the_next_has_nothing_to_do(finance, months) -> None:
    finance.forget()
    finance.start("billing-export-first")
    printed = finance.ended("billing-export-first")
    assert "2 reports written, 0 refused" in printed
    assert finance.reports() == [f"report/account=acme/{month}.tgz" for month in months]
    finance.start("billing-export-second")
    assert "0 reports written, 0 refused" in finance.ended("billing-export-second")
    code, links = finance.verify()
    assert (code, set(links.values())) == (0, {"Held"})


def test_a_pod_that_is_killed_is_made_good_and_its_month_is_written_once(finance, months) -> None:
    finance.forget()
    finance.start("billing-export-killed")
    pods = ("-n", "default", "-l", "batch.kubernetes.io/job-name=billing-export-killed")
    finance.space.kubectl("wait", "--for=create", "pods", *pods, "--timeout=60s")
    finance.space.kubectl("delete", "pods", *pods, "--grace-period=0", "--force")
    finance.ended("billing-export-killed")
    assert finance.reports() == [f"report/account=acme/{month}.tgz" for month in months]


def test_a_right_that_lacks_is_named_by_verify_and_once_it_is_back_the_months_are_made_good(finance) -> None:
    aws = finance.cloud.aws
    finance.forget()
    named = ("--role-name", ROLE, "--policy-name", "keyless-billing-export")
    before = aws("iam", "get-role-policy", *named)["PolicyDocument"]
    less = {**before, "Statement": [one for one in before["Statement"] if "s3:PutObject" not in str(one)]}
    aws("iam", "put-role-policy", *named, "--policy-document", json.dumps(less))
    try:
        code, links = finance.verify()
        assert (code, links["permission"]) == (1, "Broken")
    finally:
        aws("iam", "put-role-policy", *named, "--policy-document", json.dumps(before))
    finance.start("billing-export-again")
    assert "2 reports written, 0 refused" in finance.ended("billing-export-again")

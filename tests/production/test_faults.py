"""Everything that befalls a Space in production: afterwards all converges, and no usage is missing.

``KEYLESS_RECORD=1`` writes ``docs/reference/production-faults.md``; with ``KEYLESS_FAULTS``, names with commas between
them (each up to its own comma), only those are done and their rows written.
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from e2e.usage import Stored
from production.attached import PORTS, Brought
from production.beside import KEYLESS, Beside
from production.binaries import built
from production.faults import FAULTS, Fault
from production.images import ROOT
from production.metered import ACCOUNT, BUCKET, BY_POD_IDENTITY, NAMES, Metered
from production.node import OneNode
from production.parts import said, succeeds

pytestmark = [pytest.mark.production, pytest.mark.timeout(3600)]
PAGE = ROOT / "docs" / "reference" / "production-faults.md"
# What no manifest tells of: lost.
UNACCOUNTED = {"NotCovered", "NoManifest"}
HEAD = """# What a Space does on a bad day in production

Each row was done to a real one-node Kubernetes 1.36 (`make production`, `tests/production/test_faults.py`): two
control planes, attached, metered onto a volume of 32 MB each (one by IRSA, one by Pod Identity; for the ten minutes
without AWS as yet both by IRSA), and one more resource in each of them while the fault lasts. *Settled* is how long
after the fault's end every condition, Deployment and pod was as it should be. *Gaps* are the stretches that the
manifests record as not counted, the longest in seconds; one of up to 45 s (three samples) hides nothing that the
samples before and after do not bound. At the end both control planes are deleted; the chain of manifests covers
everything from first to last, and the month's report knows nothing of theirs as missing that no manifest records.
`KEYLESS_RECORD=1` writes this page.

| fault | lasted (s) | settled after (s) | gaps | longest gap (s) |
|---|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One fault as it went; moments in seconds since the epoch."""

    fault: str
    began: float
    ended: float
    settled: float


@pytest.fixture
def metered(
    node: OneNode, space: OneNode, cloud: Beside, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Metered]:
    """Two more API servers that are brought, and usage of both stored."""
    folder = node.folder / "volumes"
    folder.mkdir()
    apis = tuple(Brought(tmp_path_factory.mktemp("m"), built(), node, port=port) for port in PORTS[2:])
    try:
        for api in apis:
            api.up()
        found = Metered(node, cloud, apis, folder)
        found.up()
        yield found
    finally:
        for api in apis:
            api.down()
        for name in NAMES:
            succeeds("umount", folder / name)


def test_after_every_fault_all_converges_and_no_usage_is_missing(metered: Metered, tmp_path: Path) -> None:
    metered.settled("the installation")
    assert ":assumed-role/faults/eks-keyless-vector-" in metered.stored_by(BY_POD_IDENTITY)
    rows, wrong = [], []
    for number, (name, fault) in enumerate(chosen().items()):
        began = ended = time.time()
        try:
            metered.change(number)
            fault(metered)
            ended = time.time()
            metered.settled(name)
        except AssertionError as error:  # the others are worth knowing, too
            wrong.append(f"{name}: {error}")
        rows.append(Row(name, began, ended, time.time()))
        print(
            f"{name}: {ended - began:.0f} s, settled after {rows[-1].settled - ended:.0f} s; {wrong[-1:]}", flush=True
        )
    for name in NAMES:
        metered.node.kubectl("delete", "controlplane", name, "-n", "default", "--timeout=240s")
    missing = exported(metered, tmp_path)
    found = chains(metered, tmp_path)
    gaps = [gap for one in found for gap in one.gaps]
    if os.environ.get("KEYLESS_RECORD"):
        PAGE.write_text(page(PAGE.read_text(), {row.fault: line(row, gaps) for row in rows}))
    assert not wrong, "\n".join(wrong)
    # The one that was half made had no role: that it stored nothing is told of it, and of no other.
    assert not [one for one in missing if one["name"] in NAMES and one["reason"] in UNACCOUNTED], missing
    assert len(found) == len(NAMES)
    for one in found:
        # An hour that is not over is no part of a report: the chain of manifests covers it.
        one.check_nothing_is_missing()


def chosen() -> dict[str, Fault]:
    """Every fault, or those that are named."""
    named = [one.strip() for one in os.environ.get("KEYLESS_FAULTS", "").split(",") if one.strip()]
    # Some names have a comma.
    return {name: fault for name, fault in FAULTS.items() if not named or name.split(",")[0] in named}


def page(before: str, rows: dict[str, str]) -> str:
    """The page with these rows in the place of what it said of the same faults; others stay."""
    known = {one.split("|")[1].strip(): f"{one}\n" for one in before.splitlines() if one.startswith("| ")}
    found = known | rows
    return HEAD + "".join(found[name] for name in FAULTS if name in found)


def exported(metered: Metered, folder: Path) -> list[dict[str, Any]]:
    """What the month's report says is missing; the month is not over, so it has to be forced."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), **metered.cloud.environ()}
    said(
        KEYLESS, "billing", "export", "--provider=aws", f"--bucket={BUCKET}", f"--account={ACCOUNT}",
        f"--billing-month={datetime.now(UTC):%Y-%m}", f"--out={folder / 'report.tgz'}", "--force-incomplete",
        environ=environ,
    )  # fmt: skip
    with tarfile.open(folder / "report.tgz") as report:
        if "report/completeness.json" not in report.getnames():
            return []
        member = report.extractfile("report/completeness.json")
        assert member is not None
        found: dict[str, Any] = json.load(member)
    assert not found["notCounted"], found["notCounted"]
    missing: list[dict[str, Any]] = found["missing"]
    return missing


def chains(metered: Metered, folder: Path) -> list[Stored]:
    """What the manifests of each control plane say, in the order they were recorded."""
    metered.cloud.aws("s3", "sync", f"s3://{BUCKET}/manifest/account={ACCOUNT}", str(folder / "manifest"), "--quiet")
    return [chain(folder / "manifest", namespace) for namespace in metered.namespaces.values()]


def chain(folder: Path, namespace: str) -> Stored:
    """Of one host namespace, which is in the names of its manifests."""
    bodies = [one.read_bytes() for one in folder.rglob("*") if one.is_file() and f"/{namespace}-" in str(one)]
    bodies.sort(key=lambda body: json.loads(body)["sequence"])
    return Stored([json.loads(one) for one in bodies], [hashlib.sha256(one).hexdigest() for one in bodies], [])


def line(row: Row, gaps: list[dict[str, Any]]) -> str:
    """A row of the page: the gaps that begin between the fault's begin and its end."""
    ends = [(gap, (moment(gap["from"]), moment(gap["to"]))) for gap in gaps]
    mine = [gap for gap, both in ends if any(row.began <= one <= row.settled for one in both)]
    longest = max((length(gap) for gap in mine), default=0.0)
    return (
        f"| {row.fault} | {row.ended - row.began:.0f} | {row.settled - row.ended:.0f} | {len(mine)} | {longest:.0f} |\n"
    )


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def length(gap: dict[str, Any]) -> float:
    return moment(gap["to"]) - moment(gap["from"])

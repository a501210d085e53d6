"""The export of a bucket, against a sequential reader of the peer's requests, on a stand-in and on moto."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.bench.load import busy, request_bytes
from tests.bench.ours import Place
from tests.bench.peers import moto_server
from tests.bench.row import Row
from tests.bench.static_s3 import bucket

PLANES = 10
MANY = 100
CONNECTIONS = 16


@dataclass(frozen=True, slots=True)
class Run:
    """One export: how long, on how much processor time, and its peak memory."""

    seconds: float
    cpu: float
    rows: int
    mebibytes: float


def bench() -> Iterator[Row]:
    """Two days and a month of ten control planes; as the peer's bucket, and as ours with manifests."""
    for days, delay in ((2, 0), (31, 0), (2, 20), (31, 20)):
        objects = days * 24 * PLANES
        with _stand_in(days, own=True, delay=delay) as url:
            if not delay:
                yield _ceiling(f"ceiling of the stand-in, {objects} objects", url, days)
            what = f"{objects} objects" + (f", {delay} ms a request" if delay else "")
            aim = 20 if delay else 5
            # With a delay the peer's month takes minutes that measure nothing but the delay: they are computed.
            peer = _waiting(_run("peer", url, 2), days / 2) if delay else _run("peer", url, days)
            yield _compared(f"{what}, as the peer reads", _run("compat", url, days), peer, aim)
            yield _compared(f"{what}, every hash held against its manifest", _run("ours", url, days), peer, aim)
            if days > 2:
                yield _verified(what, _run("verify", url, days), _run("read", url, days))
    yield from _month()
    yield from _on_moto()


def _month() -> Iterator[Row]:
    """A month of a hundred control planes with dimensions: a report, and a tenth of 75 million rows."""
    with _served("tests.bench.month", 31 * 24, MANY, 20) as url:
        run = _run("report", url, 31)
        held = run.seconds <= 60 and run.mebibytes <= 300
        yield Row("billing", f"report by team, {31 * 24 * MANY} objects", _said(run), "", "≤ 60 s, ≤ 300 MB", held)
        yield _verified(f"{31 * 24 * MANY} objects", _run("verify", url, 31), _run("read", url, 31))
    with _served("tests.bench.month", 31 * 24, MANY, MANY) as url:
        run = _run("ours", url, 31)
        what = f"export, {run.rows / 1e6:.1f} million rows"
        yield Row("billing", what, _said(run), "", "≤ 200 MB", run.mebibytes <= 200)


def _said(run: Run) -> str:
    return f"{run.seconds:.2f} s, {run.cpu:.2f} s CPU, {run.mebibytes:.0f} MiB"


def _on_moto() -> Iterator[Row]:
    with moto_server() as url:
        place = Place(url)
        s3 = place.aws("s3")
        s3.create_bucket(Bucket="bench", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
        for key, body in bucket(48, PLANES, own=True).items():
            s3.put_object(Bucket="bench", Key=key, Body=body, ContentType="application/gzip")
        yield _ceiling("ceiling of moto, 480 objects", url, 2, count=320)
        peer = _run("peer", url, 2)
        yield _compared("480 objects on moto, as the peer reads", _run("compat", url, 2), peer, None)
        yield _compared("480 objects on moto, every hash held against its manifest", _run("ours", url, 2), peer, None)


def _compared(what: str, ours: Run, peer: Run, aim: int | None) -> Row:
    assert ours.rows, "an export without rows measures nothing"
    times, share = peer.seconds / ours.seconds, ours.cpu / peer.cpu
    held = None if aim is None else times >= aim and share <= 1
    text = "" if aim is None else f"≥ {aim}×, no more CPU"
    mine = f"{ours.seconds:.2f} s, {ours.cpu:.2f} s CPU, {ours.mebibytes:.0f} MiB"
    theirs = f"one after another {peer.seconds:.2f} s, {peer.cpu:.2f} s CPU, {times:.1f}×"
    return Row("billing", f"export, {what}", mine, theirs, text, held)


def _verified(what: str, ours: Run, reading: Run) -> Row:
    assert ours.rows == reading.rows, "what is verified is all that is read"
    times = ours.seconds / reading.seconds
    mine = f"{ours.seconds:.2f} s, {ours.cpu:.2f} s CPU, {ours.mebibytes:.0f} MiB"
    theirs = f"reading alone {reading.seconds:.2f} s, {reading.cpu:.2f} s CPU, {reading.mebibytes:.0f} MiB"
    return Row("billing", f"verify, {what} and their manifests", mine, theirs, "≤ 2× as long", times <= 2)


def _waiting(run: Run, times: float) -> Run:
    return Run(run.seconds * times, run.cpu * times, round(run.rows * times), run.mebibytes)


def _ceiling(what: str, url: str, days: int, count: int = 8000) -> Row:
    place = Place(url)
    keys = list(bucket(days * 24, PLANES, own=False))[:480]
    asked = [place.signed("GET", f"/bench/{key.replace('=', '%3D')}") for key in keys]
    turns = itertools.cycle(asked or [request_bytes("GET", url, {})])
    rate = busy(url, lambda: next(turns), connections=CONNECTIONS, count=count).per_second
    return Row("billing", what, f"{rate:.0f}/s to a thin client", "", "", None)


def _run(which: str, url: str, days: int) -> Run:
    command = [sys.executable, "-m", "tests.bench.exporting", which, url, str(days)]
    return Run(**json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout))


@contextmanager
def _stand_in(days: int, *, own: bool, delay: int) -> Iterator[str]:
    with _served("tests.bench.static_s3", days * 24, PLANES, 1 if own else 0, delay) as url:
        yield url


@contextmanager
def _served(module: str, *numbers: int) -> Iterator[str]:
    command = [sys.executable, "-m", module, *map(str, numbers)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    assert process.stdout
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait()

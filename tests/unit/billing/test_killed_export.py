"""``kill -9`` of the command itself, wherever it is: the next run goes on and writes the same report."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from keyless.billing.export.plan import Request, period_of
from keyless.billing.export.service import export
from unit.billing.bucket import DAY, HOUR, full_day, s3_over_http

# What is being read, how many of it came before, and what was read whole by then.
PHASES = {"manifests": ("manifest/", 15, "no such thing"), "usage": ("account=", 20, "/usage/manifest")}
SECONDS = 120


class Gate(dict):
    """Objects, of which one is not given before it is let go."""

    def __init__(self, objects, prefix, before):
        super().__init__(objects)
        self.prefix, self.left = prefix, before
        self.reached, self.open = threading.Event(), threading.Event()
        self._lock = threading.Lock()

    def get(self, key, default=None):
        with self._lock:
            here = key.startswith(self.prefix)
            self.left -= here
            shut = here and self.left < 0
        if shut:
            self.reached.set()
            self.open.wait(SECONDS)
        return super().get(key, default)


def command(url, out):
    words = ["billing", "export", "--account=acme", "--bucket=usage", f"--endpoint={url}", f"--out={out}"]
    environ = {
        "PATH": os.environ["PATH"], "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1", "HOME": str(out.parent),
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-m", "keyless", *words, "--billing-custom=2026-10-31/2026-10-31"],
        env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("phase", PHASES)
def test_an_export_that_is_killed_goes_on_and_writes_the_same_bytes(tmp_path, phase):
    bucket, out = full_day(), tmp_path / "report.tgz"
    whole = export(bucket, Request("acme", period_of("", "2026-10-31/2026-10-31"), False), now=DAY + 90 * HOUR)
    prefix, before, whole_by_then = PHASES[phase]
    gate = bucket.objects = Gate(bucket.objects, prefix, before)
    with s3_over_http(bucket) as (url, requests):
        first = command(url, out)
        try:
            assert gate.reached.wait(SECONDS)
        finally:
            first.kill()
            first.communicate()
            gate.left = len(gate) * 2
            gate.open.set()
        assert not out.exists()
        asked = len(requests)
        second = command(url, out)
        said, _ = second.communicate(timeout=SECONDS)
    assert second.returncode == 0, said
    assert out.read_bytes() == b"".join(whole.archive)
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
    again = [line for line in requests[asked:] if "list-type" not in line]
    assert again
    assert phase == "manifests" or any(whole_by_then in line for line in requests[:asked])
    assert not [line for line in again if whole_by_then in line]

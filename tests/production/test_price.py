"""What control planes of the Space's own cost on the node: time, memory, processor. By hand: ``KEYLESS_PRICE=1``.

It measures and asserts nothing of how fast the machine is; ``docs/reference/control-planes.md`` has what was seen.
"""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Any

import pytest

from production.beside import Beside
from production.billed import STS, Billed
from production.node import NAME, OneNode
from production.owning import Owned, set_values

pytestmark = [
    pytest.mark.production,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not os.environ.get("KEYLESS_PRICE"), reason="a measurement, run by hand with KEYLESS_PRICE=1"),
]
AT_ONCE, OBJECTS, IDLE_SECONDS = 10, 1000, 30.0


def test_the_price_of_one_with_both_components_and_of_ten_at_once(
    space: OneNode, cloud: Beside, tmp_path: Path
) -> None:
    one = Owned(space, "price", tmp_path)
    one.create()
    print(f"one: ready after {one.seconds:.1f} s; load {os.getloadavg()[0]:.1f}", flush=True)
    for number in range(2):
        (tmp_path / f"again{number}").mkdir()
        again = Owned(space, f"again{number}", tmp_path / f"again{number}")
        again.create()
        print(f"one more: ready after {again.seconds:.1f} s; load {os.getloadavg()[0]:.1f}", flush=True)
        again.delete()
    billed = Billed(space, cloud, one.name, one.namespace)
    billed.start()
    billed.provider(STS)
    billed.trust(billed.irsa())
    billed.install()
    billed.told("True", "")
    told(one, "idle")
    items = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"c{number}", "namespace": "default"},
         "data": {"a": "b" * 1024}}
        for number in range(OBJECTS)
    ]  # fmt: skip
    path = tmp_path / "objects.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    one.kubectl("create", "-f", str(path))
    told(one, f"with {OBJECTS} objects")
    set_values(space)
    one.delete()
    ten(space, tmp_path)


def ten(space: OneNode, folder: Path) -> None:
    """All are asked for at once."""
    planes = []
    before = borne(space)
    for number in range(AT_ONCE):
        (folder / str(number)).mkdir()
        planes.append(Owned(space, f"price{number}", folder / str(number)))
    began = time.monotonic()
    for plane in planes:
        plane.begin()
    for plane in planes:
        plane.wait("Ready", "True", seconds=600)
        print(f"{plane.name} is seen ready {time.monotonic() - began:.0f} s after the first was asked for", flush=True)
    print(f"load {os.getloadavg()[0]:.1f}", flush=True)
    told(planes[0], f"one of {AT_ONCE}, idle")
    after = borne(space)
    for what in sorted(after):
        print(f"  the host bears, for each: {what}: {(after[what] - before.get(what, 0)) / AT_ONCE:.1f}", flush=True)
    for plane in planes:
        space.kubectl("delete", "controlplane", plane.name, "-n", "default", "--wait=false")
    for plane in planes:
        plane.delete()


def told(plane: Owned, what: str) -> None:
    """The kubelet's own numbers, over a while of rest."""
    time.sleep(IDLE_SECONDS)
    first = containers(plane)
    time.sleep(IDLE_SECONDS)
    every = 0.0
    for name, now in containers(plane).items():
        seconds = (_time(now) - _time(first[name])) or IDLE_SECONDS
        used = (now["cpu"]["usageCoreNanoSeconds"] - first[name]["cpu"]["usageCoreNanoSeconds"]) / 1e9 / seconds
        memory, anonymous = (now["memory"][one] / 2**20 for one in ("workingSetBytes", "rssBytes"))
        every += now["memory"]["workingSetBytes"]
        print(f"  {what}: {name}: {memory:.0f} MiB working set ({anonymous:.0f} anonymous), {used:.1%} of a core",
              flush=True)  # fmt: skip
    print(f"  {what}: all: {every / 2**20:.0f} MiB, {every / 1e6:.0f} MB", flush=True)
    size = sum(path.stat().st_blocks * 512 for path in plane.volume.rglob("*") if path.is_file()) / 2**20
    print(f"  {what}: volume: {size:.0f} MiB", flush=True)


def borne(space: OneNode) -> dict[str, float]:
    """What the host's API server tells of itself: objects that it stores, watches that are open."""
    found: dict[str, float] = {}
    for line in space.kubectl("get", "--raw", "/metrics").splitlines():
        name, _, rest = line.partition("{")
        what, value = rest.partition("}")[0], line.rpartition(" ")[2]
        kind = {"apiserver_resource_objects": "objects", "apiserver_longrunning_requests": "watches"}.get(name)
        resource = re.search(r'resource="([^"]*)"', what)
        if kind is None or resource is None or (kind == "watches" and 'verb="WATCH"' not in what):
            continue
        key = f"{kind}: {resource[1]}"
        found[key] = found.get(key, 0.0) + float(value)
    return found


def containers(plane: Owned) -> dict[str, dict[str, Any]]:
    """Of all pods of its host namespace."""
    found = json.loads(plane.space.kubectl("get", "--raw", f"/api/v1/nodes/{NAME}/proxy/stats/summary"))
    mine = [pod for pod in found["pods"] if pod["podRef"]["namespace"] == plane.namespace]
    return {one["name"]: one for pod in mine for one in pod["containers"]}


def _time(container: dict[str, Any]) -> float:
    stamp = container["cpu"]["time"]
    return time.mktime(time.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S"))

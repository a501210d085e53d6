"""Another authority for the real processes of a control plane: who reads what when, and nobody is left out."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from keyless.kube.resources import CONTROLPLANES
from keyless.space.control_planes.renewal import Terms
from keyless.space.kubernetes import issuing
from keyless.space.kubernetes.certificates import AUTHORITY_LIFE
from production.bare import Bare
from production.binaries import built
from unit.space.world import CTP1

pytestmark = [pytest.mark.production, pytest.mark.timeout(600)]
#: of an authority that was just made: another one is due at once, and comes as if ten years had passed
SOON = Terms(
    trusted_before=AUTHORITY_LIFE,
    restarted_before=AUTHORITY_LIFE - timedelta(seconds=70),
    signs_before=AUTHORITY_LIFE - timedelta(seconds=90),
    asked_spread=timedelta(seconds=5),
    asked_overlap=timedelta(seconds=5),
)
LATER = Terms()


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Bare]:
    """``terms`` may be changed while it runs."""
    found = Bare(tmp_path, built(), LATER)
    yield found
    found.down()


def _authorities(bare: Bare) -> list[str]:
    held = json.loads(bare.secret("control-plane-authority")["authorities"])
    return [each["certificate"] for each in held["authorities"]]


def test_who_believes_a_new_authority_when_and_who_forgets_the_old_one(bare: Bare) -> None:
    asyncio.run(_whole(bare))


async def _whole(bare: Bare) -> None:
    try:
        await _changed(bare)
    finally:
        await bare.tenants.aclose()


async def _changed(bare: Bare) -> None:
    await bare.up()
    await bare.until(lambda: bare.config_map("kube-root-ca.crt") != {}, 120)
    keys = bare.secret("control-plane-keys")
    old, starts = keys["ca.crt"], bare.starts
    bare.terms = SOON
    seconds = await bare.until(lambda: "when they start next" in bare.told(), 120, serves=True)
    print(f"kube-apiserver lets in whom the new one signed for after {seconds:.0f} s, and nothing was restarted")
    assert bare.config_map("kube-root-ca.crt")["ca.crt"].count("BEGIN") == 1, "read at the start alone"
    assert bare.starts == starts
    # Whoever fetched the connection now believes both, and is served by whichever signs.
    fetched = bare.secret("mine")["ca.crt"]
    assert fetched.count("BEGIN") == 2
    await bare.until(lambda: bare.starts > starts, 120, serves=True)
    print("restarted at the latest moment")
    await bare.until(lambda: "step 2" in bare.told(), 120)
    assert bare.config_map("kube-root-ca.crt")["ca.crt"].count("BEGIN") == 2
    seconds = await bare.until(lambda: "the old one is trusted until" in bare.told(), 120, serves=True)
    print(f"kube-apiserver and etcd show what the new one signed after {seconds:.0f} s")
    assert bare.starts == starts + 1
    new = _authorities(bare)[0]
    assert bare.answers(fetched)
    assert bare.answers(new)
    assert not bare.answers(old)
    user = issuing.for_operator(keys, datetime.now(UTC))
    assert bare.answers(certificate=(user.certificate, user.key)), "whom the old one signed for is let in"

    # It has leaked: what is left of it goes at once, and one of today's comes after it.
    bare.terms = Terms(asked_spread=SOON.asked_spread, asked_overlap=SOON.asked_overlap)
    note = {"metadata": {"annotations": {"keyless.dev/rotate-authority": "leaked"}}}
    await bare.host.patch(CONTROLPLANES, CTP1.name, note, CTP1.namespace)
    began = time.monotonic()
    await bare.until(lambda: "step 3" in bare.told(), 120)
    await bare.until(lambda: bare.told().startswith("AuthorityInUse") and _authorities(bare)[0] != new, 400)
    print(f"two authorities were given up in {time.monotonic() - began:.0f} s, with {bare.starts} starts in all")
    assert not bare.answers(certificate=(user.certificate, user.key))
    (newest,) = _authorities(bare)
    assert bare.answers(newest)
    assert bare.config_map("kube-root-ca.crt")["ca.crt"].strip() == newest.strip()
    await bare.until(lambda: bare.config_map("extension-apiserver-authentication") != {}, 90)
    assert bare.config_map("extension-apiserver-authentication")["client-ca-file"].strip() == newest.strip()

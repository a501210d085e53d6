"""Real helm, from a chart that makes the webhook's certificate itself, to this one, back and forth again.

Whoever serves while a release rolls is trusted: the registration's ``caBundle`` is what helm and the webhook leave it.
"""

from __future__ import annotations

import base64
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from conformance.helm.test_release import Space, space
from keyless.identity.certificates.keeper import Keeper, Place
from keyless.identity.certificates.plan import SERVED_AFTER
from keyless.kube import Kube
from keyless.kube.connect import connect_with
from keyless.kube.resources import MUTATINGWEBHOOKCONFIGURATIONS

__all__ = ["space"]
ROOT = Path(__file__).resolve().parents[3]
PLACE = Place("default", "pod-identity-webhook-certificate", "pod-identity-webhook", "pod-identity-webhook")
BEGIN = "-----BEGIN CERTIFICATE-----"
ON = ("--set", "webhook.enabled=true")
KEPT = '{{- range (lookup "admissionregistration.k8s.io/v1" "MutatingWebhookConfiguration"'
MADE = """
{{- $kept := (lookup "v1" "Secret" .Release.Namespace "pod-identity-webhook-tls").data | default dict }}
{{- if not (index $kept "ca.crt") }}
{{- $ca := genCA "pod-identity-webhook" 3650 }}
{{- $kept = dict "ca.crt" ($ca.Cert | b64enc) }}
{{- end }}
{{- $authority = index $kept "ca.crt" }}
---
apiVersion: v1
kind: Secret
metadata:
  name: pod-identity-webhook-tls
data:
  ca.crt: {{ index $kept "ca.crt" }}
"""


class Rolled:
    """The Space, its registration, and the webhook's replicas of the newer chart."""

    def __init__(self, space: Space, kube: Kube, folder: Path) -> None:
        self.space, self.kube, self.folder, self.now = space, kube, folder, datetime.now(UTC)

    async def upgrade(self, chart: str | Path, *flags: str) -> list[str]:
        await self.space.helm("upgrade", "spaces", str(chart), *ON, *flags)
        return await self.trusted()

    async def trusted(self) -> list[str]:
        """The authorities by which the API server knows the webhook."""
        found = await self.kube.get(MUTATINGWEBHOOKCONFIGURATIONS, PLACE.configuration)
        (hook,) = found["webhooks"]
        text = base64.b64decode(hook["clientConfig"].get("caBundle", "")).decode()
        return [f"{BEGIN}{each}".strip() for each in text.split(BEGIN) if each.strip()]

    async def settle(self) -> list[str]:
        """A pod of the newer chart looks after its certificate."""
        await Keeper(self.kube, PLACE, self.folder, now=lambda: self.now).settle()
        return await self.trusted()


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """This chart, with the certificate as charts before made it."""
    made = tmp_path / "earlier"
    shutil.copytree(ROOT / "spaces-helm-chart", made)
    template = made / "templates/eks.yaml"
    before, kept, after = template.read_text().partition(KEPT)
    assert kept
    template.write_text(f"{before}{MADE.strip()}{after.partition('{{- end }}')[2]}")
    return made


async def test_who_serves_while_a_release_rolls_forth_back_and_forth_is_trusted(
    space: Space, earlier: Path, tmp_path: Path
) -> None:
    async with connect_with(space.server, space.ca_file.read_text(), "the-admin-token") as kube:
        await roll(Rolled(space, kube, tmp_path / "served"), earlier)


async def roll(rolled: Rolled, earlier: Path) -> None:
    # As helm 4 installs; the release that is carried was made as helm 3 does. Later upgrades go on in the same way.
    applied = rolled.space.run.layer == "helm 4"
    (old,) = await rolled.upgrade(earlier, *(("--server-side=true", "--force-conflicts") if applied else ()))
    assert await rolled.upgrade(ROOT / "spaces-helm-chart") == [old], "helm takes nothing away before a new pod serves"

    new, *others = await rolled.settle()
    assert others == [old], "old pods and new ones"
    assert await rolled.upgrade(ROOT / "spaces-helm-chart", "--set", "account=acme") == [new, old]
    rolled.now += 2 * SERVED_AFTER
    assert await rolled.settle() == [new], "old pods are gone"

    if applied:
        # What the webhook wrote is not helm's to take back, unless it is told so.
        with pytest.raises(AssertionError, match=r'conflict with \\"pod-identity-webhook\\".*caBundle'):
            await rolled.space.helm("rollback", "spaces", "2")
        assert await rolled.trusted() == [new]
    await rolled.space.helm("rollback", "spaces", "2", *(["--force-conflicts"] if applied else []))
    assert old in await rolled.trusted(), "the older chart's pods serve by what it made"
    assert old in await rolled.upgrade(ROOT / "spaces-helm-chart")
    assert await rolled.settle() == [new, old]

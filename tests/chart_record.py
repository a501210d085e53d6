"""Render the chart with real helm and carry the result as data: ``make chart-record``.

``keyless up`` leaves a Helm release that nobody installed (``keyless.local.boot.release``). Helm 4 writes it down
without a server; helm 3 must render the same manifest, or the release would change under the first ``helm upgrade``.
What only tells when and by which helm the record was made is left out, so that the same chart gives the same bytes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests import tools

ROOT = Path(__file__).resolve().parent.parent
CHART = ROOT / "spaces-helm-chart"
RECORD = ROOT / "src/keyless/local/boot/release/release.json"


def helm(folder: Path, *arguments: str) -> str:
    """The output of one helm call that must succeed, away from the user's own configuration."""
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            [folder / "helm", *arguments], env={"HOME": home, "PATH": ""}, cwd=ROOT, capture_output=True, text=True
        )
    if done.returncode:
        raise SystemExit(f"keyless: helm {' '.join(arguments)} failed: {done.stderr.strip()}")
    return done.stdout


def record(folder: Path) -> dict[str, Any]:
    """The release as helm 4 writes it down, without times and without what helm 3 does not know."""
    text = helm(folder, "install", "spaces", CHART.name, "--namespace", "default", "--dry-run=client", "-o", "json")
    release: dict[str, Any] = json.loads(text)
    notes = release["info"]["notes"]
    release["info"] = {"description": "Install complete", "status": "deployed", "notes": notes}
    # Absent, helm 4 takes the release for one that was applied by the client, as helm 3 does.
    release.pop("apply_method", None)
    for name in ("modtime", "schemamodtime"):
        release["chart"].pop(name, None)
    for entry in release["chart"]["templates"] + release["chart"]["files"]:
        entry.pop("modtime", None)
    release.setdefault("config", {})
    return release


def main() -> int:
    """Write the record; 1 where the clients are missing or the two helms disagree."""
    three, four = tools.kubernetes_clients(tools.GUIDES), tools.kubernetes_clients(tools.SECOND)
    if three is None or four is None:
        print("keyless: helm 3 and helm 4 are needed: run `make tools`", file=sys.stderr)
        return 1
    release = record(four)
    by_helm_3 = helm(three, "template", "spaces", CHART.name, "--namespace", "default", "--no-hooks")
    if by_helm_3.strip() != release["manifest"].strip():
        print("keyless: helm 3 and helm 4 render different manifests; nothing was written", file=sys.stderr)
        return 1
    RECORD.write_text(json.dumps(release, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

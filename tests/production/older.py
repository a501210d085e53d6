"""A release from before: chart and components as they were at a commit, with the libraries of today's image."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from image.build import ROOT, WORK, buildah

#: installed on a real Kubernetes for the first time: no lease, no narrow credentials, no hook before an uninstall
COMMIT = "63a30c41d75492128dfa865f8a47457f439afcc0"
TAG = "0.0.1"
NAME = f"localhost/keyless/keyless:{TAG}"
_CONTAINERFILE = """FROM localhost/keyless/keyless:0.1.0
COPY src /older
ENV PYTHONPATH=/older:/keyless/lib
"""


def sources() -> Path:
    """The folder with the commit's ``spaces-helm-chart`` and ``src``. Raises where the history does not reach there."""
    folder = WORK / f"older-{COMMIT[:12]}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    archive = folder / "older.tar"
    asked = ("git", "archive", "--output", str(archive), COMMIT, "spaces-helm-chart", "src")
    subprocess.run(asked, cwd=ROOT, check=True)
    subprocess.run(("tar", "-xf", str(archive), "-C", str(folder)), check=True)
    return folder


def older_image(folder: Path) -> Path:
    """The archive of the release's image."""
    (folder / "Containerfile").write_text(_CONTAINERFILE)
    told = ("--quiet", "--isolation", "chroot", "--tag", NAME, "--file", str(folder / "Containerfile"))
    buildah("bud", *told, str(folder))
    archive = folder / "keyless.tar"
    buildah("push", "--quiet", NAME, f"oci-archive:{archive}:{NAME}")
    return archive

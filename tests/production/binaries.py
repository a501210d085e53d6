"""The parts of a real Kubernetes, built from their Go modules once for each lock and kept under ``.tools``.

``KEYLESS_KUBERNETES_BIN`` names a folder of parts that were built before (by the same lock): they are taken over
instead of half an hour's building on two cores.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.tools import FOLDER

MODULE = Path(__file__).resolve().parent / "kubernetes"
VERSION = "v1.36.3"
_COMMANDS = ("kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubelet")
PACKAGES = {name: f"k8s.io/kubernetes/cmd/{name}" for name in _COMMANDS} | {
    "etcd": "go.etcd.io/etcd/server/v3",
    "etcdutl": "go.etcd.io/etcd/etcdutl/v3",
}
GIVEN = "KEYLESS_KUBERNETES_BIN"


def folder() -> Path:
    """Where the parts of this lock lie."""
    lock = b"".join((MODULE / name).read_bytes() for name in ("go.mod", "go.sum"))
    return FOLDER / f"kubernetes-{hashlib.sha256(lock).hexdigest()[:12]}"


def built() -> Path:
    """The folder with every part; what is missing is built first. Raises ``CalledProcessError`` or ``OSError``."""
    made = folder()
    if (made / ".complete").exists():
        return made
    for old in FOLDER.glob("kubernetes-*"):
        if old != made:
            shutil.rmtree(old)
    made.mkdir(parents=True, exist_ok=True)
    for name, package in PACKAGES.items():
        # Parts that an interrupted build has finished are kept: each takes minutes.
        if not (made / name).exists():
            _make(name, package, made / name)
    (made / ".complete").touch()
    return made


def _make(name: str, package: str, path: Path) -> None:
    partial = path.with_suffix(".partial")
    if given := os.environ.get(GIVEN):
        shutil.copy2(Path(given) / name, partial)
    else:
        print(f"keyless: building {name}; all parts take about half an hour, once", file=sys.stderr)
        subprocess.run(
            [
                "go",
                "build",
                "-mod=readonly",
                "-buildvcs=false",
                "-trimpath",
                f"-ldflags={_flags()}",
                "-o",
                partial,
                package,
            ],
            cwd=MODULE,
            env={**os.environ, "CGO_ENABLED": "0"},
            check=True,
        )
    partial.rename(path)


def _flags() -> str:
    """Without a version of its own kube-apiserver calls itself v0.0.0, and kubectl and helm believe it."""
    major, minor, _ = VERSION.removeprefix("v").split(".")
    at = "k8s.io/component-base/version"
    stamps = {"gitVersion": VERSION, "gitMajor": major, "gitMinor": minor}
    return " ".join(["-s -w", *(f"-X {at}.{name}={value}" for name, value in stamps.items())])


if __name__ == "__main__":
    print(built())

"""Upstream's images of kube-apiserver, kube-controller-manager and etcd, made of the node's own binaries."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml
from image.build import ROOT, WORK, buildah

_VALUES = ROOT / "spaces-helm-chart" / "values.yaml"
_BINARIES = {"apiServer": "kube-apiserver", "controllerManager": "kube-controller-manager", "etcd": "etcd"}


def names() -> dict[str, str]:
    """Which image the chart names for each binary."""
    images = yaml.safe_load(_VALUES.read_text())["controlPlanes"]["kubernetes"]["images"]
    return {_BINARIES[key]: name for key, name in images.items()}


def upstream(binaries: Path) -> tuple[Path, ...]:
    """An archive for each, under the name that the chart pulls it by; made once for each build of the binaries."""
    return tuple(_archive(binaries / binary, name) for binary, name in names().items())


def _archive(binary: Path, name: str) -> Path:
    folder = WORK / "upstream" / binary.parent.name
    archive = folder / f"{binary.name}.tar"
    if not archive.exists():
        context = folder / binary.name
        context.mkdir(parents=True, exist_ok=True)
        # As in upstream's: on the path, no shell, and etcd with its tools.
        held = [binary, *([binary.with_name("etcdutl")] if binary.name == "etcd" else [])]
        for each in held:
            shutil.copy2(each, context / each.name)
        copies = [f"COPY {each.name} /usr/local/bin/{each.name}" for each in held]
        lines = ("FROM scratch", *copies, "ENV PATH=/usr/local/bin")
        (context / "Containerfile").write_text("\n".join(lines) + "\n")
        told = ("--quiet", "--isolation", "chroot", "--tag", name, "--file", str(context / "Containerfile"))
        buildah("bud", *told, str(context))
        partial = folder / f"{binary.name}.partial"
        partial.unlink(missing_ok=True)
        buildah("push", "--quiet", name, f"oci-archive:{partial}:{name}")
        partial.rename(archive)
        shutil.rmtree(context)
    return archive

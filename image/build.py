"""Build the images with buildah: no daemon, no registry, the same bytes each time.

    python -m image.build [--base IMAGE --build-base IMAGE] [--arch arm64] [--out dist]

Without ``--base`` the bases are made from Debian's packages (mmdebstrap): one that builds, and one that holds Python,
its libraries and certificates and nothing else, no shell either. Writes OCI archives, ``dist/keyless.tar`` (a Space's
components) and ``dist/keyless-cloud.tar`` (the local AWS for a cluster that runs already), and prints their digests and
sizes. Needs buildah; for bases of its own mmdebstrap and root.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tomllib
from functools import cache
from pathlib import Path

from image.emulated import tried
from image.leftovers import alone_in, run

TARGETS = ("keyless", "keyless-cloud")
# Of an image for another machine nothing is run while it is built; uv names what Debian names on the left.
PLATFORMS = {"amd64": "x86_64-manylinux_2_36", "arm64": "aarch64-manylinux_2_36"}
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / ".tools" / "image"
SUITE = "bookworm"
# What Python's own modules, certificates and re2 (C++) need; their dependencies come along.
RUN_PACKAGES = (
    "base-files,netbase,tzdata,ca-certificates,python3-minimal,python3-distutils,libpython3-stdlib,python3,libstdc++6"
)
BUILD_PACKAGES = "ca-certificates,python3,python3-venv"
CERTIFICATES = Path("/etc/ssl/certs")


@cache
def storage() -> list[str]:
    """Flags of a storage of the project's own: vfs works everywhere and copies every layer, overlay copies none."""
    for driver in ("overlay", "vfs"):
        at = WORK / driver
        flags = ["--storage-driver", driver, "--root", str(at / "storage"), "--runroot", str(at / "run")]
        if driver == "vfs" or _works(flags):
            break
    return flags


def _works(flags: list[str]) -> bool:
    made = subprocess.run(["buildah", *flags, "from", "scratch"], capture_output=True, text=True, check=False)  # noqa: S603, S607 - the project's own tool
    if made.returncode:
        return False
    name = made.stdout.strip()
    mounted = subprocess.run(["buildah", *flags, "mount", name], capture_output=True, check=False)  # noqa: S603, S607 - as above
    subprocess.run(["buildah", *flags, "rm", name], capture_output=True, check=False)  # noqa: S603, S607 - as above
    return mounted.returncode == 0


def buildah(*words: str) -> str:
    """Run buildah with a storage of the project's own; returns what it said."""
    return run(["buildah", *storage(), *words], cwd=ROOT)


def moment() -> str:
    """The time that every file of the image bears: that of the last commit."""
    asked = ["git", "log", "-1", "--format=%ct"]
    return subprocess.run(asked, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()  # noqa: S603 - as above


def debian(name: str, variant: str, packages: str, epoch: str, arch: str = "") -> str:
    """Make a base from Debian's packages, once for each list of them; returns the image's name."""
    digest = hashlib.sha256(f"{variant} {packages} {SUITE}{arch}".encode()).hexdigest()[:12]
    image, archive = f"localhost/{name}:{digest}", WORK / f"{name}-{digest}.tar"
    if not archive.exists():
        WORK.mkdir(parents=True, exist_ok=True)
        partial = archive.with_suffix(".partial.tar")
        made = [
            "mmdebstrap",
            "--quiet",
            f"--variant={variant}",
            f"--include={packages}",
            *_foreign(arch, "--architectures"),
        ]
        run([*made, SUITE, str(partial)], cwd=ROOT, env={**os.environ, "SOURCE_DATE_EPOCH": epoch})
        partial.rename(archive)
    containerfile = WORK / f"Containerfile.{name}"
    containerfile.write_text(f"FROM scratch\nADD {archive.name} /\n")
    buildah(
        "bud", "--quiet", *_foreign(arch, "--arch"), "--timestamp", epoch, "--tag", image,
        "--file", str(containerfile), str(WORK),
    )  # fmt: skip
    return image


def _foreign(arch: str, flag: str) -> list[str]:
    return [f"{flag}={arch}"] if arch else []


def build(target: str, bases: tuple[str, str], epoch: str, version: str, arch: str = "") -> str:
    """Build one image of the Containerfile, on the base that runs and the one that builds; returns its name."""
    base, build_base = bases
    image = f"localhost/keyless/{target}:{version}{f'-{arch}' if arch else ''}"
    told = [f"BASE={base}", f"BUILD_BASE={build_base}", f"PROOF_BASE={build_base if arch else base}"]
    told += [f"PYTHON_PLATFORM={PLATFORMS[arch]}"] if arch else []
    labels = [
        f"--label=org.opencontainers.image.version={version}",
        f"--label=org.opencontainers.image.base.name={base}",
    ]
    buildah(
        "bud", "--quiet", "--isolation", "chroot", "--timestamp", epoch, "--target", target, "--tag", image,
        # The build asks PyPI: the machine's own certificates decide whom it believes.
        "--volume", f"{CERTIFICATES}:{CERTIFICATES}:ro",
        *(word for one in told for word in ("--build-arg", one)),
        *labels, "--file", "Containerfile", ".",
    )  # fmt: skip
    return image


def packed(archive: Path) -> tuple[str, int]:
    """Return the digest of the image's manifest and the bytes of its layers, as a registry would store them."""
    with tarfile.open(archive) as tar:

        def blob(digest: str) -> dict[str, object]:
            member = tar.extractfile("blobs/" + digest.replace(":", "/"))
            assert member is not None
            found: dict[str, object] = json.load(member)
            return found

        member = tar.extractfile("index.json")
        assert member is not None
        digest = json.load(member)["manifests"][0]["digest"]
        layers = blob(digest)["layers"]
        assert isinstance(layers, list)
        return digest, sum(layer["size"] for layer in layers)


def main(arguments: list[str]) -> int:
    """Build, write the archive, say what it is."""
    parser = argparse.ArgumentParser(prog="make image", description=__doc__)
    parser.add_argument("--base", default="", help="the image that runs; by default one is made from Debian's packages")
    parser.add_argument("--build-base", default="", help="the image that builds, with the same Python")
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument(
        "--arch", choices=PLATFORMS, default="", help="for machines of this kind; by default this one's"
    )
    asked = parser.parse_args(arguments)
    arch = "" if asked.arch == MACHINES.get(platform.machine()) else asked.arch
    if bool(asked.base) != bool(asked.build_base):
        parser.error("give --base and --build-base together: both need the same Python")
    missing = [tool for tool in ("buildah", *(() if asked.base else ("mmdebstrap",))) if shutil.which(tool) is None]
    if missing:
        print(
            f"keyless: {' and '.join(missing)} not found: install with `apt-get install {' '.join(missing)}`, or build "
            "with `docker build --target keyless .`",
            file=sys.stderr,
        )
        return 2
    with alone_in(WORK):
        _build_all(asked, arch)
    return 0


def _build_all(asked: argparse.Namespace, arch: str) -> None:
    epoch = moment()
    base = asked.base or debian("keyless-base", "extract", RUN_PACKAGES, epoch, arch)
    build_base = asked.build_base or debian("keyless-build", "minbase", BUILD_PACKAGES, epoch)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    asked.out.mkdir(parents=True, exist_ok=True)
    for target in TARGETS:
        image = build(target, (base, build_base), epoch, version, arch)
        archive = asked.out / f"{target}{f'-{arch}' if arch else ''}.tar"
        archive.unlink(missing_ok=True)
        buildah("push", "--quiet", image, f"oci-archive:{archive}:{image}")
        digest, size = packed(archive)
        print(f"{image}\n  digest {digest}\n  {size / 1e6:.1f} MB packed, in {archive}")
        if arch:
            print(f"  {tried(image, arch, buildah)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

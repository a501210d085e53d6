"""Make an installed tree small and the same each time: what runs stays, and compiled without a trace of the clock.

    python3 image/trim.py [--cloud] [--machine aarch64] /keyless SBOM.json

Run inside the build of the image, by the Python that will run it, or by one like it where that is of another machine.
"""

from __future__ import annotations

import argparse
import compileall
import csv
import json
import py_compile
import shutil
import sys
import uuid
from pathlib import Path
from typing import Any

# The services that components call; the others are 26 of botocore's 31 MB.
SERVICES = ("eks", "eks-auth", "iam", "kms", "s3", "secretsmanager", "ssm", "sts")
# Those that the local AWS serves besides.
CLOUD_SERVICES = ("cloudformation", "iam-toolbox")
# As the ELF header numbers them.
MACHINES = {"x86_64": 62, "aarch64": 183}


def trim(root: Path, *, cloud: bool = False) -> None:
    """Trim ``root/lib``: no local Space (but for the cloud's image), no services that nobody calls, no tests."""
    lib = root / "lib"
    if not cloud:
        shutil.rmtree(lib / "keyless" / "local")
    kept = (*SERVICES, *CLOUD_SERVICES) if cloud else SERVICES
    for service in (lib / "botocore" / "data").iterdir():
        if service.is_dir() and service.name not in kept:
            shutil.rmtree(service)
    for pattern in ("**/__pycache__", "**/tests", "**/test", "**/*.pyi", "*.dist-info/uv_cache.json", "bin"):
        for found in list(lib.glob(pattern)):
            if found.is_dir():
                shutil.rmtree(found)
            else:
                found.unlink()
    for record in lib.glob("*.dist-info/RECORD"):
        # What is gone is struck out, and with it the hash of a file that held the moment of its installation.
        lines = record.read_text(encoding="utf-8").splitlines(keepends=True)
        record.write_text("".join(line for line in lines if _is_there(lib, line)), encoding="utf-8")
    # A pyc with the source's time in it would differ from build to build, and be wrong where times are set to zero.
    compiled = compileall.compile_dir(lib, quiet=1, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    if not compiled:
        sys.exit("trim: some module does not compile")


def check_machine(lib: Path, machine: str) -> None:
    """Exit where a library is of another machine (empty: this one): a component would end at its first import."""
    wanted = MACHINES[machine] if machine else _machine_of(Path(sys.executable).resolve())
    others = [one.name for one in sorted(lib.rglob("*.so*")) if _machine_of(one) != wanted]
    if others:
        sys.exit(f"trim: expected libraries of {machine or 'this machine'}, found others: {', '.join(others)}")


def _machine_of(program: Path) -> int:
    return int.from_bytes(program.read_bytes()[18:20], sys.byteorder)


def _is_there(lib: Path, line: str) -> bool:
    name = next(csv.reader([line]))[0]
    return (lib / name).exists()


def settled(bill: dict[str, Any]) -> bytes:
    """Return the bill of materials without the moment of its making, numbered by what it says."""
    bill["metadata"].pop("timestamp", None)
    bill.pop("serialNumber", None)
    text = json.dumps(bill, indent=1, sort_keys=True)
    bill["serialNumber"] = uuid.uuid5(uuid.NAMESPACE_URL, text).urn
    return json.dumps(bill, indent=1, sort_keys=True).encode()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cloud", action="store_true")
    parser.add_argument("--machine", default="", help="as the kernel names it; empty: this one")
    parser.add_argument("tree", type=Path)
    parser.add_argument("bill_of_materials", type=Path)
    asked = parser.parse_args()
    check_machine(asked.tree / "lib", asked.machine)
    trim(asked.tree, cloud=asked.cloud)
    (asked.tree / "sbom.cdx.json").write_bytes(settled(json.loads(asked.bill_of_materials.read_text())))

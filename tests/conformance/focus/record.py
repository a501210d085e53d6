"""Ask FinOps' own validator anew, and record which of its rules fail: ``make oracle-focus``.

It has pins that clash with ours, so it lives in a folder of its own. Its list of currencies, which it looks for in the
folder that it is started in, is the one that its package carries: nothing is fetched.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tempfile
from importlib.metadata import distributions
from pathlib import Path

from conformance.focus.samples import samples

RECORDED = Path(__file__).parent / "recorded.json"
_FAILED = re.compile(r"^(\w[\w.]*) failed:", re.MULTILINE)


def main(validator: Path) -> None:
    """``validator``: its virtual environment."""
    (packages,) = (validator / "lib").glob("python*/site-packages")
    (version,) = (
        d.version
        for d in distributions(path=[str(packages)])
        if d.metadata["Name"].replace("_", "-") == "focus-validator"
    )
    answers = {name: _asked(validator, packages, text) for name, text in samples("focus").items()}
    RECORDED.write_text(json.dumps({"focus-validator": version, "samples": answers}, indent=1) + "\n")


def _asked(validator: Path, packages: Path, text: str) -> dict[str, object]:
    with tempfile.NamedTemporaryFile("w", suffix=".csv", newline="") as file:
        file.write(text)
        file.flush()
        command = [validator / "bin/python", "-W", "ignore", "-m", "focus_validator.main", "--data-file", file.name]
        command += ["--column-namespace", "x", "--validate-version", "1.0"]
        done = subprocess.run(command, cwd=packages, capture_output=True, text=True, check=True)
    if "Validation" not in done.stdout:
        raise SystemExit(f"expected a verdict, found {done.stdout[-500:]!r} {done.stderr[-500:]!r}")
    return {"sha256": hashlib.sha256(text.encode()).hexdigest(), "failed": sorted(_FAILED.findall(done.stdout))}


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Ask the oracle every case about values and write its answers: ``make oracle-go``.

Takes the oracle's executable. Answers that are not ours belong into ``values_differences.jsonl``, each with its reason;
the test says which are missing there.
"""

from __future__ import annotations

import json
import subprocess
import sys

from conformance.go_oracle.values_answers import RECORDED, asked, go_answer
from conformance.go_oracle.values_cases import cases


def main(oracle: str) -> None:
    """Write the record."""
    all_cases = cases()
    questions = "".join(json.dumps(asked(case)) + "\n" for case in all_cases)
    replied = subprocess.run([oracle], input=questions.encode(), capture_output=True, check=True).stdout.splitlines()
    with RECORDED.open("w", encoding="utf-8") as record:
        for case, reply in zip(all_cases, replied, strict=True):
            line = {**case, "go": go_answer(case["ask"], json.loads(reply, parse_int=float))}
            record.write(json.dumps(line, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])

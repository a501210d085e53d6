"""``python -m tests.bench [NAME …]``: all benches, or some by name. All of them together are written to the docs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator

from tests.bench import (
    attached,
    billing,
    cli,
    collector,
    identity,
    policy,
    report,
    roles,
    s3,
    secrets,
    sigv4,
    sts,
    trust,
    up,
)
from tests.bench.row import Row

BENCHES: dict[str, Callable[[], Iterator[Row]]] = {
    "policy": policy.bench,
    "sigv4": sigv4.bench,
    "cli": cli.bench,
    "sts": sts.bench,
    "s3": s3.bench,
    "roles": roles.bench,
    "identity": identity.bench,
    "trust": trust.bench,
    "billing": billing.bench,
    "collector": collector.bench,
    "secrets": secrets.bench,
    "attached": attached.bench,
    "up": up.bench,
}


def main(names: list[str]) -> int:
    """Run, print the table, and write it down when everything was run."""
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        print(f"keyless: expected some of {', '.join(BENCHES)}; found {', '.join(unknown)}", file=sys.stderr)
        return 2
    load = os.getloadavg()[0]
    rows: list[Row] = []
    for name in names or BENCHES:
        for row in BENCHES[name]():
            rows.append(row)
            print(f"{row.bench}: {row.what}: {row.ours}; {row.peer or '-'}; {row.aim} {row.verdict}", flush=True)
    print(f"\n{report.machine()}\n\n{report.table(rows)}")
    if not names:
        report.write(rows, load_before=load)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

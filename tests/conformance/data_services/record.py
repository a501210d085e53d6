"""Ask moto (pinned, in a venv of its own) and write its answers: ``make oracle``, or for some suites ``… record s3``.

Scenarios whose steps did not change keep what was recorded of them; ``--all`` asks anew.
"""

from __future__ import annotations

import argparse
import urllib.request
from collections.abc import Callable
from importlib import import_module
from typing import Any

import botocore.session
from botocore.config import Config
from tests.bench.peers import moto_server

from conformance.data_services.recording import Suite, record

#: a suite is the ``SUITE`` of module ``<name>_suite``
SUITES = ("s3", "secretsmanager", "ssm", "kms")


def suite_of(name: str) -> Suite:
    found = import_module(f"conformance.data_services.{name}_suite").SUITE
    assert isinstance(found, Suite)
    return found


def starter(suite: Suite, url: str) -> Callable[[], Any]:
    """Empties moto and returns a client; its clients share what botocore loaded."""
    session = botocore.session.Session()

    def start() -> Any:
        urllib.request.urlopen(urllib.request.Request(f"{url}/moto-api/reset", method="POST")).close()
        return session.create_client(
            suite.service,
            region_name=suite.region,
            endpoint_url=url,
            aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
            aws_secret_access_key="any",
            config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
        )

    return start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suites", nargs="*", default=SUITES)
    parser.add_argument("--all", action="store_true", help="ask anew what did not change, too")
    options = parser.parse_args()
    with moto_server() as url:
        for name in options.suites:
            suite = suite_of(name)
            old = suite.recorded() if suite.path.exists() else {}
            wanted = [
                one for one in suite.scenarios if options.all or old.get(one.name, {}).get("digest") != one.digest
            ]
            record(suite, wanted, start=starter(suite, url))
            print(f"{name}: {len(wanted)} of {len(suite.scenarios)} scenarios asked, {suite.path.name} written")


if __name__ == "__main__":
    main()

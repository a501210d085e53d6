"""What reaches a component's log, and in which form."""

import io
import logging

import orjson
import pytest

from keyless.cli import logs


@pytest.fixture
def written():
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in (*logs.QUIET, *logs.SILENT)}
    stream = io.StringIO()
    logs.configure("external-secrets-controller", "info", stream)
    yield lambda: [orjson.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:] = kept
    root.setLevel(level)
    for name, number in levels.items():
        logging.getLogger(name).setLevel(number)


def test_a_refresh_of_credentials_that_fails_writes_no_trace(written):
    try:
        raise ValueError("InvalidIdentityToken")
    except ValueError:
        logging.getLogger("botocore.credentials").warning("Refreshing temporary credentials failed", exc_info=True)
    logging.getLogger("botocore.endpoint").warning("a retry")
    assert [line["event"] for line in written()] == ["a retry"]

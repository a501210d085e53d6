"""``retrySettings``: how often a read that AWS was too busy for is tried again, and how long after."""

import pytest

from keyless.aws import AwsPermanent, AwsTransient
from keyless.aws.errors import Said
from keyless.shared_secrets.stores.model import Payload, RemoteRef, RetrySettings, StoreFault, retries_of
from keyless.shared_secrets.stores.scoping import RetryingReader


class Reader:
    identity, by_controller = "one", True

    def __init__(self, *errors):
        self.errors, self.reads = list(errors), 0

    async def read(self, ref):
        self.reads += 1
        if self.errors:
            raise self.errors.pop(0)
        return Payload("value")


def busy():
    return AwsTransient(Said("GetSecretValue", "ThrottlingException", "Rate exceeded", "r-1"))


async def tried(settings, *errors):
    reader, slept = Reader(*errors), []

    async def sleep(seconds):
        slept.append(seconds)

    try:
        await RetryingReader(reader, settings, sleep).read(RemoteRef("x"))
    except (AwsTransient, AwsPermanent):
        return reader.reads, slept, "failed"
    return reader.reads, slept, "read"


@pytest.mark.parametrize(
    ("settings", "errors", "outcome"),
    [
        (RetrySettings(3, 2.0), [busy(), busy()], (3, [2.0, 2.0], "read")),
        (RetrySettings(1, 2.0), [busy(), busy()], (2, [2.0], "failed")),
        (RetrySettings(5, 0.0), [busy()], (2, [0.0], "read")),
        # No worker waits longer than half a minute, whatever a tenant asks for.
        (RetrySettings(1000, 20.0), [busy()] * 9, (2, [20.0], "failed")),
        (RetrySettings(9, 86400.0), [busy()], (1, [], "failed")),
    ],
)
async def test_a_busy_aws_is_asked_again(settings, errors, outcome):
    assert await tried(settings, *errors) == outcome


async def test_a_refusal_is_not_asked_again():
    refused = AwsPermanent(Said("GetSecretValue", "AccessDeniedException", "no", "r-1"))
    assert await tried(RetrySettings(3, 1.0), refused) == (1, [], "failed")


def test_settings_are_read_from_the_store():
    assert retries_of({}) == RetrySettings()
    assert retries_of({"retrySettings": {"maxRetries": 3, "retryInterval": "1m"}}) == RetrySettings(3, 60.0)
    assert retries_of({"retrySettings": {"maxRetries": -1, "retryInterval": "-1m"}}) == RetrySettings()
    with pytest.raises(StoreFault, match=r"retrySettings\.retryInterval: 'soon' is no duration"):
        retries_of({"retrySettings": {"retryInterval": "soon"}})

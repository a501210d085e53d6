"""The plugin's loop: what its file names, and what is said where that cannot be served."""

from __future__ import annotations

import json

import pytest
from structlog.testing import capture_logs

from keyless.encryption.service import Keys
from keyless.encryption.settings import Settings
from keyless.kube.memory import MemoryKube
from unit.encryption.stage import PLANE, Caller, CloudKms
from unit.local.cloud.support import World


@pytest.fixture
def world():
    made = World()
    yield made
    made.close()


async def test_why_a_file_is_not_acted_upon_is_logged_once_by_the_path_that_it_is_about(world, tmp_path):
    arn = world.aws("kms").create_key()["KeyMetadata"]["Arn"]
    file = tmp_path / "kms.json"
    first = {"name": "of-x.1", "key": arn, "of": PLANE}
    file.write_text(json.dumps({"keys": [first]}))
    settings = Settings(
        control_plane_name="ctp1", control_plane_group="default", keys_file=str(file), socket_dir=str(tmp_path)
    )
    keys = Keys(settings, CloudKms(world), MemoryKube(), None)
    try:
        await keys.step()
        (tmp_path / "of-x.2.sock" / "held").mkdir(parents=True)
        file.write_text(json.dumps({"keys": [first, {**first, "name": "of-x.2"}]}))
        with capture_logs() as logs:
            for _ in range(5):
                await keys.step()
        (said,) = [each["error"] for each in logs if each["event"] == "keys not served"]
        assert said == f"{tmp_path / 'of-x.2.sock'}: Is a directory"
        assert keys.trouble == "", "what it named before goes on"
        async with Caller(tmp_path, keys._sockets.plugins[0].key) as caller:
            assert (await caller.status()).healthz == "ok"
        (tmp_path / "of-x.2.sock" / "held").rmdir()
        (tmp_path / "of-x.2.sock").rmdir()
        await keys.step()
        assert [each.key.name for each in keys._sockets.plugins] == ["of-x.1", "of-x.2"]
    finally:
        await keys._sockets.close()

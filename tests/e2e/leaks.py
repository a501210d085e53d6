"""What no log and no record of a run may hold: planted values, tokens, keys."""

from __future__ import annotations

import json

from e2e.local_space import LocalSpace

PLANTED = "plant3d"
"""Every secret value of these tests begins with it."""


def nothing_is_told(space: LocalSpace) -> None:
    """No log file and no audit line holds a planted value, a token or a key of this Space."""
    logs = space.logs()
    assert any("external-secrets" in str(path) for path in logs)
    secrets = (PLANTED, "eyJhbGciOi", space.environ["AWS_SECRET_ACCESS_KEY"], "PRIVATE KEY")
    for text in secrets:
        assert not [path for path, log in logs.items() if text in log], text
        assert not [line for line in space.audit() if text in json.dumps(line)], text

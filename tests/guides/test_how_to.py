"""The how-to pages that need nothing but a local Space, word for word, with the real clients."""

from __future__ import annotations

import pytest

from guides.page import HOW_TO, blocks
from guides.reader import Reader

pytestmark = [pytest.mark.guide, pytest.mark.timeout(300)]


def test_the_page_on_trying_a_policy_holds(reader: Reader) -> None:
    reader.follow(blocks("try-a-policy.md", HOW_TO))
    told = "\n".join(reader.transcript)
    assert "s3:GetObject\tallowed" in told
    assert "s3:PutObject\timplicitDeny" in told
    assert "refused, as it should be" in told
    denied = reader.said("keyless audit --denied")
    assert 'StringLike s3:prefix: expected "team-a/*", found ""' in denied

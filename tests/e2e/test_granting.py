"""The page on granting access, word for word, on a Space that runs already; AWS has nothing at first."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.tools import aws_cli, kubernetes_clients

from e2e import acting
from e2e.local_space import LocalSpace
from e2e.planes import Plane
from guides.page import HOW_TO, blocks
from guides.reader import Reader

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


async def test_the_page_on_granting_access_holds(space: LocalSpace, first_plane: Plane, tmp_path: Path) -> None:
    if aws_cli() is None or kubernetes_clients() is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("kubectl, helm or aws is missing: run `make tools`")
    assert first_plane.name == "ctp1"
    for prefix in ("keyless-billing", "keyless-shared-secrets"):
        acting.drop_roles(space, prefix)
    acting.drop_provider(space)
    reader = Reader(tmp_path, state=space.folder)

    *pages, destroying = blocks("grant-access.md", HOW_TO)
    reader.follow(pages)
    reader.follow([destroying])

    told = "\n".join(reader.transcript)
    assert "something is missing, as it should be" in told
    assert "assumed-role/keyless-billing/eks-" in told
    left = [one["RoleName"] for one in space.aws("iam").list_roles()["Roles"]]
    assert not [name for name in left if name in ("keyless-billing", "keyless-shared-secrets")]

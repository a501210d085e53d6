"""Ten thousand roles: pages, names, ids and users of a policy are found, not searched for."""

from __future__ import annotations

import pytest

from keyless.local.cloud.iam.model import Role
from unit.local.cloud.support import ACCOUNT, START, World, pods_trust, refusal

COUNT = 10_000
LIMIT = "arn:aws:iam::aws:policy/AmazonS3FullAccess"


@pytest.fixture
def many(world: World) -> World:
    directory = world.cloud.directory
    with directory.database.transaction():
        for number in range(COUNT - 1):  # the node's role is there already
            name = f"r{number:05d}"
            arn = f"arn:aws:iam::{ACCOUNT}:role/{name}"
            attached = (LIMIT,) if number % 1000 == 0 else ()
            directory.save(Role(name, f"AROA{number:017d}", arn, "/", START, pods_trust(), attached=attached))
    return world


def test_ten_thousand_roles_are_read_page_by_page(many: World) -> None:
    iam, steps = many.aws("iam"), 0

    def count() -> None:
        nonlocal steps
        steps += 1

    many.connection.set_progress_handler(count, 1000)  # calls back every thousand steps of SQLite's machine
    page = iam.list_roles(MaxItems=100)
    second = iam.list_roles(MaxItems=100, Marker=page["Marker"])
    assert [role["RoleName"] for role in second["Roles"]][:2] == ["r00099", "r00100"]
    assert iam.get_role(RoleName="r09998")["Role"]["RoleName"] == "r09998"
    assert (
        refusal(iam.create_role, RoleName="R05000", AssumeRolePolicyDocument=pods_trust())[0] == "EntityAlreadyExists"
    )
    found = iam.list_entities_for_policy(PolicyArn=LIMIT)
    assert len(found["PolicyRoles"]) == COUNT // 1000
    many.connection.set_progress_handler(None, 0)
    assert steps < 100, "a call walked through all roles"


def test_the_quota_of_roles_is_told(many: World) -> None:
    answer = refusal(many.aws("iam").create_role, RoleName="more", AssumeRolePolicyDocument=pods_trust())
    assert answer == ("LimitExceeded", f"Cannot exceed quota for RolesPerAccount: {COUNT}", 409)

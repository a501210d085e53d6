"""The link of scopes: what holds for a control plane, and a role that may read more than that."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from keyless.cli.verifying import secrets_bounds
from keyless.identity.verify import Bounds, Cluster, ControlPlane, Space, State, verify
from keyless.identity.verify.model import Condition, Facts, Role
from keyless.identity.verify.values import flatten, upgrade
from keyless.policy import Named, parse
from unit.identity.verify.chains import ACCOUNT, ROLE, irsa, named, trust, web

CLUSTER = Cluster("keyless", "https://issuer", ACCOUNT, "us-west-2")
PLANE = ControlPlane("ctp1", "default", "mxp-1-system", {})
SECRET, PARAMETER = f"arn:aws:secretsmanager:us-west-2:{ACCOUNT}:secret:", f"arn:aws:ssm:us-west-2:{ACCOUNT}:parameter/"
READS = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret", "ssm:GetParameter"]
TEAM_A = {"namespace": "app", "prefixes": ["team-a"]}


def bounds(*scopes: dict[str, Any]) -> Bounds | None:
    sections: dict[str, Any] = {"scopes": list(scopes)} if scopes else {}
    values = flatten({"controlPlanes": {"sharedSecrets": sections}})
    return secrets_bounds(Space(values, (), frozenset()), PLANE, CLUSTER)


def chain(resource: str | list[str], *scopes: dict[str, Any], action: Any = READS, **more: Any) -> Facts:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource, **more}
    policy = Named("inline policy secrets", parse({"Version": "2012-10-17", "Statement": [statement]}, "identity"))
    return replace(irsa(), role=Role(ROLE, trust(web()), (policy,)), bounds=bounds(*scopes))


@pytest.mark.parametrize(
    ("resource", "scopes", "wider"),
    [
        ([f"{SECRET}team-a/*", f"{PARAMETER}team-a/*"], [TEAM_A], False),
        ([f"{SECRET}team-a-??????"], [TEAM_A], False),
        ([f"{SECRET}team-a*"], [TEAM_A], True),
        ([f"{SECRET}*"], [TEAM_A], True),
        (["*"], [TEAM_A], True),
        (["*"], [{"prefixes": ["*"]}], True),
        ([f"{SECRET}*", f"{PARAMETER}*"], [{"prefixes": ["*"]}], False),
        ([f"{SECRET}team-a/*", f"{PARAMETER}team-b/*"], [TEAM_A, {"prefixes": ["team-b/"]}], False),
        ([f"{SECRET}team-a/*", "arn:aws:s3:::usage/*"], [TEAM_A], False),
        ([f"{SECRET}team-a/*"], [{"controlPlane": "ctp2", "prefixes": ["team-a"]}], True),
        ([SECRET.replace(ACCOUNT, "999988887777") + "x/*"], [TEAM_A], True),
        (
            [SECRET.replace(ACCOUNT, "999988887777") + "x/*"],
            [{"prefixes": [SECRET.replace(ACCOUNT, "999988887777") + "x"]}],
            False,
        ),
    ],
)
def test_a_role_that_may_read_more_than_the_scopes_is_told_of(resource: list[str], scopes: list, wider: bool) -> None:
    link = named(chain(resource, *scopes), "scopes")
    assert link.state is State.HELD
    assert bool(link.notes) is wider
    assert all("inline policy secrets allows" in note for note in link.notes)


def test_what_reads_nothing_is_not_wider() -> None:
    assert not named(chain("*", TEAM_A, action="s3:*"), "scopes").notes
    assert named(chain("*", TEAM_A, action="*"), "scopes").notes


def test_the_scopes_of_this_control_plane_are_shown_and_no_others() -> None:
    other = {"controlPlane": "ctp2", "prefixes": ["team-b"]}
    link = named(chain([f"{SECRET}team-a/*"], TEAM_A, {"prefixes": ["common"]}, other), "scopes")
    assert link.found == "namespace app: team-a; namespace *: common"
    assert "no key is read" in named(chain(["*"], other), "scopes").found


def test_without_scopes_the_link_says_what_that_means() -> None:
    link = named(chain("*"), "scopes")
    assert (link.state, link.notes) == (State.HELD, ())
    assert "any key that the role may read" in link.found


def test_a_component_that_nobody_asks_has_no_such_link() -> None:
    assert "scopes" not in [link.name for link in verify(irsa())]


def test_values_that_are_no_scopes_are_the_operators_to_refuse() -> None:
    assert bounds({"prefixes": []}) is None


def test_a_list_that_was_dropped_is_set_again_as_json() -> None:
    space = Space({}, (), frozenset())
    values = flatten({"scopes": [TEAM_A]})
    assert upgrade(space, values).endswith("""--set-json 'scopes=[{"namespace":"app","prefixes":["team-a"]}]'""")


@pytest.mark.parametrize(("status", "state"), [("Unknown", State.HELD), ("False", State.BROKEN)])
def test_an_identity_that_is_proven_and_has_read_nothing_holds_with_a_note(status: str, state: State) -> None:
    facts = irsa()
    assert facts.control_plane is not None
    message = f"no secret was read yet; the identity is arn:aws:sts::{ACCOUNT}:assumed-role/billing/x"
    seen = {facts.subject.condition: Condition(status, "IdentityProven", message, pod="vector-1")}
    link = named(replace(facts, control_plane=replace(facts.control_plane, conditions=seen)), "probe")
    assert link.state is state
    assert bool(link.notes) is (state is State.HELD)

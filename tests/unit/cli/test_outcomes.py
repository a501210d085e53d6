"""Every row of the table of outcomes, brought about: the exit codes are a contract."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from keyless.cli import dispatch, exits
from keyless.cli.commands import COMMANDS
from keyless.cli.outcomes import OUTCOMES
from keyless.cli.verify import code_of
from keyless.identity.grants import Plan
from keyless.identity.grants.model import Step
from keyless.identity.verify import verify
from keyless.identity.verify.access_link import READS
from keyless.identity.verify.aws_facts import _ACTIONS
from keyless.kube import NotFound
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import CLUSTERROLEBINDINGS, CLUSTERROLES, CONTROLPLANES
from unit.cli.test_output import every_command
from unit.identity.verify import test_gather as live
from unit.identity.verify.chains import ACCOUNT, ISSUER, NAMESPACE, web
from unit.identity.verify.test_gather import FakeAws, healthy
from unit.space.test_checking import whole_installation

kube = live.kube
QUESTION = ["explain", f"{NAMESPACE}/vector", "s3:PutObject", "arn:aws:s3:::usage/account=a/x", "--cluster-name", "k"]
VERIFY = ["verify", "billing", "--cluster-name", "keyless"]
DESCRIBED = {"cluster": {"identity": {"oidc": {"issuer": ISSUER}}}}


@dataclass
class World:
    """What the commands meet: an API server, AWS, and a folder."""

    kube: MemoryKube
    aws: FakeAws
    folder: Path
    patch: pytest.MonkeyPatch

    def run(self, *words: str) -> int:
        @asynccontextmanager
        async def connect(_: object) -> AsyncIterator[MemoryKube]:
            yield self.kube

        self.patch.setattr("keyless.kube.connect", connect)
        self.patch.setattr("keyless.aws.Session.from_environment", lambda *_, **__: self.aws)
        self.patch.setenv("KUBECONFIG", "unused")
        return dispatch([*words])

    def without_aws(self, code: str = "NoCredentials") -> None:
        self.aws.answers = dict.fromkeys(self.aws.answers, code) | {"GetCallerIdentity": code}
        self.aws.otherwise = code

    def without(self, *operations: str) -> None:
        self.aws.answers |= dict.fromkeys(operations, "AccessDenied")

    def of_a_control_plane(self) -> None:
        known = self.kube.list

        async def listed(resource: Any, *places: Any, **options: Any) -> Any:
            if resource is CONTROLPLANES:
                raise NotFound({"message": "the server could not find the requested resource"})
            return await known(resource, *places, **options)

        self.patch.setattr(self.kube, "list", listed)


@pytest.fixture
def world(kube: MemoryKube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.delenv("KEYLESS_STATE", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return World(kube, healthy(DescribeCluster=DESCRIBED), tmp_path, monkeypatch)


Scenario = Callable[[World], int]
ACCESS = ["identity", "access", "arn:aws:s3:::usage/manifest/a", "--cluster-name", "keyless"]
ADMIN = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def shows_the_account(world: World) -> None:
    """A role that writes to the bucket, and a user who may do nothing."""
    role = {
        **world.aws.answers["GetRole"]["Role"],
        "RolePolicyList": [{"PolicyName": "p", "PolicyDocument": live.POLICY}],
    }
    user = {"UserName": "eve", "Arn": f"arn:aws:iam::{ACCOUNT}:user/eve", "UserPolicyList": []}
    world.aws.answers["GetAccountAuthorizationDetails"] = {"RoleDetailList": [role], "UserDetailList": [user]}
    world.aws.answers["ListAccessKeys"] = {"AccessKeyMetadata": [{"AccessKeyId": "AKIA1", "Status": "Active"}]}
    world.aws.answers["GetAccessKeyLastUsed"] = {"AccessKeyLastUsed": {"ServiceName": "N/A", "Region": "N/A"}}


def user_may(world: World) -> None:
    (user,) = world.aws.answers["GetAccountAuthorizationDetails"]["UserDetailList"]
    document = {"Version": "2012-10-17", "Statement": [ADMIN]}
    user["UserPolicyList"] = [{"PolicyName": "admin", "PolicyDocument": document}]


def without_bucket(world: World) -> None:
    world.aws.answers["HeadBucket"] = "404"
    world.aws.answers["ListBuckets"] = {"Buckets": [{"Name": "usages"}]}


def kubernetes_fails(world: World) -> int:
    async def refuses(*_: Any, **__: Any) -> None:
        raise NotFound({"message": "no", "code": 404})

    world.patch.setattr(world.kube, "get", refuses)
    world.patch.setattr(world.kube, "request", refuses)
    return world.run("identity", "plan")


def unforeseen(world: World) -> int:
    def breaks(*_: Any) -> None:
        raise RuntimeError

    world.patch.setattr("keyless.cli.verify.use_local_space", breaks)
    return world.run(*VERIFY)


def after(*steps: Callable[[World], None], words: list[str]) -> Scenario:
    def scenario(world: World) -> int:
        for step in steps:
            step(world)
        return world.run(*words)

    return scenario


def without_trust(world: World) -> None:
    trust = {"Version": "2012-10-17", "Statement": [web("system:serviceaccount:other:vector")]}
    world.aws.answers["GetRole"]["Role"]["AssumeRolePolicyDocument"] = trust


def without_role(world: World) -> None:
    world.without("GetRole", "GetBucketPolicy")


def hangs(world: World) -> None:
    allow = {**live.ALLOW, "Condition": {"StringEquals": {"aws:SourceVpce": "vpce-1"}}}
    world.aws.answers["GetRolePolicy"] = {"PolicyDocument": {"Version": "2012-10-17", "Statement": [allow]}}


def simulates(decision: str) -> Callable[[World], None]:
    def told(world: World) -> None:
        world.aws.answers["SimulatePrincipalPolicy"] = {"EvaluationResults": [{"EvalDecision": decision}]}

    return told


def unproven(world: World) -> None:
    """The component has not said anything of its own yet."""
    (plane,) = (one for one in world.kube.stored(CONTROLPLANES) if one["metadata"]["name"] == "ctp1")
    plane["status"]["conditions"] = []
    world.kube.put(CONTROLPLANES, plane)


def by_the_pod_before(world: World) -> None:
    """The pod that stored is not the one that runs."""
    (plane,) = (one for one in world.kube.stored(CONTROLPLANES) if one["metadata"]["name"] == "ctp1")
    plane["status"]["conditions"] = [{**one, "pod": "vector-0"} for one in plane["status"]["conditions"]]
    world.kube.put(CONTROLPLANES, plane)


def installed_whole(world: World) -> int:
    world.kube = whole_installation()
    return world.run("verify", "space", "--namespace", "spaces")


def tightens(world: World) -> int:
    event = {"eventSource": "s3.amazonaws.com", "eventName": "PutObject", "eventTime": "2026-11-22T07:00:00Z"}
    (world.folder / "lines.jsonl").write_text(json.dumps({**event, "userIdentity": {}}))
    return world.run("identity", "tighten", "billing", "--trail", str(world.folder / "lines.jsonl"))


def tightens_by_no_trail(world: World) -> int:
    (world.folder / "lines.jsonl").write_text("no trail")
    return world.run("identity", "tighten", "billing", "--trail", str(world.folder / "lines.jsonl"))


def tightens_nothing(world: World) -> int:
    world.aws.answers["ListRolePolicies"] = "NoSuchEntity"
    return tightens(world)


def refusing_the_steps(*words: str) -> Scenario:
    def scenario(world: World) -> int:
        world.aws.answers["ListRoles"] = {"Roles": []}
        world.patch.setattr("typer.confirm", lambda _: False)
        return world.run("identity", *words)

    return scenario


def explains_no_manifest(world: World) -> int:
    (world.folder / "es.yaml").write_text("kind: SecretStore\nmetadata: {name: s}\nspec: {provider: {aws: 7}}\n")
    return world.run("secrets", "explain", str(world.folder / "es.yaml"))


def destroys(world: World) -> int:
    """Of a plan with one step; what AWS has of a Space is not what is asked here."""
    step = Step("iam", "DeleteRole", {"RoleName": "keyless-vector"}, "says", "what", "deleted")
    world.patch.setattr("keyless.identity.grants.undo", lambda *_: Plan((step,), (), {}, {}))
    return refusing_the_steps("destroy")(world)


def stopped(command: str) -> Scenario:
    """AWS refuses the first write."""

    def scenario(world: World) -> int:
        world.aws.answers["ListRoles"] = {"Roles": []}
        world.without("CreateRole", "UpdateAssumeRolePolicy", "PutRolePolicy", "DeleteRole")
        if command == "destroy":
            step = Step("iam", "DeleteRole", {"RoleName": "keyless-vector"}, "says", "what", "deleted")
            world.patch.setattr("keyless.identity.grants.undo", lambda *_: Plan((step,), (), {}, {}))
        return world.run("identity", command, "--yes")

    return scenario


ROWS: dict[tuple[str, str], Scenario] = {
    ("verify space", "the Space is installed whole"): installed_whole,
    ("verify space", "a part of it is missing, or not ready within --wait-seconds"): after(words=["verify", "space"]),
    ("identity tighten", "what was never used was shown, if anything"): tightens,
    ("identity tighten", "a file of CloudTrail cannot be read"): tightens_by_no_trail,
    ("identity tighten", "there is no such role, or AWS did not show it"): tightens_nothing,
    ("identity apply", "the steps were not agreed to"): refusing_the_steps("apply"),
    ("identity apply", "AWS refused a step, or somebody changed something: the rest is not done"): stopped("apply"),
    ("identity destroy", "AWS refused a step, or somebody changed something: the rest is not done"): stopped("destroy"),
    ("identity destroy", "the steps were not agreed to"): destroys,
    ("crds", "the definitions were printed"): after(words=["crds"]),
    ("secrets explain", "a manifest is none that could be read"): explains_no_manifest,
    ("any", "it did what was asked"): after(words=["--version"]),
    ("any", "an option, an argument or a value that is none"): after(words=[*VERIFY, "--output", "yml"]),
    ("any", "a state folder in which no Space was ever started"): lambda world: world.run(
        "env", "--state", str(world.folder / "none")
    ),
    ("any", "Kubernetes cannot be reached, or refuses"): kubernetes_fails,
    ("any", "a fault of ours that nobody foresaw"): unforeseen,
    ("status", "nothing runs"): lambda world: world.run("status", "--state", str(world.folder / "none")),
    ("verify", "every chain holds"): after(words=VERIFY),
    ("verify", "a link of a chain is broken, whatever could not be seen beside it"): after(
        without_trust, lambda world: world.without("GetBucketPolicy"), words=VERIFY
    ),
    ("verify", "there is no such control plane"): after(words=[*VERIFY, "--control-plane", "ghost"]),
    ("verify", "nothing is broken, and the pod that runs has not tried yet"): after(by_the_pod_before, words=VERIFY),
    ("verify", "nothing is broken, and AWS did not show all that the chain is judged by"): after(
        without_role, unproven, words=VERIFY
    ),
    ("verify", "no credentials, or expired ones, and nothing that is certain without AWS"): after(
        World.without_aws, unproven, words=VERIFY
    ),
    ("verify", "the kubeconfig leads to a control plane's own API"): after(World.of_a_control_plane, words=VERIFY),
    ("explain", "Allowed"): after(words=QUESTION),
    ("explain", "Denied"): after(without_trust, words=QUESTION),
    ("explain", "Unknown: something could not be read, or hangs on the call"): after(hangs, words=QUESTION),
    ("explain", "with --check, AWS's simulator decides otherwise by the role's policies"): after(
        simulates("implicitDeny"), words=[*QUESTION, "--check"]
    ),
    ("explain", "no credentials, or expired ones"): after(World.without_aws, words=QUESTION),
    ("explain", "the kubeconfig leads to a control plane's own API"): after(
        World.of_a_control_plane, words=["explain", "mxp-9-system/vector", *QUESTION[2:]]
    ),
    ("identity plan", "something is missing in AWS"): after(
        lambda world: world.aws.answers.update(ListRoles={"Roles": []}), words=["identity", "plan"]
    ),
    ("identity plan", "AWS did not show what there is"): after(World.without_aws, words=["identity", "plan"]),
    ("identity access", "everybody who reaches the resource was found, and no static key does"): after(
        shows_the_account, words=ACCESS
    ),
    ("identity access", "a static key in use reaches the resource"): after(shows_the_account, user_may, words=ACCESS),
    ("identity access", "there is no such resource, or its ARN is none"): after(
        shows_the_account, without_bucket, words=ACCESS
    ),
    ("identity access", "something that the answer hangs on could not be read"): after(
        shows_the_account, lambda world: world.without("GetBucketPolicy"), words=ACCESS
    ),
}
BOUND = (
    (
        CLUSTERROLES,
        {"metadata": {"name": "r"}, "rules": [{"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create"]}]},
    ),
    (
        CLUSTERROLEBINDINGS,
        {
            "metadata": {"name": "b"},
            "roleRef": {"kind": "ClusterRole", "name": "r"},
            "subjects": [{"kind": "User", "name": "alice"}],
        },
    ),
)
# Their own tests bring them about: they need a bucket's content, files, or a Space.
ELSEWHERE = {
    **{
        ("issuer publish", outcome): "tests/unit/cli/test_issuer.py"
        for outcome in (
            "AWS can fetch all keys, and no token is refused",
            "the issuer cannot be published there, or a rotation loses tokens",
            "what was put cannot be fetched by its public URL",
            "S3 refuses",
        )
    },
    **{
        ("kubeconfig", row.outcome): "tests/unit/cli/test_kubeconfig.py"
        for row in OUTCOMES
        if row.command == "kubeconfig"
    },
    ("identity plan", "nothing is missing in AWS"): "tests/unit/identity/grants/test_grants.py",
    ("explain", "--event names a call that was refused"): "tests/unit/cli/test_explain.py",
    ("billing report", "usage is missing, and no report was made"): "tests/unit/cli/test_usage_report.py",
    ("billing report-update", "a time lies between the two reports, or they cannot be merged"): (
        "tests/unit/cli/test_billing.py"
    ),
    ("billing capacity", "more was used than was bought, or usage is missing"): "tests/unit/cli/test_usage_report.py",
    ("billing verify", "something differs from what was stored, or is missing"): "tests/unit/cli/test_proof.py",
    ("billing waive", "the bucket knows nothing of what is named"): "tests/unit/cli/test_billing.py",
    ("secrets status", "a control plane holds no current version"): "tests/unit/cli/test_fleet.py",
    ("secrets refresh", "a control plane failed, or did not hold it in time"): "tests/unit/cli/test_fleet.py",
    ("billing export", "usage is missing, and no report was written"): "tests/unit/cli/test_billing.py",
    ("billing export-closed", "a closed month was refused; the others are written"): (
        "tests/unit/cli/test_usage_closed.py"
    ),
    ("billing export-closed", "AWS cannot be reached, or refuses"): "tests/unit/cli/test_usage_closed.py",
    ("billing export", "AWS cannot be reached, or refuses"): "tests/unit/cli/test_billing.py",
    ("secrets render", "the template fails on the sample values"): "tests/unit/cli/test_secrets.py",
    ("demo", "a step did not hold"): "tests/guides",
}


BROUGHT_ABOUT = [one for one in OUTCOMES if (one.command, one.outcome) in ROWS]


@pytest.mark.parametrize("row", BROUGHT_ABOUT, ids=lambda row: f"{row.command}: {row.outcome}")
def test_a_row_of_the_table_is_what_the_command_does(row: Any, world: World) -> None:
    assert ROWS[(row.command, row.outcome)](world) == row.code


def test_who_reaches_a_resource_is_told_with_everything_on_the_way(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    shows_the_account(world)
    user_may(world)
    world.aws.answers["ListPodIdentityAssociations"] = "AccessDenied"
    for resource, obj in BOUND:
        world.kube.put(resource, obj)
    world.run(*ACCESS)
    told = capsys.readouterr().out
    assert f"role arn:aws:iam::{ACCOUNT}:role/billing\n  Allowed     s3:PutObject" in told
    assert f"  subject   system:serviceaccount:{NAMESPACE}:vector by its token\n" in told
    assert f"in namespace {NAMESPACE} these can act as them\n  User alice: exec (ClusterRoleBinding b)" in told
    assert "static key: access key AKIA1 of user eve, never used" in told
    assert "not seen  associations of cluster keyless: not readable: the caller lacks eks:ListPodIdentity" in told


def test_a_resource_that_is_not_there_is_told_with_the_nearest_name(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    shows_the_account(world)
    without_bucket(world)
    assert world.run(*ACCESS) == exits.WRONG_USE
    assert "found no usage; there is usages" in capsys.readouterr().err


# What holds for any command is all that there is to say of them: they have no answer of their own to a question.
_NO_QUESTION = {
    *("audit", "down", "env", "up", "faults clear", "faults list", "faults set", "keys list", "keys rotate"),
    *("billing unwaive", "billing waivers", "secrets convert"),
}


def test_every_command_has_its_rows_or_only_those_of_any() -> None:
    asked = {row.command for row in OUTCOMES}
    without = {path for path in every_command() if path not in asked and path.split()[0] not in asked}
    assert without == _NO_QUESTION


def test_a_module_that_ends_in_did_not_hold_belongs_to_a_command_with_a_row() -> None:
    """Without a row only modules that never answer so: whoever adds an outcome adds its row."""
    answering = {path.split()[0] for path in every_command()} - {row.command.split()[0] for row in OUTCOMES}
    for name in answering:
        source = Path(import_module(COMMANDS[name].module).__file__ or "").read_text(encoding="utf-8")
        assert "DID_NOT_HOLD" not in source, name


def test_a_simulator_that_agrees_changes_no_code(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    simulates("allowed")(world)
    assert world.run(*QUESTION, "--check") == exits.HELD
    assert "simulator agrees: by the role's policies alone allowed" in capsys.readouterr().out


def test_every_row_is_brought_about_somewhere() -> None:
    rows = {(one.command, one.outcome) for one in OUTCOMES}
    assert rows == set(ROWS) | set(ELSEWHERE)
    root = Path(__file__).parents[3]
    assert all((root / place).exists() for place in ELSEWHERE.values())


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        (["Held"], exits.HELD),
        (["Held", "Unknown"], exits.OTHER_SIDE),
        (["Unknown", "Broken"], exits.DID_NOT_HOLD),
        (["Broken", "Held"], exits.DID_NOT_HOLD),
    ],
)
def test_a_fault_is_not_hidden_by_what_was_not_seen(verdicts: list[str], code: int) -> None:
    assert code_of(verdicts) == code


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("NoCredentials", "give this shell credentials"),
        ("ExpiredToken", "have expired: renew them"),
        ("InvalidClientTokenId", "does not know the credentials"),
        ("SignatureDoesNotMatch", "does not know the credentials"),
        ("EndpointConnection", "ask again"),
    ],
)
@pytest.mark.parametrize("command", [VERIFY, QUESTION])
def test_what_was_not_seen_is_told_with_the_way_out(
    world: World, capsys: pytest.CaptureFixture[str], command: list[str], code: str, words: str
) -> None:
    world.without_aws(code)
    unproven(world)
    assert world.run(*command) == exits.OTHER_SIDE
    said = capsys.readouterr().out
    assert f"answered {code}" in said
    assert words in said
    assert "needs nothing yet" not in said
    assert 'eval "$(keyless env)"' in said or code == "EndpointConnection"


@pytest.mark.parametrize("operation", ["GetRole", "ListRolePolicies", "GetBucketPolicy", "ListOpenIDConnectProviders"])
@pytest.mark.parametrize("command", [VERIFY, QUESTION])
def test_a_right_that_lacks_is_named_with_the_command_that_grants_all_reads(
    world: World, capsys: pytest.CaptureFixture[str], command: list[str], operation: str
) -> None:
    world.without(operation)
    unproven(world)
    assert world.run(*command, "--output", "json") == exits.OTHER_SIDE
    said = json.loads(capsys.readouterr().out)
    links = said["links"] if "links" in said else said["items"][0]["links"]
    link = next(one for one in links if one["name"] == "AWS access")
    assert operation in link["found"]
    assert "aws iam put-user-policy --user-name admin --policy-name keyless-verify" in link["advice"]


async def test_what_is_read_is_what_the_page_says_that_a_reader_needs(kube: MemoryKube) -> None:
    """Each call that is made, where all is well and where more is looked at, is among the actions that are printed."""
    asked: set[str] = set()

    class Listening(FakeAws):
        async def call(self, service_name: str, operation: str, /, **params: Any) -> dict[str, Any]:
            asked.add(f"{service_name}:{_ACTIONS.get(operation, operation)}")
            return await super().call(service_name, operation, **params)

    key = f"arn:aws:kms:us-west-2:{ACCOUNT}:key/1"
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    for changes in (
        {"GetBucketEncryption": {"ServerSideEncryptionConfiguration": {"Rules": [rule]}}},
        {"HeadBucket": "404", "GetRole": "NoSuchEntity", "DescribeCluster": "ResourceNotFoundException"},
        {"ListAttachedRolePolicies": {"AttachedPolicies": [{"PolicyArn": "arn:p"}]}},
    ):
        known = {"DescribeCluster": DESCRIBED, "DescribeKey": {"KeyMetadata": {"Arn": key}}}
        answers = healthy(**{**known, **changes}).answers
        verify(await live.one(kube, Listening(answers)))
    assert asked - {"sts:GetCallerIdentity"} <= set(READS)
    assert {"kms:ListGrants", "s3:ListAllMyBuckets", "iam:ListRoles", "iam:GetPolicy"} <= asked


def test_the_wrong_api_is_told_by_explain_as_by_verify(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.of_a_control_plane()
    told = []
    for words in (VERIFY, ["explain", "mxp-9-system/vector", *QUESTION[2:]]):
        assert world.run(*words) == exits.WRONG_USE
        told.append(capsys.readouterr().err)
    assert told[0] == told[1]
    assert "a control plane's own" in told[0]
    assert world.run("explain", f"{NAMESPACE}/vector", *QUESTION[2:]) == exits.HELD

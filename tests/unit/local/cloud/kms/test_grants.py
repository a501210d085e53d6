"""Grants really allow: grantee, operations, constraints, handing on, retiring, revoking."""

import pytest

from unit.local.cloud.support import ACCOUNT, a_role, allow, refusal

ROLE = f"arn:aws:iam::{ACCOUNT}:role/reader"
CONTEXT = {"app": "billing", "stage": "prod"}


@pytest.fixture
def kms(world):
    return world.aws("kms")


@pytest.fixture
def key(kms):
    return kms.create_key()["KeyMetadata"]["KeyId"]


@pytest.fixture
def reader(world):
    return world.aws("kms", a_role(world, allow("s3:ListAllMyBuckets")))


def denied(call, **params):
    return refusal(call, **params)[0] == "AccessDeniedException"


def test_a_grant_lets_its_grantee_use_the_key_for_its_operations_alone(kms, key, reader):
    sealed = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    assert denied(reader.decrypt, CiphertextBlob=sealed)
    kms.create_grant(KeyId=key, GranteePrincipal=ROLE, Operations=["Decrypt"])
    assert reader.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"x"
    assert denied(reader.encrypt, KeyId=key, Plaintext=b"x")


def test_a_deny_in_the_identity_policy_outweighs_a_grant(world, kms, key):
    deny = {"Effect": "Deny", "Action": "kms:Encrypt", "Resource": "*"}
    reader = world.aws("kms", a_role(world, deny))
    kms.create_grant(KeyId=key, GranteePrincipal=ROLE, Operations=["Encrypt"])
    assert denied(reader.encrypt, KeyId=key, Plaintext=b"x")


@pytest.mark.parametrize(
    ("constraint", "context", "allowed"),
    [
        ("EncryptionContextSubset", CONTEXT, True),
        ("EncryptionContextSubset", CONTEXT | {"more": "1"}, True),
        ("EncryptionContextSubset", {"app": "billing"}, False),
        ("EncryptionContextSubset", {}, False),
        ("EncryptionContextEquals", CONTEXT, True),
        ("EncryptionContextEquals", CONTEXT | {"more": "1"}, False),
        ("EncryptionContextEquals", {"APP": "billing", "stage": "prod"}, False),
    ],
)
def test_constraints_bind_a_grant_to_an_encryption_context(kms, key, reader, constraint, context, allowed):
    kms.create_grant(
        KeyId=key, GranteePrincipal=ROLE, Operations=["Encrypt", "DescribeKey"], Constraints={constraint: CONTEXT}
    )
    asked = {"KeyId": key, "Plaintext": b"x", "EncryptionContext": context}
    if allowed:
        assert reader.encrypt(**asked)["CiphertextBlob"]
    else:
        assert denied(reader.encrypt, **asked)
    assert reader.describe_key(KeyId=key)["KeyMetadata"]["KeyId"] == key  # no context, so no constraint


def test_the_audit_names_the_grant_that_allowed(world, kms, key, reader):
    grant = kms.create_grant(KeyId=key, GranteePrincipal=ROLE, Operations=["Encrypt"])["GrantId"]
    reader.encrypt(KeyId=key, Plaintext=b"x")
    assert f"grant {grant}" in world.audit()[-1]["decision"]["statement"]


def test_a_revoked_grant_allows_nothing(kms, key, reader):
    grant = kms.create_grant(KeyId=key, GranteePrincipal=ROLE, Operations=["Encrypt"])["GrantId"]
    kms.revoke_grant(KeyId=key, GrantId=grant)
    assert denied(reader.encrypt, KeyId=key, Plaintext=b"x")
    again = refusal(kms.revoke_grant, KeyId=key, GrantId=grant)
    assert again == ("NotFoundException", f"Grant ID {grant} not found", 400)


def test_the_retiring_principal_retires_by_token_and_nobody_else_without_permission(kms, key, reader):
    plain = kms.create_grant(KeyId=key, GranteePrincipal=ROLE, Operations=["Encrypt"])
    assert denied(reader.retire_grant, GrantToken=plain["GrantToken"])
    mine = kms.create_grant(KeyId=key, GranteePrincipal=ROLE, Operations=["Encrypt"], RetiringPrincipal=ROLE)
    reader.retire_grant(GrantToken=mine["GrantToken"])
    assert [grant["GrantId"] for grant in kms.list_grants(KeyId=key)["Grants"]] == [plain["GrantId"]]


def test_a_grantee_retires_where_the_grant_says_so(kms, key, reader):
    grant = kms.create_grant(KeyId=key, GranteePrincipal=ROLE, Operations=["Encrypt", "RetireGrant"])
    reader.retire_grant(KeyId=key, GrantId=grant["GrantId"])
    assert kms.list_grants(KeyId=key)["Grants"] == []
    assert refusal(kms.retire_grant, KeyId=key)[0] == "ValidationException"


def test_a_grantee_hands_on_no_more_than_it_has(kms, key, reader):
    other = f"arn:aws:iam::{ACCOUNT}:user/keyless-admin"
    kms.create_grant(
        KeyId=key,
        GranteePrincipal=ROLE,
        Operations=["Decrypt", "CreateGrant"],
        Constraints={"EncryptionContextSubset": {"app": "billing"}},
    )
    narrow = {"Constraints": {"EncryptionContextSubset": CONTEXT}}
    asked = {"KeyId": key, "GranteePrincipal": other}
    assert reader.create_grant(**asked, Operations=["Decrypt"], **narrow)["GrantId"]
    assert denied(reader.create_grant, **asked, Operations=["Decrypt", "Encrypt"], **narrow)
    assert denied(reader.create_grant, **asked, Operations=["Decrypt"])


@pytest.mark.usefixtures("reader")
def test_a_named_grant_is_made_once(kms, key):
    asked = {"KeyId": key, "GranteePrincipal": ROLE, "Operations": ["Encrypt"]}
    named = [kms.create_grant(**asked, Name="one")["GrantId"] for _ in range(2)]
    plain = [kms.create_grant(**asked)["GrantId"] for _ in range(2)]
    assert (len(set(named)), len(set(plain))) == (1, 2)


@pytest.mark.usefixtures("reader")
def test_grants_are_listed_by_key_by_grantee_and_by_who_may_retire_them(kms, key):
    kms.create_grant(KeyId=key, GranteePrincipal=ROLE, Operations=["Encrypt"], RetiringPrincipal=ROLE, Name="n")
    kms.create_grant(KeyId=key, GranteePrincipal=f"arn:aws:iam::{ACCOUNT}:root", Operations=["Decrypt"])
    [one] = kms.list_grants(KeyId=key, GranteePrincipal=ROLE)["Grants"]
    assert (one["Name"], one["Operations"], one["RetiringPrincipal"]) == ("n", ["Encrypt"], ROLE)
    assert len(kms.list_grants(KeyId=key)["Grants"]) == 2
    assert kms.list_retirable_grants(RetiringPrincipal=ROLE)["Grants"] == [one]
    page = kms.list_grants(KeyId=key, Limit=1)
    assert page["Truncated"]


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"GranteePrincipal": f"arn:aws:iam::{ACCOUNT}:role/nobody"}, "InvalidArnException"),
        ({"GranteePrincipal": "reader"}, "InvalidArnException"),
        ({"Operations": ["Sign"]}, "ValidationException"),
        ({"RetiringPrincipal": "arn:aws:s3:::bucket"}, "InvalidArnException"),
    ],
)
def test_a_grant_that_cannot_be_is_not_made(kms, key, asked, code):
    good = {"KeyId": key, "GranteePrincipal": ROLE, "Operations": ["Encrypt"]}
    assert refusal(kms.create_grant, **good | asked)[0] == code
    assert kms.list_grants(KeyId=key)["Grants"] == []


@pytest.mark.usefixtures("reader")
def test_a_token_that_was_never_given_is_refused(kms, key):
    for token in ("nonsense", "e30=", "bnVsbA=="):
        asked = {"KeyId": key, "Plaintext": b"x", "GrantTokens": [token]}
        assert refusal(kms.encrypt, **asked)[0] == "InvalidGrantTokenException"
    token = kms.create_grant(KeyId=key, GranteePrincipal=ROLE, Operations=["Encrypt"])["GrantToken"]
    assert kms.encrypt(KeyId=key, Plaintext=b"x", GrantTokens=[token])["KeyId"]


def test_grants_can_be_granted_by_operation(world, kms, key):
    condition = {"ForAllValues:StringEquals": {"kms:GrantOperations": ["Encrypt"]}}
    user = world.aws("kms", a_role(world, allow("kms:CreateGrant", Condition=condition)))
    asked = {"KeyId": key, "GranteePrincipal": ROLE}
    assert user.create_grant(**asked, Operations=["Encrypt"])["GrantId"]
    assert denied(user.create_grant, **asked, Operations=["Encrypt", "Decrypt"])


def test_a_role_that_is_made_again_has_no_part_in_its_namesakes_grants(world, kms, key, reader):
    kms.create_grant(KeyId=key, GranteePrincipal=ROLE, Operations=["Encrypt"])
    assert reader.encrypt(KeyId=key, Plaintext=b"x")["KeyId"]
    iam = world.aws("iam")
    iam.delete_role_policy(RoleName="reader", PolicyName="p")
    iam.delete_role(RoleName="reader")
    namesake = world.aws("kms", a_role(world, allow("s3:ListAllMyBuckets")))
    assert denied(namesake.encrypt, KeyId=key, Plaintext=b"x")
    [grant] = kms.list_grants(KeyId=key)["Grants"]
    assert grant["GranteePrincipal"].startswith("AROA")


def test_a_dry_run_grants_and_revokes_nothing(kms, key, reader):
    asked = {"KeyId": key, "GranteePrincipal": ROLE, "Operations": ["Encrypt"]}
    dry = refusal(kms.create_grant, **asked, DryRun=True)
    assert dry[0] == "DryRunOperationException"
    assert kms.list_grants(KeyId=key)["Grants"] == []
    grant = kms.create_grant(**asked)
    for call, named in (
        (kms.revoke_grant, {"KeyId": key, "GrantId": grant["GrantId"]}),
        (kms.retire_grant, {"GrantToken": grant["GrantToken"]}),
    ):
        assert refusal(call, **named, DryRun=True)[0] == "DryRunOperationException"
    assert len(kms.list_grants(KeyId=key)["Grants"]) == 1

"""Parameter Store: names, values, tiers, versions, labels, policies, tags, and SecureStrings under keys of KMS."""

import json

import pytest

from unit.local.cloud.support import ACCOUNT, START, a_role, allow, document, refusal

DAY_SECONDS = 86400
ARN = f"arn:aws:ssm:us-west-2:{ACCOUNT}:parameter"
NOT_FOUND = ("ParameterNotFound", "", 400)


@pytest.fixture
def ssm(world):
    return world.aws("ssm")


def put(ssm, name="/a/b", value="1", **more):
    return ssm.put_parameter(Name=name, Value=value, **{"Type": "String"} | more)


# Names


@pytest.mark.parametrize("name", ["plain", "/one", "/a/b.c-d_e", "/" + "/".join("123456789abcdef")])
def test_a_name_may_be(ssm, name):
    put(ssm, name)
    shown = ssm.get_parameter(Name=name)["Parameter"]
    assert (shown["Name"], shown["ARN"]) == (name, f"{ARN}/{name.removeprefix('/')}")


MALFORMED = (
    "ValidationException",
    'Parameter name: can\'t be prefixed with "ssm" (case-insensitive). If formed as a path, it can consist of '
    "sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the following 3 "
    "symbols .-_",
    400,
)


@pytest.mark.parametrize("name", ["xxx/yyy", "/k/", "a//b", "/a//b", "/a b", "{test}-x", "p[?mode=one]", "k/", "/"])
def test_a_name_that_no_parameter_can_have_is_malformed_and_not_missing(ssm, name):
    assert refusal(ssm.get_parameter, Name=name) == MALFORMED
    assert refusal(ssm.get_parameters, Names=["/a", name]) == MALFORMED
    assert refusal(ssm.get_parameter_history, Name=name) == MALFORMED


@pytest.mark.parametrize("name", ["plain", "/a/b", "/aws/service/x", f"{ARN}/a/b"])
def test_a_name_that_may_be_is_missing(ssm, name):
    assert refusal(ssm.get_parameter, Name=name) == NOT_FOUND


@pytest.mark.parametrize(
    ("name", "code", "text"),
    [
        ("a/b", "ValidationException", "Parameter name must be a fully qualified name."),
        ("aws-x", "ValidationException", 'Parameter name: can\'t be prefixed with "aws" or "ssm" (case-insensitive).'),
        ("SSMx", "ValidationException", 'Parameter name: can\'t be prefixed with "aws" or "ssm" (case-insensitive).'),
        ("/AWS/x", "AccessDeniedException", "No access to reserved parameter name: /AWS/x."),
        ("/ssm/x", "ValidationException", 'Parameter name: can\'t be prefixed with "ssm" (case-insensitive).'),
        ("/a b", "ValidationException", "each sub-path can be formed as a mix of letters, numbers"),
        ("/a/", "ValidationException", "each sub-path can be formed as a mix of letters, numbers"),
        ("/a//b", "ValidationException", "each sub-path can be formed as a mix of letters, numbers"),
        ("/" + "/".join("123456789abcdefg"), "HierarchyLevelLimitExceededException", "a maximum of 15 levels"),
        ("x" * 1000, "ValidationException", "at most 1011 characters"),
    ],
)
def test_a_name_that_may_not_be_is_told_in_awss_words(ssm, name, code, text):
    found, message, _ = refusal(put, ssm=ssm, name=name)
    assert found == code
    assert text in message


def test_a_parameter_is_found_by_its_arn_with_and_without_a_selector(ssm):
    put(ssm, "/a/b")
    put(ssm, "plain", "2")
    assert ssm.get_parameter(Name=f"{ARN}/a/b")["Parameter"]["Name"] == "/a/b"
    assert ssm.get_parameter(Name=f"{ARN}/plain:1")["Parameter"]["Selector"] == ":1"
    foreign = f"{ARN}/a/b".replace(ACCOUNT, "999999999999")
    assert refusal(ssm.get_parameter, Name=foreign)[0] == "AccessDeniedException"


def test_what_is_not_there_is_told(ssm):
    assert refusal(ssm.get_parameter, Name="/none") == NOT_FOUND
    assert refusal(ssm.delete_parameter, Name="/none") == NOT_FOUND
    assert refusal(ssm.get_parameter_history, Name="/none") == NOT_FOUND
    put(ssm, "/a")
    text = "Systems Manager could not find version {} of /a. Verify the version and try again."
    for selector in ("2", "stable"):
        answer = refusal(ssm.get_parameter, Name=f"/a:{selector}")
        assert answer == ("ParameterVersionNotFound", text.format(selector), 400)
    assert refusal(ssm.get_parameter, Name="/a:1:2")[0] == "ValidationException"
    many = ssm.get_parameters(Names=["/a", "/a:1", "/a:2", "/none"])
    assert [one["Version"] for one in many["Parameters"]] == [1, 1]
    assert many["InvalidParameters"] == ["/a:2", "/none"]


# Values and tiers


def test_a_parameter_is_overwritten_on_request_alone(ssm):
    put(ssm)
    text = "The parameter already exists. To overwrite this value, set the overwrite option in the request to true."
    assert refusal(put, ssm=ssm) == ("ParameterAlreadyExists", text, 400)
    assert ssm.put_parameter(Name="/a/b", Value="2", Overwrite=True)["Version"] == 2
    assert ssm.get_parameter(Name="/a/b")["Parameter"]["Type"] == "String"
    tagged = {"Overwrite": True, "Tags": [{"Key": "a", "Value": "b"}]}
    assert "tags and overwrite can't be used together" in refusal(put, ssm=ssm, **tagged)[1]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"Value": "", "Type": "String"}, "ValidationException"),
        ({"Value": "1"}, "ValidationException"),
        ({"Value": "x{{ssm:other}}", "Type": "String"}, "ValidationException"),
        ({"Value": "1", "Type": "Number"}, "ValidationException"),
        ({"Value": "1", "Type": "String", "DataType": "TEXT"}, "ValidationException"),
        ({"Value": "x", "Type": "String", "AllowedPattern": r"^\d+$"}, "ParameterPatternMismatchException"),
        ({"Value": "x", "Type": "String", "AllowedPattern": "("}, "InvalidAllowedPatternException"),
    ],
)
def test_a_value_that_may_not_be_is_refused(ssm, asked, code):
    assert refusal(ssm.put_parameter, Name="/a", **asked)[0] == code
    assert refusal(ssm.get_parameter, Name="/a") == NOT_FOUND


def test_a_pattern_binds_later_values_too(ssm):
    put(ssm, value="1", AllowedPattern=r"\d+")
    again = {"Name": "/a/b", "Value": "x", "Overwrite": True}
    assert refusal(ssm.put_parameter, **again)[1] == (
        r"Parameter value, cannot be validated against allowedPattern: \d+"
    )


@pytest.mark.parametrize(
    ("tier", "size", "given"),
    [
        (None, 4096, "Standard"),
        ("Advanced", 10, "Advanced"),
        ("Advanced", 8192, "Advanced"),
        ("Intelligent-Tiering", 4096, "Standard"),
        ("Intelligent-Tiering", 4097, "Advanced"),
    ],
)
def test_a_tier_holds_so_much(ssm, tier, size, given):
    asked = {"Tier": tier} if tier else {}
    assert put(ssm, value="x" * size, **asked)["Tier"] == given


@pytest.mark.parametrize(("tier", "size"), [("Standard", 4097), ("Advanced", 8193), ("Intelligent-Tiering", 8193)])
def test_a_tier_holds_no_more(ssm, tier, size):
    code, text, _ = refusal(put, ssm=ssm, value="x" * size, Tier=tier)
    assert (code, "support a maximum parameter value of" in text) == ("ValidationException", True)


def test_an_advanced_parameter_stays_one(ssm):
    put(ssm, Tier="Advanced")
    text = refusal(put, ssm=ssm, Overwrite=True, Tier="Standard")[1]
    assert text.startswith("This parameter uses the advanced-parameter tier. You can't downgrade")
    assert ssm.put_parameter(Name="/a/b", Value="2", Overwrite=True)["Tier"] == "Advanced"


# Versions and labels


def test_a_hundred_versions_are_kept_and_a_label_holds_the_oldest(ssm):
    for number in range(101):
        put(ssm, value=str(number), Overwrite=True)
    history = ssm.get_parameter_history(Name="/a/b")
    assert len(history["Parameters"]) == 50
    rest = ssm.get_parameter_history(Name="/a/b", NextToken=history["NextToken"])
    assert [history["Parameters"][0]["Version"], rest["Parameters"][-1]["Version"]] == [2, 101]
    ssm.label_parameter_version(Name="/a/b", ParameterVersion=2, Labels=["keep"])
    code, text, _ = refusal(put, ssm=ssm, Overwrite=True)
    assert code == "ParameterMaxVersionLimitExceeded"
    assert "Version 2, the oldest version, can't be deleted because it has a label" in text


def test_labels_move_are_bounded_and_checked(ssm):
    put(ssm)
    put(ssm, value="2", Overwrite=True)
    assert ssm.label_parameter_version(Name="/a/b", Labels=["stable"])["ParameterVersion"] == 2
    ssm.label_parameter_version(Name="/a/b", ParameterVersion=1, Labels=["stable"])
    assert ssm.get_parameter(Name="/a/b:stable")["Parameter"]["Version"] == 1
    bad = ssm.label_parameter_version(Name="/a/b", Labels=["aws1", "ssm", "1a", "a b", "good"])
    assert bad["InvalidLabels"] == ["aws1", "ssm", "1a", "a b"]
    more = [f"label{number}" for number in range(10)]
    full = refusal(ssm.label_parameter_version, Name="/a/b", Labels=more)
    assert full[0] == "ParameterVersionLabelLimitExceeded"
    missing = refusal(ssm.label_parameter_version, Name="/a/b", ParameterVersion=9, Labels=["x"])
    assert missing[0] == "ParameterVersionNotFound"
    gone = ssm.unlabel_parameter_version(Name="/a/b", ParameterVersion=1, Labels=["stable", "other"])
    assert (gone["RemovedLabels"], gone["InvalidLabels"]) == (["stable"], ["other"])
    assert refusal(ssm.get_parameter, Name="/a/b:stable")[0] == "ParameterVersionNotFound"


def test_the_history_tells_each_versions_labels_and_author(ssm):
    put(ssm, Description="d", AllowedPattern=".*")
    ssm.label_parameter_version(Name="/a/b", Labels=["stable"])
    [one] = ssm.get_parameter_history(Name="/a/b")["Parameters"]
    assert (one["Value"], one["Labels"], one["Description"], one["AllowedPattern"]) == ("1", ["stable"], "d", ".*")
    assert one["LastModifiedUser"].endswith(":user/keyless-admin")


# Policies


def policy(kind, **attributes):
    return {"Type": kind, "Version": "1.0", "Attributes": attributes}


EXPIRES = policy("Expiration", Timestamp="2026-09-25T00:00:00.000Z")


def test_an_expired_parameter_is_gone(world, ssm):
    put(ssm, Tier="Advanced", Policies=json.dumps([EXPIRES]))
    put(ssm, "/other")
    [shown] = ssm.describe_parameters(ParameterFilters=[{"Key": "Name", "Values": ["/a/b"]}])["Parameters"]
    assert [one["PolicyType"] for one in shown["Policies"]] == ["Expiration"]
    world.clock.pass_seconds(1790294400 - START)  # 2026-09-25
    assert refusal(ssm.get_parameter, Name="/a/b") == NOT_FOUND
    assert [one["Name"] for one in ssm.describe_parameters()["Parameters"]] == ["/other"]
    assert put(ssm)["Version"] == 1


@pytest.mark.parametrize(
    ("policies", "code"),
    [
        ("{", "InvalidPolicyAttributeException"),
        ([{"Type": "Other"}], "InvalidPolicyTypeException"),
        ([policy("Expiration", Timestamp="tomorrow")], "InvalidPolicyAttributeException"),
        ([policy("ExpirationNotification", Before="x", Unit="Days"), EXPIRES], "InvalidPolicyAttributeException"),
        ([policy("NoChangeNotification", After="1", Unit="Weeks")], "InvalidPolicyAttributeException"),
        ([policy("NoChangeNotification", After="1")], "InvalidPolicyAttributeException"),
        ([EXPIRES, EXPIRES], "IncompatiblePolicyException"),
        ([policy("ExpirationNotification", Before="1", Unit="Days")], "IncompatiblePolicyException"),
        ([policy("NoChangeNotification", After="1", Unit="Days")] * 11, "PoliciesLimitExceededException"),
    ],
)
def test_policies_that_cannot_be_are_refused(ssm, policies, code):
    text = policies if isinstance(policies, str) else json.dumps(policies)
    assert refusal(put, ssm=ssm, Tier="Advanced", Policies=text)[0] == code


def test_policies_are_for_advanced_parameters(ssm):
    text = json.dumps([EXPIRES])
    assert refusal(put, ssm=ssm, Policies=text)[0] == "ValidationException"
    assert put(ssm, Tier="Intelligent-Tiering", Policies=text)["Tier"] == "Advanced"


# SecureStrings


@pytest.fixture
def key(world):
    return world.aws("kms").create_key()["KeyMetadata"]


@pytest.mark.parametrize("tier", ["Standard", "Advanced"])
def test_a_secure_string_is_a_ciphertext_until_it_is_decrypted(ssm, key, tier):
    put(ssm, value="planted", Type="SecureString", KeyId=key["KeyId"], Tier=tier)
    assert "planted" not in ssm.get_parameter(Name="/a/b")["Parameter"]["Value"]
    assert ssm.get_parameter(Name="/a/b", WithDecryption=True)["Parameter"]["Value"] == "planted"
    [old] = ssm.get_parameter_history(Name="/a/b", WithDecryption=True)["Parameters"]
    assert (old["Value"], old["KeyId"]) == ("planted", key["KeyId"])


@pytest.mark.parametrize(("tier", "right"), [("Standard", "kms:Encrypt"), ("Advanced", "kms:GenerateDataKey")])
def test_writing_under_a_customer_key_needs_its_right(world, ssm, key, tier, right):
    asked = {"Name": "/a", "Value": "v", "Type": "SecureString", "KeyId": key["Arn"], "Tier": tier}
    writer = world.aws("ssm", a_role(world, allow("ssm:PutParameter")))
    code, text, _ = refusal(writer.put_parameter, **asked)
    assert code == "AccessDeniedException"
    assert f"is not authorized to perform: {right} on resource: {key['Arn']}" in text
    assert "(Service: AWSKMS; Status Code: 400; Error Code: AccessDeniedException; Request ID: " in text
    policy = document(allow("ssm:PutParameter"), allow(right, key["Arn"]))
    world.aws("iam").put_role_policy(RoleName="reader", PolicyName="p", PolicyDocument=policy)
    assert writer.put_parameter(**asked)["Version"] == 1


@pytest.mark.parametrize(
    ("condition", "allowed"),
    [
        ({"StringEquals": {"kms:ViaService": "ssm.us-west-2.amazonaws.com"}}, True),
        ({"StringEquals": {"kms:EncryptionContext:PARAMETER_ARN": f"{ARN}/a/b"}}, True),
        ({"StringEquals": {"kms:EncryptionContext:PARAMETER_ARN": f"{ARN}/a/c"}}, False),
    ],
)
def test_reading_asks_the_key_in_the_parameters_context(world, ssm, key, condition, allowed):
    put(ssm, Type="SecureString", KeyId=key["KeyId"])
    grants = (allow(["ssm:GetParameter", "ssm:GetParameters"]), allow("kms:Decrypt", Condition=condition))
    reader = world.aws("ssm", a_role(world, *grants))
    assert reader.get_parameter(Name="/a/b")["Parameter"]["Value"] != "1"
    if allowed:
        assert reader.get_parameter(Name="/a/b", WithDecryption=True)["Parameter"]["Value"] == "1"
    else:
        code, text, _ = refusal(reader.get_parameter, Name="/a/b", WithDecryption=True)
        assert (code, "kms:Decrypt" in text) == ("AccessDeniedException", True)
        many = {"Names": ["/a/b"], "WithDecryption": True}
        assert refusal(reader.get_parameters, **many)[0] == "AccessDeniedException"


def test_a_key_that_cannot_be_used_is_an_invalid_key_id(world, ssm, key):
    secure = {"Type": "SecureString", "Overwrite": True}
    code, text, _ = refusal(put, ssm=ssm, KeyId="alias/none", **secure)
    assert (code, "Alias" in text, "NotFoundException" in text) == ("InvalidKeyId", True, True)
    put(ssm, KeyId=key["KeyId"], **secure)
    world.aws("kms").disable_key(KeyId=key["KeyId"])
    code, text, _ = refusal(ssm.get_parameter, Name="/a/b", WithDecryption=True)
    assert (code, f"{key['Arn']} is disabled. (Service: AWSKMS" in text) == ("InvalidKeyId", True)


def test_without_a_key_a_new_version_lies_under_the_services_own(world, ssm, key):
    put(ssm, Type="SecureString", KeyId=key["KeyId"])
    put(ssm, value="2", Type="SecureString", Overwrite=True)
    versions = ssm.get_parameter_history(Name="/a/b", WithDecryption=True)["Parameters"]
    assert [(one["Value"], one["KeyId"]) for one in versions] == [("1", key["KeyId"]), ("2", "alias/aws/ssm")]


def test_parameters_of_an_older_state_are_read(world, ssm):
    key = world.aws("kms").describe_key(KeyId="alias/aws/ssm")["KeyMetadata"]["KeyId"]
    put(ssm, "/sealed", "secret", Type="SecureString")
    sealed = world.cloud.database.get("ssm-parameter", "/sealed")["versions"][0]["value"]
    old = {
        "number": 1,
        "type": "SecureString",
        "value": sealed,
        "keyId": key,
        "description": "",
        "tier": "Standard",
        "modified": 1.0,
        "user": "arn:aws:iam::111122223333:user/keyless-admin",
        "labels": ["stable"],
    }
    world.cloud.database.put("ssm-parameter", "/sealed", {"name": "/sealed", "tags": {"a": "b"}, "versions": [old]})
    world.restart()
    shown = ssm.get_parameter(Name="/sealed:stable", WithDecryption=True)["Parameter"]
    assert (shown["Value"], shown["ARN"]) == ("secret", f"{ARN}/sealed")


# Tags


def test_tags_decide_and_need_their_own_permission(world, ssm):
    tags = [{"Key": "team", "Value": "red"}]
    creator = world.aws("ssm", a_role(world, allow("ssm:PutParameter")))
    assert "ssm:AddTagsToResource" in refusal(put, ssm=creator, Tags=tags)[1]
    put(ssm, Tags=tags)
    condition = {"StringEquals": {"ssm:resourceTag/team": "red"}}
    policy = document(allow("ssm:GetParameter", Condition=condition))
    world.aws("iam").put_role_policy(RoleName="reader", PolicyName="p", PolicyDocument=policy)
    assert creator.get_parameter(Name="/a/b")["Parameter"]["Value"] == "1"
    ssm.remove_tags_from_resource(ResourceType="Parameter", ResourceId="/a/b", TagKeys=["team"])
    assert refusal(creator.get_parameter, Name="/a/b")[0] == "AccessDeniedException"


def test_tags_of_what_is_not_there_are_refused(ssm):
    asked = {"ResourceType": "Parameter", "ResourceId": "/none"}
    assert refusal(ssm.list_tags_for_resource, **asked)[0] == "InvalidResourceId"
    put(ssm)
    many = [{"Key": str(number), "Value": ""} for number in range(51)]
    asked = {"ResourceType": "Parameter", "ResourceId": "/a/b", "Tags": many}
    assert refusal(ssm.add_tags_to_resource, **asked)[0] == "TooManyTagsError"

"""Parameters by path and by filter, in pages."""

import pytest

from unit.local.cloud.support import ACCOUNT, a_role, allow, refusal

NAMES = ("/app/db/host", "/app/db/port", "/app/key", "/other", "plain")


@pytest.fixture
def ssm(world):
    return world.aws("ssm")


@pytest.fixture
def several(ssm):
    for name in NAMES:
        kind = "SecureString" if name == "/app/key" else "String"
        ssm.put_parameter(Name=name, Value="v", Type=kind, Tags=[{"Key": "app", "Value": name[1:4]}])
    ssm.put_parameter(Name="/app/db/host", Value="v2", Overwrite=True, Tier="Advanced")
    ssm.label_parameter_version(Name="/app/db/host", ParameterVersion=1, Labels=["stable"])
    return ssm


def names(answer):
    return [one["Name"] for one in answer["Parameters"]]


@pytest.mark.parametrize(
    ("path", "deep", "found"),
    [
        ("/app", False, ["/app/key"]),
        ("/app/", False, ["/app/key"]),
        ("/app", True, ["/app/db/host", "/app/db/port", "/app/key"]),
        ("/app/db", False, ["/app/db/host", "/app/db/port"]),
        ("/ap", True, []),
        ("/", False, ["/other", "plain"]),
        ("/", True, list(NAMES)),
        ("/aws/service", True, []),
    ],
)
def test_a_path_finds_what_is_below(several, path, deep, found):
    assert names(several.get_parameters_by_path(Path=path, Recursive=deep)) == found


@pytest.mark.parametrize("path", ["app", "/a//b", "/a b"])
def test_a_path_begins_with_a_slash(several, path):
    code, text, _ = refusal(several.get_parameters_by_path, Path=path)
    assert (code, "must begin with a forward slash" in text) == ("ValidationException", True)


def test_a_path_can_be_filtered_by_type_and_label(several):
    secure = [{"Key": "Type", "Values": ["SecureString"]}]
    assert names(several.get_parameters_by_path(Path="/", Recursive=True, ParameterFilters=secure)) == ["/app/key"]
    label = [{"Key": "Label", "Values": ["stable"]}]
    [one] = several.get_parameters_by_path(Path="/", Recursive=True, ParameterFilters=label)["Parameters"]
    assert (one["Name"], one["Version"], one["Value"]) == ("/app/db/host", 1, "v")


def test_a_path_comes_in_pages_of_ten_and_is_decrypted_on_request(ssm):
    for number in range(12):
        ssm.put_parameter(Name=f"/a/{number:02}", Value=str(number), Type="SecureString")
    first = ssm.get_parameters_by_path(Path="/a", WithDecryption=True)
    rest = ssm.get_parameters_by_path(Path="/a", WithDecryption=True, NextToken=first["NextToken"])
    values = [one["Value"] for one in first["Parameters"] + rest["Parameters"]]
    assert (len(first["Parameters"]), values) == (10, [str(number) for number in range(12)])
    assert refusal(ssm.get_parameters_by_path, Path="/a", MaxResults=11)[0] == "ValidationException"
    assert refusal(ssm.get_parameters_by_path, Path="/a", NextToken="x")[0] == "InvalidNextToken"


def test_who_may_read_a_path_reads_everything_below(world, several):
    arn = f"arn:aws:ssm:us-west-2:{ACCOUNT}:parameter/app"
    condition = {"StringEquals": {"ssm:Recursive": "false"}}
    reader = world.aws("ssm", a_role(world, allow("ssm:GetParametersByPath", arn, Condition=condition)))
    assert names(reader.get_parameters_by_path(Path="/app", WithDecryption=True)) == ["/app/key"]
    assert refusal(reader.get_parameters_by_path, Path="/app", Recursive=True)[0] == "AccessDeniedException"
    assert refusal(reader.get_parameters_by_path, Path="/")[0] == "AccessDeniedException"


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ([("Name", None, ["/app/key", "/other"])], ["/app/key", "/other"]),
        ([("Name", "Equals", ["app/key"])], ["/app/key"]),
        ([("Name", "BeginsWith", ["/app/db"])], ["/app/db/host", "/app/db/port"]),
        ([("Name", "Contains", ["o"])], ["/app/db/host", "/app/db/port", "/other"]),
        ([("Path", None, ["/app"])], ["/app/key"]),
        ([("Path", "Recursive", ["/app"])], ["/app/db/host", "/app/db/port", "/app/key"]),
        ([("Type", None, ["SecureString"])], ["/app/key"]),
        ([("KeyId", None, ["alias/aws/ssm"])], ["/app/key"]),
        ([("Tier", None, ["Advanced"])], ["/app/db/host"]),
        ([("DataType", None, ["text"]), ("Name", "BeginsWith", ["/o"])], ["/other"]),
        ([("tag:app", None, ["oth"])], ["/other"]),
        ([("tag:app", None, [])], list(NAMES)),
        ([("tag:other", None, [])], []),
    ],
)
def test_filters_choose(several, filters, found):
    given = [
        {"Key": key} | ({"Option": option} if option else {}) | ({"Values": values} if values else {})
        for key, option, values in filters
    ]
    assert names(several.describe_parameters(ParameterFilters=given)) == found


@pytest.mark.parametrize(
    ("filters", "code", "text"),
    [
        ([{"Key": "Label", "Values": ["a"]}], "InvalidFilterKey", "filter key is not valid: Label"),
        ([{"Key": "Name"}], "InvalidFilterValue", "values are missing : null for filter key Name"),
        ([{"Key": "Name", "Values": ["a"]}] * 2, "InvalidFilterKey", "is duplicated in the request: Name"),
        ([{"Key": "Path", "Option": "Equals", "Values": ["/a"]}], "InvalidFilterOption", "[Recursive, OneLevel]"),
        ([{"Key": "Type", "Option": "Contains", "Values": ["String"]}], "InvalidFilterOption", "not valid: Contains"),
        ([{"Key": "Type", "Values": ["Number"]}], "InvalidFilterOption", "value is not valid: Number"),
        ([{"Key": "Path", "Values": ["/aws/x"]}], "ValidationException", "can't be prefixed with"),
        ([{"Key": "Path", "Values": ["x"]}], "ValidationException", "must begin with a forward slash"),
    ],
)
def test_filters_that_cannot_be_are_refused(several, filters, code, text):
    found, message, _ = refusal(several.describe_parameters, ParameterFilters=filters)
    assert found == code
    assert text in message


def test_a_path_is_not_filtered_by_name(several):
    given = [{"Key": "Name", "Values": ["a"]}]
    assert refusal(several.get_parameters_by_path, Path="/", ParameterFilters=given)[0] == "InvalidFilterKey"


def test_the_older_filters_choose_and_do_not_mix(several):
    old = [{"Key": "Name", "Values": ["/app/d"]}]
    assert names(several.describe_parameters(Filters=old)) == ["/app/db/host", "/app/db/port"]
    mixed = {"Filters": old, "ParameterFilters": [{"Key": "Type", "Values": ["String"]}]}
    assert refusal(several.describe_parameters, **mixed)[0] == "ValidationException"


def test_a_description_has_no_value(several):
    page = several.describe_parameters(MaxResults=3)
    assert len(page["Parameters"]) == 3
    assert "NextToken" in page
    for one in page["Parameters"]:
        assert "Value" not in one
    assert page["Parameters"][2]["KeyId"] == "alias/aws/ssm"


def test_several_are_deleted_and_the_unknown_named(several):
    answer = several.delete_parameters(Names=["/other", "/none"])
    assert (answer["DeletedParameters"], answer["InvalidParameters"]) == (["/other"], ["/none"])
    assert "/other" not in names(several.describe_parameters())

"""Reading templates: forms, short tags, intrinsic functions, parameters, and what is refused in which words."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyless.local.cloud.cloudformation import documents, parameters
from keyless.local.cloud.cloudformation.intrinsics import Scope, resolve
from keyless.local.cloud.cloudformation.model import Resource, Wish
from keyless.local.cloud.cloudformation.naming import physical_name, step_token
from keyless.local.cloud.cloudformation.target import target_of
from keyless.local.cloud.cloudformation.template import parse
from keyless.local.cloud.errors import AwsError
from unit.local.cloud.cloudformation.templates import POD_ROLE, a_bucket, a_role, text

STACK = "arn:aws:cloudformation:us-west-2:111122223333:stack/roles/8f6e-1"
SCOPE = Scope(
    {"AWS::Region": "us-west-2", "AWS::Partition": "aws", "Name": "x", "Names": ["a", "b"]},
    {"Sizes": {"us-west-2": {"small": "1", "many": ["p", "q"]}}},
    {},
    {"Role1": Resource("Role1", "AWS::IAM::Role", "CREATE_COMPLETE", 0.0, "role-id", attributes={"Arn": "the-arn"})},
)


def refused(work: Any, *given_values: Any) -> str:
    """The message of a refusal, which must be a ValidationError."""
    with pytest.raises(AwsError) as error:
        work(*given_values)
    assert error.value.code == "ValidationError"
    return error.value.message


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Ref": "Name"}, "x"),
        ({"Ref": "Role1"}, "role-id"),
        ({"Ref": "AWS::Region"}, "us-west-2"),
        ({"Fn::GetAtt": "Role1.Arn"}, "the-arn"),
        ({"Fn::GetAtt": ["Role1", "Arn"]}, "the-arn"),
        ({"Fn::Sub": "arn:${AWS::Partition}:iam::aws:policy/${Name}"}, "arn:aws:iam::aws:policy/x"),
        ({"Fn::Sub": "${!aws:username} ${Role1} ${Role1.Arn}"}, "${aws:username} role-id the-arn"),
        ({"Fn::Sub": ["${Own}-${Name}", {"Own": {"Ref": "AWS::Region"}}]}, "us-west-2-x"),
        ({"Fn::Join": ["/", ["a", {"Ref": "Name"}, 1, True]]}, "a/x/1/true"),
        ({"Fn::Join": [",", {"Ref": "Names"}]}, "a,b"),
        ({"Fn::Select": ["1", {"Ref": "Names"}]}, "b"),
        ({"Fn::Select": [0, {"Fn::Split": ["-", "p-q"]}]}, "p"),
        ({"Fn::FindInMap": ["Sizes", {"Ref": "AWS::Region"}, "small"]}, "1"),
        ({"Fn::FindInMap": ["Sizes", "us-west-2", "many"]}, ["p", "q"]),
        ({"Fn::Base64": "hi"}, "aGk="),
        ({"a": [{"Ref": "AWS::NoValue"}, 1], "b": {"Ref": "AWS::NoValue"}}, {"a": [1]}),
        ({"Ref": "Name", "other": 1}, {"Ref": "Name", "other": 1}),
    ],
)
def test_a_function_gives(value: Any, expected: Any) -> None:
    assert resolve(value, SCOPE) == expected


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ({"Fn::ImportValue": "x"}, "this cloud has no Fn::ImportValue"),
        ({"Fn::FindInMap": ["Sizes", "eu", "small"]}, "Unable to get mapping for Sizes::eu::small"),
        ({"Fn::GetAtt": "Role1.Nope"}, "resource Role1 does not support attribute type Nope in Fn::GetAtt"),
        ({"Fn::GetAtt": ["Role1"]}, "every Fn::GetAtt object requires two non-empty parameters"),
        ({"Fn::Sub": "${Names}"}, "variable Names in Fn::Sub expression does not resolve to a string"),
        ({"Fn::Sub": ["a"]}, "don't specify expected arguments"),
        ({"Fn::Join": "a"}, "every Fn::Join object requires two parameters"),
        ({"Fn::Select": ["7", {"Ref": "Names"}]}, "Fn::Select cannot select nonexistent value"),
        ({"Fn::Split": ["", "a"]}, "every Fn::Split object requires two parameters"),
        ({"Ref": "Nobody"}, "Unresolved resource dependencies [Nobody]"),
    ],
)
def test_a_function_that_cannot_be_is_refused(value: Any, part: str) -> None:
    assert part in refused(resolve, value, SCOPE)


YAML = """
AWSTemplateFormatVersion: 2010-09-09
Parameters:
  Team: {Type: String, Default: blue}
Conditions:
  IsBlue: !Equals [!Ref Team, blue]
  IsRed: !Not [!Condition IsBlue]
Resources:
  Bucket:
    Type: AWS::S3::Bucket
    Condition: IsBlue
    Properties:
      BucketName: !Sub "${Team}-bucket"
      VersioningConfiguration: !If [IsRed, {Status: Enabled}, !Ref AWS::NoValue]
  Never:
    Type: AWS::S3::Bucket
    Condition: IsRed
Outputs:
  Arn: {Value: !GetAtt Bucket.Arn, Condition: IsBlue}
"""


def test_yaml_with_short_tags_reads_as_its_long_form() -> None:
    found = documents.read_untrusted(YAML)
    assert found["AWSTemplateFormatVersion"] == "2010-09-09", "no date"
    assert found["Outputs"]["Arn"]["Value"] == {"Fn::GetAtt": ["Bucket", "Arn"]}
    assert found["Conditions"]["IsRed"] == {"Fn::Not": [{"Condition": "IsBlue"}]}


@pytest.mark.parametrize(("team", "wanted"), [("blue", ["Bucket"]), ("red", ["Never"])])
def test_conditions_choose_resources_and_properties(team: str, wanted: list[str]) -> None:
    target = target_of(Wish(YAML, {"Team": team}), STACK)
    assert [one.logical_id for one in target.declared] == wanted
    properties = resolve(dict(target.declared[0].properties), target.scope)
    assert properties == ({"BucketName": "blue-bucket"} if team == "blue" else {})


def test_what_is_needed_comes_first_by_reference_and_by_depends_on() -> None:
    role = {**a_role(Description={"Fn::Sub": "for ${Second}"}), "DependsOn": "Third"}
    template = text({"First": role, "Second": a_bucket("one"), "Third": a_bucket("two")})
    ordered = [one.logical_id for one in target_of(Wish(template), STACK).declared]
    assert ordered.index("First") > max(ordered.index("Second"), ordered.index("Third"))


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("[]", "Template format error: unsupported structure."),
        ("just words", "Template format error: unsupported structure."),
        ('{"Resources": ', "Template format error: JSON not well-formed. (line 1, column 15)"),
        ("a: b: c", "Template format error: YAML not well-formed. (line 1, column 5)"),
        ("a: &x [1]\nb: *x", "Template format error: YAML aliases are not allowed in CloudFormation templates"),
        ("{}", "Template format error: At least one Resources member must be defined."),
        ('{"Colour": 1}', "Invalid template property or properties [Colour]"),
        ('{"Transform": "AWS::Serverless-2016-10-31"}', "Template format error: this cloud has no Transform."),
        (text({"A-b": POD_ROLE}), "Template format error: Resource name A-b is non alphanumeric."),
        (
            text({"A": {"Properties": {}}}),
            "Template format error: [/Resources/A] Every Resources object must contain a Type member.",
        ),
        (text({"A": {**POD_ROLE, "Propertys": {}}}), "Invalid template resource property 'Propertys'"),
        (
            text({"A": a_bucket(name={"Ref": "B"})}),
            "Template format error: Unresolved resource dependencies [B] in the Resources block of the template",
        ),
        (
            text({"A": a_bucket()}, {"X": {"Value": {"Ref": "B"}}}),
            "Template format error: Unresolved resource dependencies [B] in the Outputs block of the template",
        ),
        (
            text({"A": a_bucket(name={"Fn::GetAtt": "B.Arn"})}),
            "Template error: instance of Fn::GetAtt references undefined resource B",
        ),
        (
            text({"A": a_bucket(name={"Ref": "B"}), "B": a_bucket(name={"Ref": "A"})}),
            "Circular dependency between resources: [A, B]",
        ),
        (
            text({"A": {**POD_ROLE, "Condition": "Nope"}}),
            "Template format error: Unresolved condition dependency Nope in the Resources block of the template",
        ),
        (
            text({"A": POD_ROLE}, {"X": {}}),
            "Template format error: Every Outputs member must contain a Value object",
        ),
        (
            text({"A": POD_ROLE}, {"X": {"Value": ["a"]}}),
            "Template format error: The Value field of every Outputs member must evaluate to a String.",
        ),
        (
            text({"A": {**POD_ROLE, "DeletionPolicy": "Snapshot"}}),
            "Template error: DeletionPolicy Snapshot is not supported for AWS::IAM::Role",
        ),
        (
            "x" * 51_201,
            "1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must"
            " have length less than or equal to 51200",
        ),
    ],
)
def test_a_template_that_will_not_do_is_refused_in_cloudformation_s_words(template: str, message: str) -> None:
    assert refused(parse, template) == message


def test_deep_nesting_ends_in_a_refusal() -> None:
    for deep in ('{"Resources":' + "[" * 20_000 + "]" * 20_000 + "}", "a: " + "[" * 5_000 + "]" * 5_000):
        assert refused(parse, deep).startswith("Template format error: ")


@given(st.text(max_size=300))
def test_no_text_breaks_the_reading_of_templates(template: str) -> None:
    refused(parse, template)


SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "Role1", "AWS::IAM::Role", "Ref"])
NAMES = st.sampled_from(
    ["Type", "Properties", "DependsOn", "Condition", "Ref", "Fn::Sub", "Fn::If", "Fn::GetAtt", "Role1"]
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
)


@given(VALUES, VALUES, VALUES)
def test_no_shape_of_its_sections_breaks_the_reading_of_templates(resource: Any, condition: Any, output: Any) -> None:
    body = {
        "Resources": {"Role1": resource, "Role2": POD_ROLE},
        "Conditions": {"C": condition},
        "Outputs": {"O": output},
    }
    assert outcome(orjson.dumps(body).decode()) in {"read", "ValidationError"}


def outcome(template: str) -> str:
    """Whether the template could be read, or the code of the refusal."""
    try:
        target_of(Wish(template), STACK)
    except AwsError as error:
        return error.code
    return "read"


PARAMETERS = {
    "Name": {"Type": "String", "AllowedPattern": "[a-z]+", "MinLength": 2, "MaxLength": 5},
    "Size": {"Type": "Number", "Default": 3, "MinValue": 1, "MaxValue": 9},
    "Color": {"Type": "String", "Default": "red", "AllowedValues": ["red", "blue"]},
    "List": {"Type": "CommaDelimitedList", "Default": "a,b", "NoEcho": "true"},
}


def values(**given_values: str) -> dict[str, str]:
    template = parse(text({"A": POD_ROLE}, Parameters=PARAMETERS))
    pairs = [{"ParameterKey": key, "ParameterValue": value} for key, value in given_values.items()]
    return parameters.values(template, pairs)


def test_parameters_have_their_defaults_and_lists_are_lists() -> None:
    template = parse(text({"A": POD_ROLE}, Parameters=PARAMETERS))
    found = values(Name="abc")
    assert found == {"Name": "abc", "Size": "3", "Color": "red", "List": "a,b"}
    assert parameters.typed(template, found)["List"] == ["a", "b"]
    assert {"ParameterKey": "List", "ParameterValue": "****"} in parameters.shown(template, found)


@pytest.mark.parametrize(
    ("given_values", "message"),
    [
        ({}, "Parameters: [Name] must have values"),
        ({"Name": "abc", "Other": "x"}, "Parameters: [Other] do not exist in the template"),
        ({"Name": "ABC"}, "Parameter 'Name' must match pattern [a-z]+"),
        ({"Name": "a"}, "Parameter 'Name' must contain at least 2 characters"),
        ({"Name": "abcdef"}, "Parameter 'Name' must contain at most 5 characters"),
        ({"Name": "abc", "Size": "x"}, "Parameter 'Size' must be a number."),
        ({"Name": "abc", "Size": "10"}, "Parameter 'Size' must be a number not greater than 9"),
        ({"Name": "abc", "Size": "0"}, "Parameter 'Size' must be a number not less than 1"),
        ({"Name": "abc", "Color": "green"}, "Parameter 'Color' must be one of AllowedValues"),
    ],
)
def test_a_parameter_must_fulfil_what_is_declared(given_values: dict[str, str], message: str) -> None:
    with pytest.raises(AwsError) as error:
        values(**given_values)
    assert error.value.message == message


def test_made_up_names_fit_and_come_again_for_the_same_step_alone() -> None:
    long = STACK.replace("roles", "eksctl-keyless-addon-iamserviceaccount-mxp-1234-system-vector")
    name = physical_name(long, "Role1", 0, 64)
    assert len(name) == 64
    assert name.startswith("eksctl-keyless-addon-iamserviceaccount-")
    assert "-Role1-" in name
    assert physical_name(long, "Role1", 0, 64) == name
    assert physical_name(long, "Role1", 1, 64) != name
    assert 33 <= len(step_token(long, "Role1", 0)) <= 126

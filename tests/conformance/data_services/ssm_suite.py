"""Parameter Store: what moto is asked, and where its answers are not AWS's."""

from __future__ import annotations

from typing import Any

from conformance.data_services.recording import Difference, Scenario, Step, Suite, step

_API = "https://docs.aws.amazon.com/systems-manager/latest/APIReference"
_GUIDE = "https://docs.aws.amazon.com/systems-manager/latest/userguide"


def put(name: str, value: str = "1", label: str = "", **more: Any) -> Step:
    asked = {"Name": name, "Value": value, "Type": "String"} | more
    return step(label or f"put {name} {value[:8]}", "PutParameter", **{k: v for k, v in asked.items() if v is not None})


def get(name: str, **more: Any) -> Step:
    return step(f"get {name} {sorted(more)}", "GetParameter", Name=name, **more)


VALUES = Scenario(
    "values",
    (
        put("plain"),
        put("/a/b", "2", Description="words", AllowedPattern=r"\d+"),
        put("/list", "a,b", Type="StringList"),
        put("/secret", "s", Type="SecureString"),
        *(get(name, WithDecryption=True) for name in ("plain", "/a/b", "/list", "/secret", "/none")),
        put("plain", "2", "again"),
        put("plain", "2", "overwrite", Overwrite=True),
        put("plain", "3", "overwrite, no type", Overwrite=True, Type=None),
        get("plain"),
        *(get(f"plain:{number}") for number in (1, 3, 9)),
        step("many", "GetParameters", Names=["plain", "plain:1", "/none", "/list"]),
        step("many secrets", "GetParameters", Names=["/secret"], WithDecryption=True),
        step("too many", "GetParameters", Names=[f"n{number}" for number in range(11)]),
        put("/none", "1", "no type", Type=None),
        put("/none", "", "no value"),
        put("/none", "1", "bad type", Type="Number"),
        put("/none", "1", "bad data type", DataType="TEXT"),
        put("/none", "1", "tags and overwrite", Overwrite=True, Tags=[{"Key": "a", "Value": "b"}]),
        *(
            put(name, "1", f"name {name}")
            for name in ("aws", "awsx", "ssm", "SSMx", "/aws/x", "/ssm/x", "/AWS/x", "/aws", "/x/aws")
        ),
        step("history", "GetParameterHistory", Name="plain"),
        step("history of absent", "GetParameterHistory", Name="/none"),
        step("history page", "GetParameterHistory", Name="plain", MaxResults=2),
        step("history too long", "GetParameterHistory", Name="plain", MaxResults=51),
        step("delete", "DeleteParameter", Name="plain"),
        step("delete again", "DeleteParameter", Name="plain"),
        step("delete several", "DeleteParameters", Names=["/list", "/none"]),
        step("described", "DescribeParameters"),
    ),
)

#: by name and by age the same: moto lists by age
_BELOW = ("/app/db/host", "/app/db/port", "/app/key", "/app/secret", "/other", "plain")


def below(name: str, **more: Any) -> Step:
    return put(name, Type="SecureString" if name == "/app/secret" else "String", **more)


def found(label: str, **params: Any) -> Step:
    return step(label, "GetParametersByPath", **params)


PATHS = Scenario(
    "paths",
    (
        *(below(name) for name in _BELOW),
        *(
            found(f"{path} {deep}", Path=path, Recursive=deep)
            for path in ("/app", "/app/", "/app/db", "/ap", "/")
            for deep in (False, True)
        ),
        found("decrypted", Path="/app", WithDecryption=True),
        found("secure", Path="/app", ParameterFilters=[{"Key": "Type", "Values": ["SecureString"]}]),
        found("by name", Path="/app", ParameterFilters=[{"Key": "Name", "Values": ["/app/key"]}]),
        found("page", Path="/", Recursive=True, MaxResults=2),
        found("too long", Path="/", MaxResults=11),
    ),
)

_FILTERS: tuple[tuple[str, str | None, list[str] | None], ...] = (
    ("Name", None, ["/app/key", "/other"]),
    ("Name", "Equals", ["app/key"]),
    ("Name", "BeginsWith", ["/app/db"]),
    ("Name", "BeginsWith", ["app"]),
    ("Name", "Contains", ["o"]),
    ("Name", "OneLevel", ["/app"]),
    ("Name", None, None),
    ("Path", None, ["/app"]),
    ("Path", "OneLevel", ["/app/"]),
    ("Path", "Recursive", ["/app"]),
    ("Path", "Recursive", ["/"]),
    ("Path", "OneLevel", ["/"]),
    ("Path", "Equals", ["/app"]),
    ("Path", None, ["app"]),
    ("Path", None, ["/aws/x"]),
    ("Path", None, ["/app//db"]),
    ("Type", None, ["SecureString"]),
    ("Type", "BeginsWith", ["String"]),
    ("Type", "Contains", ["String"]),
    ("Type", None, ["Number"]),
    ("KeyId", None, ["alias/aws/ssm"]),
    ("KeyId", "BeginsWith", ["alias/"]),
    ("Tier", None, ["Standard"]),
    ("Tier", None, ["Gold"]),
    ("Label", None, ["x"]),
    ("tag:app", None, ["oth"]),
    ("tag:app", None, None),
    ("tag:none", None, None),
    ("Other", None, ["x"]),
)


def described(key: str, option: str | None, values: list[str] | None) -> Step:
    given: dict[str, Any] = {"Key": key}
    given |= {"Option": option} if option else {}
    given |= {"Values": values} if values else {}
    return step(f"{key} {option} {values}", "DescribeParameters", ParameterFilters=[given])


FILTERS = Scenario(
    "filters",
    (
        *(below(name, Tags=[{"Key": "app", "Value": name[1:4]}]) for name in _BELOW),
        *(described(*one) for one in _FILTERS),
        step("twice", "DescribeParameters", ParameterFilters=[{"Key": "Name", "Values": ["a"]}] * 2),
        step("page", "DescribeParameters", MaxResults=2),
        step("older", "DescribeParameters", Filters=[{"Key": "Type", "Values": ["SecureString"]}]),
        step(
            "mixed",
            "DescribeParameters",
            Filters=[{"Key": "Name", "Values": ["/app"]}],
            ParameterFilters=[{"Key": "Type", "Values": ["String"]}],
        ),
    ),
)


def label(name: str, *labels: str, version: int | None = None, of: str = "/p") -> Step:
    more = {} if version is None else {"ParameterVersion": version}
    return step(name, "LabelParameterVersion", Name=of, Labels=list(labels), **more)


LABELS = Scenario(
    "labels",
    (
        *(put("/p", str(number), Overwrite=True) for number in (1, 2, 3)),
        label("last", "stable"),
        get("/p:stable"),
        label("first", "stable", version=1),
        step("moved", "GetParameterHistory", Name="/p"),
        label("bad", "aws1", "ssm1", "1a", "a b", "good"),
        label("absent version", "x", version=9),
        label("absent", "x", of="/none"),
        label("too many", *(f"label{number}" for number in range(11)), version=2),
        label("ten", *(f"label{number}" for number in range(10)), version=2),
        label("one more", "more", version=2),
        step("taken", "UnlabelParameterVersion", Name="/p", ParameterVersion=1, Labels=["stable", "none"]),
        step("taken from absent", "UnlabelParameterVersion", Name="/none", ParameterVersion=1, Labels=["a"]),
        step("taken from absent version", "UnlabelParameterVersion", Name="/p", ParameterVersion=9, Labels=["a"]),
        step("after", "GetParameterHistory", Name="/p"),
        step("by path", "GetParametersByPath", Path="/", ParameterFilters=[{"Key": "Label", "Values": ["label1"]}]),
    ),
)


def tagged(name: str, operation: str, resource: str = "/p", kind: str = "Parameter", **more: Any) -> Step:
    return step(name, operation, ResourceType=kind, ResourceId=resource, **more)


TAGS = Scenario(
    "tags",
    (
        put("/p", Tags=[{"Key": "a", "Value": "1"}]),
        tagged("list", "ListTagsForResource"),
        tagged("add", "AddTagsToResource", Tags=[{"Key": "b", "Value": "2"}, {"Key": "a", "Value": "3"}]),
        tagged("added", "ListTagsForResource"),
        tagged("remove", "RemoveTagsFromResource", TagKeys=["a", "none"]),
        tagged("removed", "ListTagsForResource"),
        tagged("list absent", "ListTagsForResource", "/none"),
        tagged("add to absent", "AddTagsToResource", "/none", Tags=[{"Key": "b", "Value": "2"}]),
        tagged("remove from absent", "RemoveTagsFromResource", "/none", TagKeys=["a"]),
        tagged("other kind", "ListTagsForResource", kind="Other"),
        step("delete", "DeleteParameter", Name="/p"),
        put("/p", "2"),
        tagged("fresh", "ListTagsForResource"),
    ),
)

VERSIONS = Scenario(
    "versions",
    (
        *(put("/p", str(number), Overwrite=True) for number in range(1, 101)),
        put("/p", "101", Overwrite=True),
        get("/p:1"),
        get("/p:2"),
        label("hold", "keep", version=2),
        put("/p", "102", Overwrite=True),
    ),
)

_DIFFERENCES = (
    Difference("*: result.Parameter*.Selector", f"the selector is given back ({_API}/API_Parameter.html)"),
    Difference("*: result.Parameters.*.Policies", "an empty list is listed, as terraform's provider sees it"),
    Difference("values/described: result.Parameters.*.ARN", f"{_API}/API_ParameterMetadata.html"),
    Difference("filters/*: result.Parameters.*.ARN", f"{_API}/API_ParameterMetadata.html"),
    Difference("values/many: result.Parameters.*", "in the order that was asked for; AWS promises none, moto sorts"),
    Difference("paths/*: result.Parameters.[13].Value", "a ciphertext, each side its own"),
    Difference("paths/secure: result.Parameters.0.Value", "a ciphertext, each side its own"),
    Difference("filters/Tier None *Standard*: *", "a parameter without a tier is a standard one; moto finds none"),
    Difference("filters/page: *", f"MaxResults holds ({_API}/API_DescribeParameters.html)"),
    Difference(
        "labels/too many: error.Code", "ten in a request by the model: a ValidationException, before anything else"
    ),
    Difference("labels/by path: *", f"labels filter a path ({_API}/API_GetParametersByPath.html); moto fails"),
    Difference(
        "tags/other kind: error.Code", "the kinds are in the model: a ValidationException, before anything else"
    ),
    Difference("tags/fresh: *", "tags go with their parameter"),
)

SUITE = Suite(
    "ssm",
    scenarios=(VALUES, PATHS, FILTERS, LABELS, TAGS, VERSIONS),
    differences=_DIFFERENCES,
    made_up=frozenset({"ARN", "NextToken", "LastModifiedUser"}),
)

"""``dataFrom.find``: names by expression, path and tags, at both services, and only within a namespace's scopes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyless.shared_secrets.stores.batching import Batchers
from keyless.shared_secrets.stores.guard import ReadGuard
from keyless.shared_secrets.stores.model import AwsProvider
from keyless.shared_secrets.stores.readers import open_reader
from keyless.shared_secrets.stores.scoping import Bounds, ScopedReader
from keyless.shared_secrets.stores.sessions import Opened
from keyless.shared_secrets.sync.model import wanted_of
from keyless.shared_secrets.sync.reading import Gathering, ReadFailed
from unit.shared_secrets.fakes import FakeAws, InlineRenderer

TAGS = {"team-a/db": {"env": "prod"}, "team-a/web": {"env": "production", "x": "prod"}, "team-b/db": {"env": "prod"}}


class Aws(FakeAws):
    """Both services with the names of ``TAGS``, two to a page; each value is its name's."""

    def __init__(self, names=tuple(TAGS)):
        super().__init__(dict.fromkeys(names, "v"), dict.fromkeys(names, "v"))

    def _page(self, names, token):
        at = int(token or 0)
        return names[at : at + 2], {"NextToken": str(at + 2)} if at + 2 < len(names) else {}

    def ListSecrets(self, Filters=(), MaxResults=0, NextToken=""):  # noqa: N803 - AWS's own names
        names = sorted(self.secrets)
        for one in Filters:
            if one["Key"] == "name":
                names = [name for name in names if name.startswith(one["Values"][0])]
        page, more = self._page(names, NextToken)
        tags = {name: [{"Key": k, "Value": v} for k, v in TAGS.get(name, {}).items()] for name in page}
        return {"SecretList": [{"Name": name, "Tags": tags[name]} for name in page], **more}

    def BatchGetSecretValue(self, SecretIdList):  # noqa: N803 - AWS's own name
        return {"SecretValues": [{"Name": name, "SecretString": self.secrets[name]} for name in SecretIdList]}

    def GetParameters(self, Names, WithDecryption):  # noqa: N803 - AWS's own names
        return {"Parameters": [{"Name": name, "Value": self.parameters[name]} for name in Names]}

    def DescribeParameters(self, ParameterFilters=(), MaxResults=0, NextToken=""):  # noqa: N803 - AWS's own names
        names = sorted(self.parameters)
        for one in ParameterFilters:
            if one["Key"] == "Name":
                names = [name for name in names if name.startswith(one["Values"][0])]
            else:
                key = one["Key"].removeprefix("tag:")
                names = [name for name in names if TAGS.get(name, {}).get(key) in one["Values"]]
        page, more = self._page(names, NextToken)
        return {"Parameters": [{"Name": name} for name in page], **more}


class OneStore:
    def __init__(self, reader):
        self.reader = reader

    async def open(self, ref, namespace):
        return self.reader


def reader(aws, service="SecretsManager", prefix="", prefixes=None):
    provider = AwsProvider(service, "us-west-2", prefix=prefix)
    found = open_reader(Opened(aws, "own", True), provider, Batchers(lambda: 0.0))
    return found if prefixes is None else ScopedReader(found, aws, provider, Bounds("app", prefixes))


async def no_generator(_ref):
    raise AssertionError("no generator is named")


async def found(one, find, **item):
    spec = {"secretStoreRef": {"name": "s"}, "dataFrom": [{"find": find, **item}]}
    wanted = wanted_of({"metadata": {"name": "e", "namespace": "app"}, "spec": spec})
    gathering = Gathering(
        OneStore(one), ReadGuard(lambda: 0.0), wanted, InlineRenderer(), fresh=True, makes=no_generator
    )
    return (await gathering.run()).data


BY = [
    ({"name": {"regexp": "db$"}}, {"team-a_db", "team-b_db"}),
    ({"name": {"regexp": "^team-a/"}}, {"team-a_db", "team-a_web"}),
    ({"path": "team-a"}, {"team-a_db", "team-a_web"}),
    ({"path": "team-a", "name": {"regexp": "web"}}, {"team-a_web"}),
    ({"tags": {"env": "prod"}}, {"team-a_db", "team-b_db"}),
    ({"tags": {"env": "prod"}, "path": "team-b/"}, {"team-b_db"}),
    ({"tags": {"x": "prod", "env": "production"}}, {"team-a_web"}),
    ({"name": {"regexp": "none"}}, set()),
]


@pytest.mark.parametrize("service", ["SecretsManager", "ParameterStore"])
@pytest.mark.parametrize(("find", "names"), BY)
async def test_all_that_is_asked_for_holds_exactly(service, find, names):
    assert set(await found(reader(Aws(), service), find)) == names


async def test_names_are_rewritten_merged_and_decoded_as_other_keys():
    aws = Aws()
    assert await found(reader(aws), {"path": "team-a"}, rewrite=[{"regexp": {"source": ".*/", "target": ""}}]) == {
        "db": b"v",
        "web": b"v",
    }
    aws.secrets = {"team-a/db": '{"u": "1"}', "team-a/web": '{"w": "2"}'}
    assert await found(reader(aws), {"path": "team-a"}, rewrite=[{"merge": {}}]) == {"u": b"1", "w": b"2"}


async def test_a_prefix_of_the_store_is_looked_below_and_not_put_before_twice():
    assert await found(reader(Aws(), prefix="team-a/"), {"name": {"regexp": "."}}) == {"db": b"v", "web": b"v"}


_NAMES = st.lists(st.sampled_from(["team-a", "team-a/db", "team-ab/db", "team-b/db", "x"]), unique=True)


@pytest.mark.parametrize("service", ["SecretsManager", "ParameterStore"])
@given(_NAMES, st.sampled_from(["", "t", "team-a", "team-b/"]))
async def test_what_is_outside_of_a_scope_is_never_read_nor_told(service, names, path):
    aws = Aws(names)
    one = reader(aws, service, prefixes=("team-a",))
    data = await found(one, {"path": path, "name": {"regexp": ""}} if path else {"name": {"regexp": "."}})
    inside = {name for name in names if (name == "team-a" or name.startswith("team-a/")) and name.startswith(path)}
    assert set(data) == {name.replace("/", "_") for name in inside}
    reads = [str(asked) for operation, asked in aws.calls if operation not in {"ListSecrets", "DescribeParameters"}]
    assert not [one for one in reads if "team-ab" in one or "team-b" in one or "'x'" in one]


@pytest.mark.parametrize(
    ("find", "words"),
    [
        ({"name": {"regexp": "("}}, "no RE2 expression"),
        ({"name": {"regexp": "."}}, "ListSecrets: AccessDeniedException"),
    ],
)
async def test_a_search_that_cannot_be_made_says_why_and_names_no_secret(find, words):
    aws = Aws()
    aws.refuse["ListSecrets"] = "AccessDeniedException"
    with pytest.raises(ReadFailed, match=words) as caught:
        await found(reader(aws), find)
    assert "team-" not in str(caught.value)


async def test_one_that_may_not_be_read_fails_all_and_one_that_is_gone_is_left_out():
    aws = Aws()
    aws.refuse["GetSecretValue"] = aws.refuse["BatchGetSecretValue"] = "AccessDeniedException"
    with pytest.raises(ReadFailed, match="AccessDeniedException"):
        await found(reader(aws), {"path": "team-a"})

    class Gone(Aws):
        def GetSecretValue(self, **asked):
            if asked["SecretId"] == "team-a/web":
                self._no("GetSecretValue", "ResourceNotFoundException", "")
            return super().GetSecretValue(**asked)

    gone = Gone()
    gone.refuse["BatchGetSecretValue"] = "AccessDeniedException"
    assert set(await found(reader(gone), {"path": "team-a"})) == {"team-a_db"}

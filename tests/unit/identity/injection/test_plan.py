import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyless.identity.injection import Known, MappedRole, Settings, inject
from keyless.identity.injection.model import Account

ROLE = "arn:aws:iam::111122223333:role/billing"
EKS = Settings(aws_default_region="us-west-2", sts_regional_endpoint=True)
ASSOCIATED = Known(frozenset({("ns", "vector")}))


def a_pod(*containers, **spec):
    containers = list(containers) or [{"name": "main", "image": "x"}]
    return {"metadata": {"name": "p"}, "spec": {"serviceAccountName": "vector", "containers": containers, **spec}}


def an_account(**annotations):
    named = {f"eks.amazonaws.com/{key.replace('_', '-')}": value for key, value in annotations.items()}
    return {"metadata": {"name": "vector", "namespace": "ns", "annotations": named}}


def decide(pod, account=None, known=None, flags=EKS, **more):
    return inject(pod, account, known or Known(), flags, namespace="ns", **more)


def patched(pod, injection):
    """Apply the add operations that the webhook may emit."""
    pod = copy.deepcopy(pod)
    for operation in injection.operations if injection else ():
        assert operation["op"] == "add"
        *parents, last = [p.replace("~1", "/") for p in operation["path"].split("/")[1:]]
        target = pod
        for part in parents:
            target = target[int(part)] if isinstance(target, list) else target[part]
        if isinstance(target, list):
            target.insert(len(target) if last == "-" else int(last), operation["value"])
        else:
            target[last] = operation["value"]
    return pod


def env(container):
    return {variable["name"]: variable.get("value") for variable in container.get("env", [])}


def irsa(pod, flags=EKS, **annotations):
    return patched(pod, decide(pod, an_account(role_arn=ROLE, **annotations), flags=flags))


def agent(pod, **more):
    return patched(pod, decide(pod, an_account(), ASSOCIATED, **more))


def token_source(pod):
    return pod["spec"]["volumes"][0]["projected"]["sources"][0]["serviceAccountToken"]


def test_a_service_account_without_identity_gets_nothing():
    assert decide(a_pod(), an_account()) is None
    assert decide(a_pod(), None) is None


def test_an_annotation_gives_the_web_identity_variables_in_upstreams_order():
    container = irsa(a_pod())["spec"]["containers"][0]
    assert [variable["name"] for variable in container["env"]] == [
        "AWS_STS_REGIONAL_ENDPOINTS",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_ROLE_ARN",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
    ]
    assert env(container)["AWS_ROLE_ARN"] == ROLE
    assert env(container)["AWS_WEB_IDENTITY_TOKEN_FILE"] == "/var/run/secrets/eks.amazonaws.com/serviceaccount/token"


def test_the_token_is_projected_and_mounted_read_only():
    pod = irsa(a_pod())
    assert pod["spec"]["volumes"] == [
        {
            "name": "aws-iam-token",
            "projected": {
                "sources": [
                    {
                        "serviceAccountToken": {
                            "audience": "sts.amazonaws.com",
                            "expirationSeconds": 86400,
                            "path": "token",
                        }
                    }
                ]
            },
        }
    ]
    assert pod["spec"]["containers"][0]["volumeMounts"] == [
        {
            "name": "aws-iam-token",
            "readOnly": True,
            "mountPath": "/var/run/secrets/eks.amazonaws.com/serviceaccount",
        }
    ]


def test_an_association_wins_over_the_annotation_and_sets_no_role():
    pod = patched(a_pod(), decide(a_pod(), an_account(role_arn=ROLE), ASSOCIATED))
    found = env(pod["spec"]["containers"][0])
    assert "AWS_ROLE_ARN" not in found
    assert "AWS_WEB_IDENTITY_TOKEN_FILE" not in found
    assert found["AWS_CONTAINER_CREDENTIALS_FULL_URI"] == "http://169.254.170.23/v1/credentials"
    assert found["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] == (
        "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/eks-pod-identity-token"
    )
    assert pod["metadata"]["labels"] == {"eks.amazonaws.com/pod-identity": "enabled"}
    assert token_source(pod)["audience"] == "pods.eks.amazonaws.com"


def test_an_association_of_another_namespace_says_nothing():
    assert decide(a_pod(), an_account(), Known(frozenset({("other", "vector")}))) is None


def test_an_association_needs_no_service_account_object():
    assert decide(a_pod(), None, ASSOCIATED).method == "container_credentials"


def test_the_label_joins_the_pods_own():
    pod = a_pod()
    pod["metadata"]["labels"] = {"app": "x"}
    assert agent(pod)["metadata"]["labels"] == {"app": "x", "eks.amazonaws.com/pod-identity": "enabled"}


@pytest.mark.parametrize(("jitter", "expected"), [(0.0, 86400), (0.5, 82800), (0.999, 79200)])
def test_only_the_agents_default_expiry_is_spread(jitter, expected):
    assert token_source(agent(a_pod(), jitter=jitter))["expirationSeconds"] == expected
    web = patched(a_pod(), decide(a_pod(), an_account(role_arn=ROLE), jitter=jitter))
    assert token_source(web)["expirationSeconds"] == 86400


@pytest.mark.parametrize(
    ("on_pod", "on_account", "expected"),
    [
        (None, None, 86400),
        (None, "3600", 3600),
        ("7200", "3600", 7200),
        ("soon", "3600", 3600),
        ("soon", "later", 86400),
        ("1", None, 600),
        ("-5", None, 600),
        (None, "86401", 86401),
    ],
)
def test_the_tokens_lifetime_is_the_pods_then_the_accounts_then_the_flags(on_pod, on_account, expected):
    pod = a_pod()
    if on_pod:
        pod["metadata"]["annotations"] = {"eks.amazonaws.com/token-expiration": on_pod}
    more = {"token_expiration": on_account} if on_account else {}
    assert token_source(irsa(pod, **more))["expirationSeconds"] == expected


def test_skipped_containers_are_left_alone_and_names_are_not_trimmed():
    pod = a_pod({"name": "a"}, {"name": "b"}, {"name": "c"}, initContainers=[{"name": "i"}])
    pod["metadata"]["annotations"] = {"eks.amazonaws.com/skip-containers": "a, b,i"}
    spec = irsa(pod)["spec"]
    assert "env" not in spec["containers"][0]
    assert "env" in spec["containers"][1]
    assert "env" in spec["containers"][2]
    assert "env" not in spec["initContainers"][0]


def test_a_skip_list_that_cannot_be_read_skips_nothing():
    pod = a_pod({"name": "a"})
    pod["metadata"]["annotations"] = {"eks.amazonaws.com/skip-containers": 'a,"b'}
    assert "env" in irsa(pod)["spec"]["containers"][0]


def test_init_containers_are_given_the_identity_too():
    assert env(irsa(a_pod(initContainers=[{"name": "i"}]))["spec"]["initContainers"][0])["AWS_ROLE_ARN"] == ROLE


def test_a_half_set_pair_is_left_as_it_is():
    pod = a_pod({"name": "a", "env": [{"name": "AWS_ROLE_ARN", "value": "mine"}]})
    found = env(irsa(pod)["spec"]["containers"][0])
    assert found["AWS_ROLE_ARN"] == "mine"
    assert "AWS_WEB_IDENTITY_TOKEN_FILE" not in found


def test_a_container_with_all_variables_of_its_own_gets_no_mount_but_the_pod_gets_the_volume():
    own = [{"name": n, "value": "mine"} for n in ("AWS_ROLE_ARN", "AWS_REGION", "AWS_STS_REGIONAL_ENDPOINTS")]
    pod = irsa(a_pod({"name": "a", "env": own}))
    assert "volumeMounts" not in pod["spec"]["containers"][0]
    assert pod["spec"]["volumes"][0]["name"] == "aws-iam-token"


def test_one_region_variable_of_its_own_keeps_both_away():
    pod = a_pod({"name": "a", "env": [{"name": "AWS_REGION", "value": "eu-west-1"}]})
    found = env(irsa(pod)["spec"]["containers"][0])
    assert found["AWS_REGION"] == "eu-west-1"
    assert "AWS_DEFAULT_REGION" not in found


def test_a_volume_of_the_same_name_is_not_doubled():
    pod = irsa(a_pod(volumes=[{"name": "aws-iam-token", "emptyDir": {}}]))
    assert pod["spec"]["volumes"] == [{"name": "aws-iam-token", "emptyDir": {}}]


@pytest.mark.parametrize(("said", "regional"), [("true", True), ("0", False), ("F", False), ("maybe", True)])
def test_the_annotation_on_regional_sts_counts_if_it_is_a_boolean(said, regional):
    found = env(irsa(a_pod(), sts_regional_endpoints=said)["spec"]["containers"][0])
    assert ("AWS_STS_REGIONAL_ENDPOINTS" in found) is regional


def test_upstreams_defaults_set_neither_region_nor_regional_sts():
    assert list(env(irsa(a_pod(), flags=Settings())["spec"]["containers"][0])) == [
        "AWS_ROLE_ARN",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
    ]


def test_the_audience_annotation_is_the_tokens_audience():
    assert token_source(irsa(a_pod(), audience="mine"))["audience"] == "mine"


def test_a_windows_pod_is_given_a_windows_path():
    pod = irsa(a_pod(nodeSelector={"kubernetes.io/os": "windows"}))
    found = env(pod["spec"]["containers"][0])["AWS_WEB_IDENTITY_TOKEN_FILE"]
    assert found == "C:\\var\\run\\secrets\\eks.amazonaws.com\\serviceaccount\\token"
    assert pod["spec"]["containers"][0]["volumeMounts"][0]["mountPath"].startswith("/var/run")


def test_a_role_that_is_no_arn_is_injected_with_a_warning():
    decided = decide(a_pod(), an_account(role_arn="arn:aws:iam:111122223333:role/x"))
    assert env(patched(a_pod(), decided)["spec"]["containers"][0])["AWS_ROLE_ARN"] == "arn:aws:iam:111122223333:role/x"
    assert "expected arn:aws:iam::ACCOUNT:role/NAME" in decided.warnings[0]
    assert decide(a_pod(), an_account(role_arn=ROLE)).warnings == ()


def test_a_roles_name_is_completed_when_asked():
    flags = Settings(compose_role_arn=True)
    known = Known(account=Account("aws-us-gov", "111122223333"))
    decided = decide(a_pod(), an_account(role_arn="team/x"), known, flags)
    found = env(patched(a_pod(), decided)["spec"]["containers"][0])["AWS_ROLE_ARN"]
    assert found == "arn:aws-us-gov:iam::111122223333:role/team/x"


def test_the_config_map_gives_a_role_where_no_annotation_does():
    known = Known(mapped={("ns", "vector"): MappedRole("one", "aud", False, 1200), ("ns", "*"): MappedRole("any")})
    pod = patched(a_pod(), decide(a_pod(), an_account(), known))
    assert env(pod["spec"]["containers"][0])["AWS_ROLE_ARN"] == "one"
    assert "AWS_STS_REGIONAL_ENDPOINTS" not in env(pod["spec"]["containers"][0])
    assert token_source(pod) == {"audience": "aud", "expirationSeconds": 1200, "path": "token"}
    other = {**a_pod(), "spec": {**a_pod()["spec"], "serviceAccountName": "else"}}
    assert env(patched(other, decide(other, None, known))["spec"]["containers"][0])["AWS_ROLE_ARN"] == "any"


names = st.sampled_from(["a", "b", "aws-iam-token", "eks-pod-identity-token"])
variables = st.sampled_from(
    ["AWS_ROLE_ARN", "AWS_REGION", "AWS_STS_REGIONAL_ENDPOINTS", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "OTHER"]
)
containers = st.builds(
    lambda name, env, mounts, extra: {
        "name": name,
        "env": [{"name": n, "value": "own"} for n in env],
        "volumeMounts": [{"name": n, "mountPath": "/x"} for n in mounts],
        "fieldOfTomorrow": extra,
    },
    names,
    st.lists(variables, unique=True),
    st.lists(names, unique=True),
    st.text(),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(containers, min_size=1, max_size=3), st.booleans(), st.booleans())
def test_a_second_pass_adds_nothing_and_nothing_is_ever_replaced(found, associated, regional):
    pod = a_pod(*found, volumes=[{"name": "own"}])
    flags = Settings(aws_default_region="us-west-2" if regional else "", sts_regional_endpoint=regional)
    known = ASSOCIATED if associated else Known()
    first = patched(pod, decide(pod, an_account(role_arn=ROLE), known, flags))
    assert decide(first, an_account(role_arn=ROLE), known, flags).operations == ()
    for before, after in zip(found, first["spec"]["containers"], strict=True):
        assert after["fieldOfTomorrow"] == before["fieldOfTomorrow"]
        assert after["env"][: len(before["env"])] == before["env"]
        assert after["volumeMounts"][: len(before["volumeMounts"])] == before["volumeMounts"]

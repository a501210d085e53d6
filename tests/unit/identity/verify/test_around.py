"""The webhook, the agents, proxies, stale ids and AWS's own words: a row for each fault, and what judges nothing."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing import effort
from keyless.api import Reason
from keyless.identity.verify import Facts, State, verify
from keyless.identity.verify.around import Around, Registration
from keyless.identity.verify.around_facts import annotated_at, around_all, around_one
from keyless.identity.verify.model import ANNOTATION, Condition, ControlPlane, Pod, Role
from keyless.identity.verify.proxies import exempted, proxied
from keyless.identity.verify.saying import meaning, node_role
from keyless.identity.verify.stale import renewed, stale_principals
from keyless.kube import Forbidden
from keyless.kube.memory import MemoryKube
from keyless.kube.resources import (
    MUTATINGWEBHOOKCONFIGURATIONS,
    NAMESPACES,
    NODES,
    PODS,
    SERVICEACCOUNTS,
    SERVICES,
)
from unit.identity.verify.chains import (
    ACCOUNT,
    BILLING,
    IRSA_ENV,
    NAMESPACE,
    POD_ENV,
    ROLE,
    irsa,
    named,
    pod_identity,
    with_condition,
    with_workload,
)
from unit.identity.verify.test_target import TARGET, admits, chained

EARLY, LATER, LATEST = (f"2026-11-29T12:00:0{n}Z" for n in (1, 2, 3))
HOOK = Registration("pod-identity-webhook", created=EARLY)
RESTART = f"kubectl rollout restart deployment vector -n {NAMESPACE}"
BARE: Mapping[str, str] = {}
NO_PROBE = Condition("False", "CredentialRetrievalError", "no credentials")


def around(facts: Facts, **said: Any) -> Facts:
    """The facts with what stands around the pods."""
    return replace(facts, around=Around(seen=True, **said))


def pods(facts: Facts, env: Mapping[str, str], **said: Any) -> Facts:
    """One pod with these variables."""
    return with_workload(facts, pods=(Pod("vector-1", True, "", env, "sts.amazonaws.com", **said),))


def link_of(facts: Facts, name: str) -> Any:
    """The link of a name, where it is told of."""
    return next((link for link in verify(facts) if link.name == name), None)


ONLY_OURS = {"matchLabels": {"spaces.upbound.io/identity": "true"}}
NOT_OURS = {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": [NAMESPACE]}]}
LABELS = {"kubernetes.io/metadata.name": NAMESPACE}


@pytest.mark.parametrize(
    ("facts", "reason", "words", "fix"),
    [
        (around(pods(irsa(), BARE)), Reason.WEBHOOK_MISSING, "no such webhook", ""),
        (
            around(irsa(), webhook=replace(HOOK, service="kube-system/hook", ready=0)),
            Reason.WEBHOOK_MISSING,
            "no ready pod is behind it: failurePolicy Ignore",
            "",
        ),
        (
            around(irsa(), webhook=replace(HOOK, service="kube-system/hook", ready=0, fails_open=False)),
            Reason.WEBHOOK_MISSING,
            "failurePolicy Fail",
            "",
        ),
        (
            around(irsa(), webhook=replace(HOOK, namespace_selector=ONLY_OURS), labels=LABELS),
            Reason.WEBHOOK_LEAVES_OUT,
            "namespaceSelector",
            f"kubectl label namespace {NAMESPACE} --overwrite spaces.upbound.io/identity=true && {RESTART}",
        ),
        (
            around(irsa(), webhook=replace(HOOK, index=2, namespace_selector=NOT_OURS), labels=LABELS),
            Reason.WEBHOOK_LEAVES_OUT,
            "namespaceSelector",
            "kubectl patch mutatingwebhookconfiguration pod-identity-webhook --type json -p "
            """'[{"op": "remove", "path": "/webhooks/2/namespaceSelector"}]' && """ + RESTART,
        ),
        (
            around(pod_identity(), webhook=replace(HOOK, flags=("--port=443",))),
            Reason.WEBHOOK_TOO_OLD,
            "knows no Pod Identity association",
            "",
        ),
        (
            around(irsa(), webhook=replace(HOOK, flags=("--annotation-prefix=acme.example",))),
            Reason.WEBHOOK_TOO_OLD,
            "annotations of acme.example",
            "",
        ),
    ],
)
def test_a_webhook_that_gives_no_identity_is_told(facts: Facts, reason: Reason, words: str, fix: str) -> None:
    link = named(facts, "webhook")
    assert (link.state, link.reason, link.fix) == (State.BROKEN, reason, fix)
    assert words in link.found
    assert link.fix or link.advice


@pytest.mark.parametrize(
    "facts",
    [
        irsa(),  # nothing was seen
        pods(irsa(), BARE),
        around(irsa()),  # somebody else's way gave the pods their identity
        around(irsa(), webhook=HOOK),
        around(irsa(), webhook=replace(HOOK, namespace_selector=ONLY_OURS)),  # the namespace's labels were not seen
        around(irsa(), webhook=replace(HOOK, namespace_selector={}), labels=LABELS),
        around(irsa(), webhook=replace(HOOK, flags=("--annotation-prefix=eks.amazonaws.com",), ready=1)),
        around(pod_identity(), webhook=replace(HOOK, flags=("--watch-container-credentials-config=/f",))),
        around(pod_identity(), webhook=replace(HOOK, flags=("--container-credentials-config-map=a/b",))),
        around(with_workload(irsa(), annotations={})),  # no role is named
    ],
)
def test_nothing_is_said_of_a_webhook_that_nothing_speaks_against(facts: Facts) -> None:
    assert link_of(facts, "webhook") is None


@pytest.mark.parametrize(
    ("hook", "annotated", "created", "opened"),
    [
        (HOOK, LATER, LATEST, True),
        (HOOK, LATER, LATER, False),  # the same second proves nothing
        (HOOK, LATEST, LATER, False),
        (replace(HOOK, created=LATEST), EARLY, LATER, False),
        (replace(HOOK, fails_open=False), LATER, LATEST, False),
        (HOOK, "", LATEST, False),
        (HOOK, LATER, "", False),
        (None, LATER, LATEST, False),
    ],
)
def test_a_pod_that_the_webhook_let_through_is_told_from_one_that_is_older_than_its_role(
    hook: Registration | None, annotated: str, created: str, opened: bool
) -> None:
    facts = around(pods(irsa(), BARE, created=created), webhook=hook, annotated=annotated)
    link = named(facts, "injection")
    assert link.reason is (Reason.IDENTITY_NOT_INJECTED if opened else Reason.POD_NOT_RESTARTED)
    assert link.fix == RESTART
    assert ("let the pod through" in link.found) is opened


@pytest.mark.parametrize(
    ("addon", "agents", "kinds", "state", "reason"),
    [
        ("ACTIVE", {"n1": True}, {}, State.HELD, None),
        ("ACTIVE", None, {}, State.HELD, None),  # not seen
        ("ACTIVE", {}, {}, State.HELD, None),  # all nodes have it built in
        ("ACTIVE", {"n2": True}, {"n1": "auto"}, State.HELD, None),
        ("ACTIVE", {"n2": True}, {}, State.BROKEN, Reason.AGENT_NOT_ON_NODE),
        ("ACTIVE", {"n1": False, "n2": True}, {}, State.BROKEN, Reason.AGENT_NOT_ON_NODE),
        ("ACTIVE", {"n2": True}, {"n1": "fargate"}, State.BROKEN, Reason.AGENT_NOT_ON_NODE),
        (None, {"n1": True}, {}, State.HELD, None),  # a chart of one's own
        (None, {"n1": False}, {}, State.BROKEN, Reason.AGENT_MISSING),
        (None, None, {}, State.BROKEN, Reason.AGENT_MISSING),
        ("DEGRADED", {"n1": True}, {}, State.BROKEN, Reason.AGENT_MISSING),
    ],
)
def test_the_agent_is_looked_for_on_the_pods_own_node(
    addon: str | None, agents: dict[str, bool] | None, kinds: dict[str, str], state: State, reason: Reason | None
) -> None:
    facts = replace(pods(pod_identity(), POD_ENV, node="n1"), agent=addon)
    link = named(around(facts, agents=agents, kinds=kinds), "agent")
    assert (link.state, link.reason) == (state, reason)
    if reason is Reason.AGENT_NOT_ON_NODE:
        assert "n1, where vector-1 runs" in link.found
        assert ("IRSA" in link.advice) is (kinds.get("n1") == "fargate")


AGENT4 = {**POD_ENV, "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials"}
AGENT6 = {**POD_ENV, "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://[fd00:ec2::23]/v1/credentials"}


@pytest.mark.parametrize(
    ("env", "through"),
    [
        (AGENT4, ""),
        ({**AGENT4, "HTTP_PROXY": "set"}, "HTTP_PROXY"),
        ({**AGENT4, "HTTPS_PROXY": "set"}, ""),  # the agent is spoken to over http
        ({**AGENT4, "all_proxy": "set", "NO_PROXY": ".svc,10.0.0.0/8"}, "all_proxy"),
        ({**AGENT4, "http_proxy": "set", "NO_PROXY": ".svc, 169.254.170.23 "}, ""),
        ({**AGENT4, "http_proxy": "set", "no_proxy": "169.254.170.23:80"}, ""),
        ({**AGENT4, "http_proxy": "set", "no_proxy": "*"}, ""),
        ({**AGENT4, "http_proxy": "set", "no_proxy": "x", "NO_PROXY": "169.254.170.23"}, "http_proxy"),
        ({**AGENT4, "http_proxy": "set", "NO_PROXY": "169.254.0.0/16"}, "http_proxy"),
        ({**AGENT6, "http_proxy": "set", "NO_PROXY": "169.254.170.23"}, "http_proxy"),
        ({**AGENT6, "http_proxy": "set", "NO_PROXY": "[fd00:ec2::23]"}, ""),
        ({**AGENT6, "http_proxy": "set", "NO_PROXY": "fd00:ec2::23"}, ""),
        ({**AGENT6, "http_proxy": "set", "NO_PROXY": "[fd00:ec2::23]:80"}, ""),
        ({"HTTP_PROXY": "set"}, ""),
    ],
)
def test_a_proxy_between_a_pod_and_its_agent_is_seen(env: dict[str, str], through: str) -> None:
    assert proxied(env) == through


@effort(60)
@given(
    st.sampled_from((AGENT4, AGENT6)),
    st.lists(st.sampled_from((".svc", "10.0.0.0/8", "*.local", "", "example.com:8080"))),
)
def test_what_is_told_to_be_exempted_is_exempted_and_keeps_what_was(base: dict[str, str], held: list[str]) -> None:
    env = {**base, "HTTP_PROXY": "set", "NO_PROXY": ",".join(held)}
    told = exempted(env)
    assert proxied({**env, "NO_PROXY": told, "no_proxy": told}) == ""
    assert [one for one in held if one] == told.split(",")[:-1]


def test_a_proxy_breaks_the_chain_only_where_nothing_shows_that_it_does_not() -> None:
    facts = pods(pod_identity(), {**AGENT4, "HTTP_PROXY": "set", "NO_PROXY": ".svc"})
    held = named(facts, "injection")
    assert (held.state, "an SDK may ask the proxy" in held.notes[0]) == (State.HELD, True)
    link = named(with_condition(facts, NO_PROBE), "injection")
    assert (link.state, link.reason) == (State.BROKEN, Reason.AGENT_BEHIND_PROXY)
    words = shlex.split(link.fix)
    assert words[-2:] == ["NO_PROXY=.svc,169.254.170.23", "no_proxy=.svc,169.254.170.23"]
    assert words[:4] == ["kubectl", "set", "env", "deployment/vector"]


WHO = f"User: arn:aws:sts::{ACCOUNT}:assumed-role/billing/p is not authorized to perform: s3:PutObject on resource: r"


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (f"{WHO} with an explicit deny in a service control policy", Reason.ORGANIZATION_DENIES),
        (f"{WHO} because no service control policy allows the s3:PutObject action", Reason.ORGANIZATION_DENIES),
        (f"{WHO} with an explicit deny in a resource control policy", Reason.ORGANIZATION_DENIES),
        (f"{WHO} because no VPC endpoint policy allows the s3:PutObject action", Reason.ENDPOINT_POLICY_DENIES),
        ("PutObject: RequestTimeTooSkewed: The difference is too large", Reason.CLOCK_DIFFERS),
        ("Signature expired: 20261129T120000Z is now earlier than 20261129T121000Z", Reason.CLOCK_DIFFERS),
        ("InvalidIdentityToken: Token issued in the future: 1764417600", Reason.CLOCK_DIFFERS),
        ("EndpointConnectionError: Could not connect to the endpoint URL", Reason.ENDPOINT_UNREACHABLE),
        ("ConnectTimeoutError: Connect timeout on endpoint URL", Reason.ENDPOINT_UNREACHABLE),
        ("ProxyConnectionError: Failed to connect to proxy URL", Reason.ENDPOINT_UNREACHABLE),
        ("failed to lookup address information: Name or service not known", Reason.ENDPOINT_UNREACHABLE),
        (f"{WHO} because no identity-based policy allows the s3:PutObject action", None),
        (f"{WHO} with an explicit deny in a permissions boundary", None),
        ("", None),
    ],
)
def test_a_refusal_that_says_what_no_policy_here_can_is_understood(message: str, reason: Reason | None) -> None:
    told = meaning(message)
    assert (told.reason if told else None) is reason
    link = named(with_condition(irsa(), Condition("False", "AccessDenied", message)), "probe")
    assert (link.state, link.reason) == (State.BROKEN, reason or Reason.PROBE_REFUSED)
    assert link.advice


@pytest.mark.parametrize(
    ("status", "session", "reason"),
    [
        ("True", "node/i-0123456789abcdef0", Reason.NODE_ROLE_USED),
        ("False", "node/i-01234567", Reason.NODE_ROLE_USED),
        ("True", "other/vector-1", Reason.PROBE_BY_ANOTHER_ROLE),
        ("True", "billing/i-0123456789abcdef0", None),  # the component's own role, whatever the session is called
        ("False", "billing/i-0123456789abcdef0", Reason.PROBE_REFUSED),
    ],
)
def test_the_nodes_role_used_by_accident_is_told(status: str, session: str, reason: Reason | None) -> None:
    message = f"as arn:aws:sts::{ACCOUNT}:assumed-role/{session}"
    link = named(with_condition(irsa(), Condition(status, "Stored", message)), "probe")
    assert link.reason is reason
    if reason is Reason.NODE_ROLE_USED:
        assert "node is the role of its node" in link.found
        assert link.fix == RESTART
    assert node_role(message, session.partition("/")[0]) == ""


OLD = "AROAEXAMPLEEXAMPLE123"


def test_a_trust_policy_that_keeps_the_id_of_a_deleted_role_is_told_with_its_renewal() -> None:
    facts = chained(admits(arn=OLD))
    link = named(facts, "trust")
    assert (link.state, link.reason) == (State.BROKEN, Reason.PRINCIPAL_STALE)
    assert OLD in link.found
    command = shlex.split(link.fix)
    assert command[:5] == ["aws", "iam", "update-assume-role-policy", "--role-name", "writer"]
    assert ROLE in command[-1]
    assert OLD not in command[-1]
    assert isinstance(facts.role, Role)
    assert facts.role.arn == TARGET


@pytest.mark.parametrize(
    "facts",
    [
        chained(admits(arn=OLD), {**admits(arn="AROAOTHEROTHEROTHER12"), "Sid": "Two"}),  # whose id was it?
        chained({**admits("sts:TagSession", arn=OLD)}),  # the first role alone would not be admitted by it either
    ],
)
def test_an_id_that_is_not_certainly_the_roles_own_is_not_replaced(facts: Facts) -> None:
    link = named(facts, "trust")
    assert (link.state, link.reason) == (State.BROKEN, Reason.TRUST_DENIES)


ids = st.sampled_from((OLD, "AIDAEXAMPLEEXAMPLE123"))
principal = st.one_of(ids, st.just(ROLE), st.lists(st.one_of(ids, st.just(ROLE)), min_size=1, max_size=3))
whom = st.one_of(
    st.just("*"), st.fixed_dictionaries({"AWS": principal}), st.just({"Service": "pods.eks.amazonaws.com"})
)
statement = st.fixed_dictionaries({"Effect": st.just("Allow"), "Principal": whom})


@effort(60)
@given(st.one_of(st.lists(statement, min_size=1, max_size=3), statement))
def test_a_renewal_replaces_that_id_and_nothing_else(content: Any) -> None:
    document = {"Version": "2012-10-17", "Statement": content}
    listed = content if isinstance(content, list) else [content]
    after = renewed(document, OLD, "arn:new")
    assert OLD not in stale_principals(after)
    assert str(after).replace("arn:new", OLD) == str({**document, "Statement": listed})


def configuration(name: str = "pod-identity-webhook", hook: str = "iam-for-pods.amazonaws.com", **more: Any) -> Any:
    service = {"namespace": "keyless", "name": "hook", "path": "/mutate"}
    hooks = [{"name": hook, "failurePolicy": "Ignore", "clientConfig": {"service": service}, **more}]
    return {"metadata": {"name": name}, "webhooks": hooks}


def running(name: str, namespace: str, label: str, *, ready: bool = True, args: tuple[str, ...] = ()) -> Any:
    labels = {"app.kubernetes.io/name": label}
    status = {"conditions": [{"type": "Ready", "status": str(ready)}]}
    spec = {"nodeName": "n1", "containers": [{"name": "c", "args": list(args)}]}
    return {"metadata": {"name": name, "namespace": namespace, "labels": labels}, "spec": spec, "status": status}


@pytest.fixture
def kube() -> MemoryKube:
    """A cluster with the webhook behind a Service, and the agent on one node."""
    memory = MemoryKube()
    for name in ("keyless", "kube-system", NAMESPACE):
        memory.put(NAMESPACES, {"metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}}})
    memory.put(NODES, {"metadata": {"name": "n1", "labels": {"eks.amazonaws.com/compute-type": "auto"}}})
    memory.put(MUTATINGWEBHOOKCONFIGURATIONS, configuration("kyverno", "mutate.kyverno.svc"))
    memory.put(MUTATINGWEBHOOKCONFIGURATIONS, configuration(namespaceSelector=ONLY_OURS))
    selector = {"app.kubernetes.io/name": "pod-identity-webhook"}
    memory.put(SERVICES, {"metadata": {"name": "hook", "namespace": "keyless"}, "spec": {"selector": selector}})
    memory.put(PODS, running("hook-1", "keyless", "pod-identity-webhook", args=("run", "webhook", "--port=8443")))
    memory.put(PODS, running("agent-1", "kube-system", "eks-pod-identity-agent"))
    return memory


PLANE = ControlPlane("ctp1", "default", NAMESPACE, {})


async def test_what_stands_around_is_read(kube: MemoryKube) -> None:
    kube.put(SERVICEACCOUNTS, {"metadata": {"name": "vector", "namespace": NAMESPACE}})
    kube.calls.clear()
    found = await around_one(kube, await around_all(kube), PLANE, BILLING, (Pod("p", True, "", {}, node="n1"),))
    assert found.webhook is not None
    assert found.webhook.configuration == "pod-identity-webhook"
    assert (found.webhook.fails_open, found.webhook.ready, found.webhook.service) == (True, 1, "keyless/hook")
    assert found.webhook.flags == ("run", "webhook", "--port=8443")
    assert found.webhook.namespace_selector == ONLY_OURS
    assert (found.agents, found.kinds, found.seen) == ({"n1": True}, {"n1": "auto"}, True)
    assert found.labels["kubernetes.io/metadata.name"] == NAMESPACE
    assert {call.split()[0] for call in kube.calls} == {"GET"}


async def test_what_may_not_be_read_judges_nothing(kube: MemoryKube) -> None:
    def refuse(_request: object) -> None:
        raise Forbidden({"message": "no", "code": 403, "reason": "Forbidden"})

    kube.before = refuse
    found = await around_one(kube, await around_all(kube), PLANE, BILLING, (Pod("p", True, "", IRSA_ENV, node="n1"),))
    assert (found.seen, found.webhook, found.agents, found.annotated, dict(found.labels)) == (False, None, None, "", {})
    assert link_of(replace(pods(irsa(), BARE), around=found), "webhook") is None


@pytest.mark.parametrize(
    ("entries", "at"),
    [
        ([], ""),
        ([{"manager": "a", "time": EARLY, "fieldsV1": {"f:metadata": {"f:labels": {}}}}], ""),
        (
            [{"manager": "a", "time": EARLY, "fieldsV1": {"f:metadata": {"f:annotations": {f"f:{ANNOTATION}": {}}}}}],
            EARLY,
        ),
        (
            [
                {"manager": m, "time": at, "fieldsV1": {"f:metadata": {"f:annotations": {f"f:{ANNOTATION}": {}}}}}
                for m, at in (("a", LATER), ("b", EARLY))
            ],
            LATER,
        ),
        ([{"manager": "a", "fieldsV1": {"f:metadata": {"f:annotations": {f"f:{ANNOTATION}": {}}}}}], ""),
    ],
)
def test_when_an_annotation_was_last_written_is_read_from_its_managers(entries: list[Any], at: str) -> None:
    assert annotated_at({"metadata": {"managedFields": entries}}) == at

"""Every misstep of the guides, as a case: which link breaks, what is found, which command mends it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from keyless.api import Access, Reason
from keyless.identity.verify import State, held, verify
from keyless.identity.verify.model import ANNOTATION, Association, Condition, Facts, Pod, Revision, Role, Unread
from keyless.policy import Unreadable
from unit.identity.verify.chains import (
    ACCOUNT,
    ANNOTATED,
    HOST,
    IRSA_ENV,
    ISSUER,
    NAMESPACE,
    OTHER,
    PLACE,
    POD_ENV,
    PROVIDER,
    ROLE,
    SET,
    SUBJECT,
    broken,
    irsa,
    named,
    permissions,
    pod_identity,
    service,
    stored,
    web,
    with_condition,
    with_trust,
    with_values,
    with_workload,
)

RESTART = f"kubectl rollout restart deployment vector -n {NAMESPACE}"
NAMED = (
    f'helm upgrade spaces spaces-helm-chart --reuse-values --set "{ANNOTATED}={ROLE}" && '
    f"kubectl wait '--for=jsonpath={{.metadata.annotations.eks\\.amazonaws\\.com/role-arn}}={ROLE}' "
    f"serviceaccount/vector -n {NAMESPACE} --timeout=60s && {RESTART}"
)
REFUSED = Condition("False", "AccessDenied", "AssumeRoleWithWebIdentity: AccessDenied: Not authorized to perform …")


def test_a_chain_by_irsa_holds_link_by_link() -> None:
    links = verify(irsa())
    assert [link.name for link in links] == [
        "Helm values",
        "no static keys",
        "storage",
        "workload",
        "service account",
        "injection",
        "OIDC provider",
        "audience",
        "trust",
        "permission",
        "probe",
    ]
    assert {link.state for link in links} == {State.HELD}
    assert held(links)
    assert not any(link.notes or link.fix or link.reason for link in links)


def test_a_chain_by_pod_identity_has_an_agent_instead_of_a_provider() -> None:
    links = verify(pod_identity())
    assert [link.name for link in links][6:] == ["agent", "trust", "permission", "probe"]
    assert {link.state for link in links} == {State.HELD}
    assert held(links)


class TestHelm:
    def test_a_later_upgrade_without_reuse_values_is_named_by_its_revision(self) -> None:
        history = (Revision(1, {}), Revision(2, SET), Revision(3, {"sharedSecrets.enabled": "true"}))
        facts = with_values(irsa(), values={"billing.enabled": "false"}, history=history)
        link = broken(with_workload(facts, annotations={ANNOTATION: ROLE}))
        assert (link.name, link.reason) == ("Helm values", Reason.HELM_VALUES_DROPPED)
        assert "revision 3 dropped what revision 2 had set" in link.found
        assert link.fix.startswith("helm upgrade spaces spaces-helm-chart --reuse-values --set ")
        assert '--set "billing.enabled=true"' in link.fix
        assert f'--set "{ANNOTATED}={ROLE}"' in link.fix

    def test_what_was_set_again_since_is_not_called_dropped(self) -> None:
        history = (Revision(2, SET), Revision(3, {}), Revision(4, SET))
        facts = with_values(irsa(), values={"billing.enabled": "false"}, history=history)
        assert broken(facts).reason is Reason.COMPONENT_NOT_ENABLED

    def test_a_component_that_was_never_enabled(self) -> None:
        facts = with_values(irsa(), values={}, history=Unread("lacks permission"))
        link = named(replace(facts, workload=None), "Helm values")
        assert (link.reason, link.found) == (Reason.COMPONENT_NOT_ENABLED, "billing.enabled=not set")
        assert link.fix == 'helm upgrade spaces spaces-helm-chart --reuse-values --set "billing.enabled=true"'
        assert named(replace(facts, workload=None), "service account").state is State.SKIPPED
        assert named(replace(facts, workload=None), "workload").state is State.SKIPPED

    def test_a_dropped_annotation_is_named_by_its_revision(self) -> None:
        rest = {k: v for k, v in SET.items() if k != ANNOTATED}
        facts = with_values(irsa(), values=rest, history=(Revision(2, SET), Revision(5, rest)))
        link = broken(with_workload(facts, annotations={}))
        assert (link.name, link.reason) == ("service account", Reason.HELM_VALUES_DROPPED)
        assert "revision 5 dropped what revision 2 had set" in link.found
        assert link.fix == NAMED

    def test_a_secret_with_keys_left_set(self) -> None:
        facts = with_values(irsa(), values={**SET, "billing.storage.secretRef.name": "billing-storage"})
        link = broken(facts)
        assert (link.name, link.reason) == ("no static keys", Reason.STATIC_KEYS_SET)
        assert "billing-storage" in link.found
        assert link.fix.endswith('--reuse-values --set "billing.storage.secretRef.name="')

    def test_a_secret_that_came_back_with_a_revision(self) -> None:
        kept = {"billing.enabled": "true", **PLACE, ANNOTATED: ROLE}
        values = {**kept, "billing.storage.secretRef.name": "billing-storage"}
        facts = with_values(irsa(), values=values, history=(Revision(2, SET), Revision(3, kept)))
        assert "revision 3 dropped the empty value of revision 2" in broken(facts).found

    def test_a_component_without_static_keys_has_no_such_link(self) -> None:
        facts = irsa()
        facts = replace(facts, subject=replace(facts.subject, static_keys=""))
        assert "no static keys" not in [link.name for link in verify(facts)]


class TestWorkload:
    def test_a_missing_deployment(self) -> None:
        link = named(replace(irsa(), workload=None), "workload")
        assert (link.reason, link.fix) == (Reason.WORKLOAD_MISSING, "")
        assert NAMESPACE in link.advice
        account = named(replace(irsa(), workload=None), "service account")
        assert (account.reason, account.found) == (
            Reason.SERVICE_ACCOUNT_MISSING,
            f"no service account vector in {NAMESPACE}",
        )

    def test_a_container_that_cannot_start(self) -> None:
        pod = Pod("vector-1", False, "CreateContainerConfigError", IRSA_ENV)
        link = broken(with_workload(irsa(), pods=(pod,)))
        assert (link.reason, link.found) == (Reason.WORKLOAD_NOT_READY, "vector-1: CreateContainerConfigError")

    def test_no_pods_at_all(self) -> None:
        facts = with_workload(irsa(), pods=())
        assert named(facts, "workload").found == "no pods"
        assert named(facts, "injection").state is State.SKIPPED


class TestServiceAccount:
    def test_the_misspelt_annotation_of_the_guide(self) -> None:
        link = broken(with_workload(irsa(), annotations={"eks.amazon.aws/role-arn": ROLE}))
        assert (link.name, link.reason) == ("service account", Reason.ANNOTATION_MISSPELT)
        assert "eks.amazon.aws/role-arn, which nothing reads" in link.found
        assert link.fix == NAMED

    def test_a_role_arn_that_is_none(self) -> None:
        link = named(with_workload(irsa(), annotations={ANNOTATION: "billing"}), "service account")
        assert (link.reason, link.state) == (Reason.ROLE_ARN_MALFORMED, State.BROKEN)

    def test_an_association_for_a_namespace_that_is_no_control_planes(self) -> None:
        wrong = Association("a-9", "default", "vector", ROLE)
        link = broken(replace(pod_identity(), associations=(wrong,)))
        assert (link.reason, link.found) == (
            Reason.ASSOCIATION_ELSEWHERE,
            "association a-9 is for namespace default, no control plane's",
        )
        assert link.fix == (
            "aws eks create-pod-identity-association --cluster-name keyless "
            f"--namespace {NAMESPACE} --service-account vector --role-arn {ROLE} && {RESTART}"
        )

    def test_an_association_only_for_another_control_plane(self) -> None:
        link = broken(replace(pod_identity(), associations=(Association("a-9", OTHER, "vector", ROLE),)))
        assert OTHER in link.found
        assert link.reason is Reason.ASSOCIATION_ELSEWHERE

    def test_an_association_elsewhere_tells_more_than_the_annotation_that_was_dropped_for_it(self) -> None:
        rest = {k: v for k, v in SET.items() if k != ANNOTATED}
        facts = with_values(irsa(), values=rest, history=(Revision(2, SET), Revision(5, rest)))
        facts = replace(facts, associations=(Association("a-9", "default", "vector", ROLE),))
        assert broken(with_workload(facts, annotations={})).reason is Reason.ASSOCIATION_ELSEWHERE

    def test_neither_annotation_nor_association(self) -> None:
        facts = replace(
            pod_identity(), associations=(Association("a", NAMESPACE, "other", ROLE),), cluster=Unread("lacks x")
        )
        link = named(facts, "service account")
        assert (link.reason, link.found) == (Reason.ROLE_NOT_NAMED, "no annotation and no association")
        assert (link.fix, "annotate it" in link.advice) == ("", True)
        assert [named(facts, name).state for name in ("injection", "trust", "permission")] == [State.SKIPPED] * 3

    def test_associations_that_could_not_be_read(self) -> None:
        link = named(
            replace(pod_identity(), associations=Unread("lacks eks:ListPodIdentityAssociations")), "service account"
        )
        assert (link.state, link.found) == (
            State.UNKNOWN,
            "no annotation; associations lacks eks:ListPodIdentityAssociations",
        )


class TestInjection:
    @pytest.mark.parametrize(
        ("facts", "env", "found"),
        [
            (irsa(), {}, "vector-1 lacks AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE"),
            (irsa(), {**IRSA_ENV, "AWS_ROLE_ARN": "arn:old"}, "vector-1 carries AWS_ROLE_ARN=arn:old"),
            (pod_identity(), {}, "vector-1 lacks AWS_CONTAINER_CREDENTIALS_FULL_URI"),
            (pod_identity(), {**POD_ENV, **IRSA_ENV}, "vector-1 still carries AWS_ROLE_ARN"),
        ],
    )
    def test_an_identity_given_without_a_restart(self, facts: Facts, env: dict[str, str], found: str) -> None:
        link = broken(with_workload(facts, pods=(Pod("vector-1", True, "", env),)))
        assert (link.name, link.reason, link.fix) == ("injection", Reason.POD_NOT_RESTARTED, RESTART)
        assert link.found.startswith(found)

    @pytest.mark.parametrize("facts", [irsa(), pod_identity()])
    def test_keys_in_a_pod_are_not_called_a_missing_restart(self, facts: Facts) -> None:
        env = {**IRSA_ENV, "AWS_ACCESS_KEY_ID": ""}
        link = named(with_workload(facts, pods=(Pod("vector-1", True, "", env),)), "injection")
        assert link.reason is Reason.STATIC_KEYS_IN_POD
        assert link.fix.startswith(f"kubectl set env deployment/vector -n {NAMESPACE} AWS_ACCESS_KEY_ID- ")
        values = {**facts.space.values, "billing.storage.secretRef.name": "keys"}
        pods = (Pod("vector-1", True, "", env),)
        assert not named(with_workload(with_values(facts, values=values), pods=pods), "injection").fix

    def test_a_pod_that_asks_to_be_skipped(self) -> None:
        link = broken(with_workload(irsa(), pods=(Pod("vector-1", True, "", {}, skipped=True),)))
        assert link.reason is Reason.IDENTITY_NOT_INJECTED
        assert "asks to be skipped" in link.found


class TestFederation:
    def test_no_oidc_provider(self) -> None:
        link = broken(replace(irsa(), providers=()))
        assert (link.name, link.reason) == ("OIDC provider", Reason.OIDC_PROVIDER_MISSING)
        create = "aws iam create-open-id-connect-provider"
        assert link.fix == f"{create} --url {ISSUER} --client-id-list sts.amazonaws.com"
        assert "InvalidIdentityToken" in link.found

    def test_the_provider_of_another_cluster_only(self) -> None:
        other = replace(PROVIDER, arn=PROVIDER.arn + "2", url=PROVIDER.url + "2")
        link = broken(replace(irsa(), providers=(other,)))
        assert other.url in link.found

    def test_a_provider_whose_url_differs_in_the_port(self) -> None:
        link = broken(replace(irsa(), providers=(replace(PROVIDER, url=HOST),)))
        assert link.reason is Reason.OIDC_PROVIDER_DIFFERS
        assert link.fix.startswith(
            f"aws iam delete-open-id-connect-provider --open-id-connect-provider-arn {PROVIDER.arn}"
        )

    def test_an_audience_that_is_no_client_id(self) -> None:
        link = broken(replace(irsa(), providers=(replace(PROVIDER, client_ids=("other",)),)))
        assert (link.name, link.reason) == ("audience", Reason.AUDIENCE_NOT_REGISTERED)
        assert link.fix.endswith(f"--open-id-connect-provider-arn {PROVIDER.arn} --client-id sts.amazonaws.com")

    @pytest.mark.parametrize(
        ("agent", "verb"),
        [(None, "aws eks create-addon"), ("CREATING", "aws eks wait addon-active"), ("CREATE_FAILED", "")],
    )
    def test_the_agent_addon_is_gone(self, agent: str | None, verb: str) -> None:
        link = broken(replace(pod_identity(), agent=agent))
        assert (link.name, link.reason) == ("agent", Reason.AGENT_MISSING)
        named_so = "--cluster-name keyless --addon-name eks-pod-identity-agent"
        assert f"{verb} {named_so}" in link.fix if verb else named_so in link.advice


class TestTrust:
    @pytest.mark.parametrize(
        ("statement", "reason"),
        [
            (web(host="127.0.0.1/clusters/other"), Reason.TRUST_NAMES_ANOTHER_PROVIDER),
            (service(), Reason.TRUST_NAMES_ANOTHER_PROVIDER),
            ({**web(), "Action": "sts:AssumeRole"}, Reason.TRUST_NAMES_ANOTHER_ACTION),
            ({**web(), "Action": ["sts:TagSession"]}, Reason.TRUST_NAMES_ANOTHER_ACTION),
            (web("system:serviceaccount:default:vector"), Reason.TRUST_NAMES_ANOTHER_NAMESPACE),
            (web(f"system:serviceaccount:{NAMESPACE}:default"), Reason.TRUST_NAMES_ANOTHER_ACCOUNT),
            (web("system:serviceaccount:*:vector"), Reason.TRUST_OPERATOR_LITERAL),
            (web(aud="pods.eks.amazonaws.com"), Reason.TRUST_NAMES_ANOTHER_AUDIENCE),
            (web(f"system:serviceaccount:{OTHER}:vector"), Reason.CONTROL_PLANE_NOT_TRUSTED),
            (web("system:serviceaccount:kube-*:vector", operator="StringLike"), Reason.TRUST_NAMES_ANOTHER_NAMESPACE),
            ({**web(), "Condition": {"StringEquals": {"<OIDC_PROVIDER>:sub": SUBJECT}}}, Reason.TRUST_HAS_PLACEHOLDER),
            (web("system:serviceaccount:${YOUR_NAMESPACE}:vector"), Reason.TRUST_HAS_PLACEHOLDER),
            (web(host="${YOUR_OIDC_PROVIDER}"), Reason.TRUST_HAS_PLACEHOLDER),
            ({**web(), "Condition": {"StringEquals": {f"{HOST}:sub": "x", "aws:SourceIp": "1"}}}, Reason.TRUST_DENIES),
        ],
    )
    def test_near_misses_of_a_trust_policy(self, statement: dict[str, Any], reason: Reason) -> None:
        link = broken(with_trust(irsa(), statement))
        assert (link.name, link.reason) == ("trust", reason)
        assert link.fix.startswith("aws iam update-assume-role-policy --role-name billing --policy-document '{")
        assert SUBJECT in link.fix

    def test_an_audience_by_pattern_is_not_blamed_for_a_wrong_subject(self) -> None:
        wrong = web("system:serviceaccount:default:vector")
        condition = {"StringEquals": {f"{HOST}:sub": "system:serviceaccount:default:vector"}}
        condition["StringLike"] = {f"{HOST}:aud": "sts.*"}
        link = broken(with_trust(irsa(), {**wrong, "Condition": condition}))
        assert link.reason is Reason.TRUST_NAMES_ANOTHER_NAMESPACE

    def test_the_mended_trust_keeps_the_other_control_planes(self) -> None:
        others = [
            f"system:serviceaccount:{OTHER}:vector",
            *(f"system:serviceaccount:mxp-{i}-system:vector" for i in (3, 4, 5)),
        ]
        link = broken(with_trust(irsa(), web(others)))
        assert all(other in link.fix for other in others)
        assert "exact trust for 1 other control plane (" in link.found
        assert "and 1 more" in link.found

    def test_an_explicit_deny(self) -> None:
        deny = {**web(), "Effect": "Deny", "Sid": "Stop"}
        link = broken(with_trust(irsa(), web(), deny))
        assert (link.reason, link.fix) == (Reason.TRUST_DENIES_EXPLICITLY, "")
        assert "statement 1 (Stop)" in link.advice
        assert "statement 1 (Stop)" in link.found

    def test_wildcards_hold_but_are_noted(self) -> None:
        link = named(with_trust(irsa(), web("system:serviceaccount:*:vector", operator="StringLike")), "trust")
        assert link.state is State.HELD
        assert link.notes == ("statement 0 admits system:serviceaccount:*:vector",)
        anyone = {**web(), "Condition": {"StringEquals": {f"{HOST}:aud": "sts.amazonaws.com"}}}
        assert "every service account" in named(with_trust(irsa(), anyone), "trust").notes[0]
        elsewhere = {**anyone, "Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/other.example"}}
        assert named(with_trust(irsa(), web(), elsewhere), "trust").notes == ()

    def test_a_role_that_is_not_there(self) -> None:
        link = named(replace(irsa(), role=None), "role")
        assert (link.reason, named(replace(irsa(), role=None), "permission").state) == (
            Reason.ROLE_MISSING,
            State.SKIPPED,
        )

    def test_a_trust_without_tag_session(self) -> None:
        link = broken(with_trust(pod_identity(), service("sts:AssumeRole")))
        assert (link.name, link.reason) == ("trust", Reason.TAG_SESSION_NOT_TRUSTED)
        assert '"sts:TagSession"' in link.fix

    def test_tag_session_is_not_needed_where_tags_are_off(self) -> None:
        facts = with_trust(pod_identity(), service("sts:AssumeRole"))
        untagged = Association("a-1", NAMESPACE, "vector", ROLE, tags=False)
        assert held(verify(replace(facts, associations=(untagged,))))

    def test_a_deny_of_what_the_issuer_did_not_authorise_is_seen(self) -> None:
        unasked = {"Bool": {"sts:RoleAuthorizedByIdp": "false"}}
        deny = {**web(), "Effect": "Deny", "Sid": "OnlyAuthorised", "Condition": unasked}
        assert broken(with_trust(irsa(), web(), deny)).reason is Reason.TRUST_DENIES_EXPLICITLY

    def test_an_irsa_trust_does_not_serve_pod_identity(self) -> None:
        assert broken(with_trust(pod_identity(), web())).reason is Reason.TRUST_DENIES

    def test_conditions_on_session_tags_and_the_cluster(self) -> None:
        def conditioned(namespace: str) -> Facts:
            condition = {
                "StringEquals": {
                    "aws:RequestTag/kubernetes-namespace": namespace,
                    "aws:SourceArn": f"arn:aws:eks:us-west-2:{ACCOUNT}:cluster/keyless",
                }
            }
            return with_trust(pod_identity(), service(Condition=condition))

        assert held(verify(conditioned(NAMESPACE)))
        assert broken(conditioned(OTHER)).reason is Reason.TRUST_DENIES


class TestPermission:
    def test_a_missing_permission(self) -> None:
        facts = irsa()
        assert isinstance(facts.role, Role)
        link = broken(replace(facts, role=Role(ROLE, facts.role.trust, permissions("s3:GetObject"))))
        assert (link.name, link.reason) == ("permission", Reason.PERMISSION_MISSING)
        assert "s3:PutObject on arn:aws:s3:::usage/account=a/keyless" in link.found
        assert "inline policy billing: its Action does not match" in link.found
        assert link.fix.startswith("aws iam put-role-policy --role-name billing --policy-name keyless-vector")

    def test_a_permission_for_another_bucket(self) -> None:
        facts = irsa()
        assert isinstance(facts.role, Role)
        elsewhere = permissions(resource="arn:aws:s3:::other/*")
        assert (
            "its Resource does not match" in broken(replace(facts, role=replace(facts.role, identity=elsewhere))).found
        )

    def test_each_action_is_asked_for_resources_of_its_own_service(self) -> None:
        access = Access(
            "vector", "vector", ("s3:PutObject", "kms:GenerateDataKey"), ("arn:aws:s3:::usage/*",), "s3:PutObject"
        )
        assert held(verify(replace(irsa(), access=access)))
        assert named(replace(irsa(), access=None), "permission").state is State.SKIPPED

    def test_what_could_not_be_read_is_unknown_and_the_probe_decides(self) -> None:
        facts = irsa()
        assert isinstance(facts.role, Role)
        unread = Unreadable("inline policies", "lacks iam:ListRolePolicies")
        partly = replace(facts, role=replace(facts.role, identity=(unread,)))
        link = named(partly, "permission")
        assert (link.state, link.found) == (State.UNKNOWN, "inline policies: lacks iam:ListRolePolicies")
        assert held(verify(partly))
        assert not held(verify(with_condition(partly, None)))


def test_reads_that_were_denied_name_the_action() -> None:
    lacking = Unread("lacks iam:GetRole")
    facts = replace(irsa(), role=lacking, providers=lacking, cluster=lacking)
    found = {link.name: (link.state, link.found) for link in verify(facts)}
    assert found["OIDC provider"] == (State.UNKNOWN, "issuer lacks iam:GetRole")
    assert found["trust"] == (State.UNKNOWN, "role lacks iam:GetRole")
    assert found["permission"] == (State.UNKNOWN, "role lacks iam:GetRole")
    assert named(replace(irsa(), providers=lacking), "OIDC provider").state is State.UNKNOWN
    assert named(replace(irsa(), cluster=lacking), "trust").found == "cluster lacks iam:GetRole"
    assert named(replace(pod_identity(), agent=lacking), "agent").state is State.UNKNOWN


class TestHealth:
    @pytest.mark.parametrize(
        ("status", "state"), [("True", State.HELD), ("False", State.BROKEN), ("Unknown", State.BROKEN)]
    )
    def test_usage_that_is_stored_but_not_whole_does_not_hold(self, status: str, state: State) -> None:
        plane = irsa().control_plane
        assert plane
        words = "not counted: Bucket.v1.s3.example.org (Forbidden since noon)"
        told = Condition(status, "KindsNotCounted", words, pod="vector-1")
        facts = replace(irsa(), control_plane=replace(plane, conditions={**plane.conditions, "BillingHealthy": told}))
        link = named(facts, "health")
        assert link.state is state
        assert "Bucket.v1.s3.example.org" in link.found
        assert held(verify(facts)) is (status == "True")
        if state is State.BROKEN:
            assert link.reason is Reason.NOT_HEALTHY
            assert not link.fix
            assert "not counted" in link.advice


class TestProbe:
    def test_a_refusal_carries_the_words_of_aws(self) -> None:
        link = broken(with_condition(irsa(), REFUSED))
        assert (link.name, link.reason) == ("probe", Reason.PROBE_REFUSED)
        assert link.found.startswith("BillingStored=False (AccessDenied)")
        assert link.fix == ""

    def test_a_session_of_another_role_such_as_the_nodes(self) -> None:
        link = broken(with_condition(irsa(), stored("node-role")))
        assert (link.reason, link.fix) == (Reason.PROBE_BY_ANOTHER_ROLE, RESTART)

    def test_a_session_without_a_named_role_proves_nothing(self) -> None:
        facts = with_condition(with_workload(irsa(), annotations={}), stored("node-role"))
        assert named(facts, "probe").state is State.SKIPPED

    def test_nothing_reported_yet_is_unknown(self) -> None:
        links = verify(with_condition(irsa(), None))
        assert (links[-1].state, held(links)) == (State.UNKNOWN, False)


class TestDeleted:
    def test_what_a_deleted_control_plane_leaves_behind_is_noted(self) -> None:
        gone = "system:serviceaccount:mxp-9-system:vector"
        notes = named(with_trust(irsa(), web([SUBJECT, gone])), "trust").notes
        assert notes[0] == "the trust policy still admits mxp-9-system, which is no control plane's"
        assert "aws:TokenIssueTime" in notes[-1]
        left = Association("a-9", "mxp-9-system", "vector", ROLE)
        facts = pod_identity()
        assert isinstance(facts.associations, tuple)
        notes = named(replace(facts, associations=(*facts.associations, left)), "trust").notes
        assert notes[0] == "association a-9 is left for mxp-9-system, which is no control plane's"

    def test_a_control_plane_that_is_not_there_is_the_only_link(self) -> None:
        (link,) = verify(replace(irsa(), control_plane=None, associations=Unread("lacks x")))
        assert (link.reason, link.state) == (Reason.CONTROL_PLANE_MISSING, State.BROKEN)
        assert not held([link])


@pytest.mark.parametrize(
    "facts",
    [
        replace(irsa(), providers=()),
        with_trust(irsa(), web("x")),
        with_workload(irsa(), annotations={}),
        replace(pod_identity(), agent=None),
        with_condition(irsa(), REFUSED),
        with_values(irsa(), values={}),
    ],
)
def test_every_broken_link_says_what_was_expected_found_and_mends(facts: Facts) -> None:
    for link in verify(facts):
        assert link.expected
        assert link.found
        assert (link.reason is not None) is (link.state is State.BROKEN)
        assert bool(link.fix or link.advice) is (link.state is State.BROKEN)


class TestStorage:
    @pytest.mark.parametrize(
        ("changes", "word"),
        [
            ({"billing.storage.aws.bucket": ""}, "billing.storage.aws.bucket=''"),
            ({"billing.storage.provider": ""}, "billing.storage.provider=''"),
            ({"billing.storage.aws.bucket": "My_Bucket"}, "expected 3 to 63 of a-z"),
            ({"billing.storage.aws.region": "Oregon"}, "expected the name of an AWS region"),
        ],
    )
    def test_a_place_that_cannot_be_is_told(self, changes: dict[str, str], word: str) -> None:
        link = named(with_values(irsa(), values={**SET, **changes}), "storage")
        assert (link.state, link.reason) == (State.BROKEN, Reason.STORAGE_NOT_NAMED)
        assert word in link.found
        assert (link.fix or link.advice).startswith(
            ("helm upgrade spaces spaces-helm-chart --reuse-values --set", "set")
        )

    def test_what_an_old_upgrade_lost_is_not_put_back_for_what_is_missing_now(self) -> None:
        bucket, endpoint = "billing.storage.aws.bucket", "billing.storage.aws.endpoint"
        old, new = Revision(1, {**SET, endpoint: "http://elsewhere"}), Revision(2, {**SET, bucket: ""})
        facts = with_values(irsa(), values={**SET, bucket: ""})
        facts = replace(facts, space=replace(facts.space, history=(old, new)))
        link = named(facts, "storage")
        assert link.reason is Reason.STORAGE_NOT_NAMED
        assert not link.fix
        assert bucket in link.advice

    def test_a_place_that_is_missing_altogether_is_told(self) -> None:
        values = {key: value for key, value in SET.items() if "storage.aws" not in key}
        assert named(with_values(irsa(), values=values), "storage").reason is Reason.STORAGE_NOT_NAMED

    @pytest.mark.parametrize(
        ("variable", "value"),
        [
            ("KEYLESS_BILLING_BUCKET", "other"),
            ("KEYLESS_BILLING_REGION", "eu-west-1"),
            ("KEYLESS_BILLING_ENDPOINT", "x"),
        ],
    )
    def test_a_collector_that_stores_elsewhere_than_the_values_say_is_told(self, variable: str, value: str) -> None:
        env = {**IRSA_ENV, "KEYLESS_BILLING_BUCKET": "usage", variable: value}
        link = broken(with_workload(irsa(), pods=(Pod("vector-1", True, "", env, "sts.amazonaws.com"),)))
        assert (link.name, link.reason) == ("storage", Reason.STORAGE_DIFFERS)
        assert f"pod vector-1 carries {variable}='{value}'" in link.found
        assert (link.fix, "conditions of the ControlPlane" in link.advice) == ("", True)

    def test_a_collector_that_says_it_stored_elsewhere_is_told(self) -> None:
        link = broken(with_values(irsa(), values={**SET, "billing.storage.aws.bucket": "new-bucket"}))
        assert (link.reason, link.found) == (Reason.STORAGE_DIFFERS, "BillingStored speaks of s3://usage")

    def test_an_account_with_another_role_than_the_values_say_is_told(self) -> None:
        other = f"arn:aws:iam::{ACCOUNT}:role/other"
        link = named(with_values(irsa(), values={**SET, ANNOTATED: other}), "service account")
        assert (link.state, link.reason) == (State.BROKEN, Reason.ROLE_DIFFERS)
        assert other in link.found
        assert link.fix.endswith(f"--overwrite eks.amazonaws.com/role-arn={other}")

    def test_without_billing_there_is_no_place_to_look_at(self) -> None:
        values = {**SET, "billing.enabled": "false"}
        assert "storage" not in [link.name for link in verify(with_values(irsa(), values=values))]


@pytest.mark.parametrize("value", ["", None])
def test_an_empty_or_missing_secret_means_workload_identity(value: str | None) -> None:
    values = {key: text for key, text in SET.items() if key != "billing.storage.secretRef.name"}
    if value is not None:
        values["billing.storage.secretRef.name"] = value
    assert named(with_values(irsa(), values=values), "no static keys").state is State.HELD

"""The story: the billing guide by IRSA with one misstep, shared secrets by Pod Identity, then trust that follows."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from keyless.cli import exits
from keyless.cli.demo import following, looks, objects, stand_ins, teams
from keyless.cli.demo.rotation import identity_of_second, rotation
from keyless.cli.demo.stage import Stage, keyless
from keyless.cli.demo.step import Step, texts
from keyless.kube import Resource
from keyless.kube.resources import (
    CONTROLPLANES,
    CRDS,
    EXTERNALSECRETS,
    NAMESPACES,
    SHAREDEXTERNALSECRETS,
    SHAREDSECRETSTORES,
    WORKLOADIDENTITIES,
)

PAGE = "usage.html"
VPCS = Resource("ec2.aws.upbound.io", "v1beta1", "vpcs", "VPC", namespaced=False)


def steps(stage: Stage) -> list[Step]:
    """The steps, told for this stage."""
    return [*_billing(stage), *_secrets(stage), identity_of_second(stage), *_follow(stage), *_end(stage)]


def _billing(stage: Stage) -> list[Step]:
    role, bucket = stage.name("YOUR_BILLING_ROLE_NAME"), stage.name("YOUR_BILLING_BUCKET")
    wrong, right = objects.web_identity_trust(stage, "default"), objects.web_identity_trust(stage, "vector")
    policy = objects.billing_policy(stage)
    account, region = stage.name("YOUR_AWS_ACCOUNT_ID"), stage.name("YOUR_AWS_REGION")
    arn = f"arn:aws:iam::{account}:role/{role}"
    values: dict[tuple[str, ...], object] = {
        ("billing", "enabled"): True,
        ("billing", "storage", "provider"): "aws",
        ("billing", "storage", "aws", "region"): region,
        ("billing", "storage", "aws", "bucket"): bucket,
        ("billing", "storage", "secretRef", "name"): "",
        ("billing", "dimensions", "labels"): ["team"],
        ("controlPlanes", "vector", "serviceAccount", "customAnnotations", "eks.amazonaws.com/role-arn"): arn,
    }

    async def resources() -> str:
        await stand_ins.apply(stage.tenant, [objects.vpc_crd()], CRDS)
        return await stand_ins.apply(stage.tenant, objects.vpcs(), VPCS)

    async def bucket_made() -> str:
        place = {"LocationConstraint": region}
        await stage.aws.call("s3", "CreateBucket", Bucket=bucket, CreateBucketConfiguration=place)
        return f"make_bucket: {bucket}"

    async def provider() -> str:
        issuer = (await stage.aws.call("eks", "DescribeCluster", name=stage.name("YOUR_CLUSTER_NAME")))["cluster"]
        made = await stage.aws.call(
            "iam",
            "CreateOpenIDConnectProvider",
            Url=issuer["identity"]["oidc"]["issuer"],
            ClientIDList=["sts.amazonaws.com"],
        )
        return str(made["OpenIDConnectProviderArn"])

    async def mend() -> str:
        await stage.aws.call("iam", "UpdateAssumeRolePolicy", RoleName=role, PolicyDocument=json.dumps(right))
        return "trust policy updated"

    return [
        Step(
            "Three managed resources in control plane ctp1: two of teams, one of nobody",
            "kubectl",
            "kubectl --kubeconfig $TENANT_KUBECONFIG apply -f vpcs-crd.yaml\n"
            "kubectl --kubeconfig $TENANT_KUBECONFIG wait --for=condition=Established crd/vpcs.ec2.aws.upbound.io\n"
            "kubectl --kubeconfig $TENANT_KUBECONFIG apply -f vpcs.yaml",
            resources,
            files=texts({"vpcs-crd.yaml": [objects.vpc_crd()], "vpcs.yaml": objects.vpcs()}),
        ),
        Step("A bucket for usage", "aws", "aws s3 mb s3://$YOUR_BILLING_BUCKET", bucket_made),
        Step(
            "A role, with a misstep: it trusts service account `default`, not `vector`",
            "aws",
            "aws iam create-role --role-name $YOUR_BILLING_ROLE_NAME"
            " --assume-role-policy-document file://trust.json --query Role.Arn --output text\n"
            "aws iam put-role-policy --role-name $YOUR_BILLING_ROLE_NAME --policy-name billing"
            " --policy-document file://policy.json",
            lambda: stand_ins.create_role(stage, role, wrong, policy),
            files=texts({"trust.json": wrong, "policy.json": policy}),
        ),
        Step(
            "IAM learns the cluster's issuer",
            "aws",
            "aws iam create-open-id-connect-provider --client-id-list sts.amazonaws.com --output text \\\n"
            '  --url "$(aws eks describe-cluster --name $YOUR_CLUSTER_NAME'
            ' --query cluster.identity.oidc.issuer --output text)"',
            provider,
        ),
        Step(
            "Billing is switched on, by workload identity",
            "helm",
            "helm upgrade spaces spaces-helm-chart \\\n"
            "  --set billing.enabled=true --set billing.storage.provider=aws \\\n"
            "  --set billing.storage.aws.region=$YOUR_AWS_REGION"
            " --set billing.storage.aws.bucket=$YOUR_BILLING_BUCKET \\\n"
            "  --set billing.storage.secretRef.name= --set 'billing.dimensions.labels={team}' \\\n"
            '  --set controlPlanes.vector.serviceAccount.customAnnotations."eks\\.amazonaws\\.com/role-arn"='
            "arn:aws:iam::$YOUR_AWS_ACCOUNT_ID:role/$YOUR_BILLING_ROLE_NAME",
            lambda: stand_ins.helm_upgrade(stage, values),
            look=looks.refusal,
        ),
        Step(
            "The trust policy is mended: it names the collector's service account",
            "aws",
            "aws iam update-assume-role-policy --role-name $YOUR_BILLING_ROLE_NAME --policy-document file://mended.json",
            mend,
            look=looks.usage_stored,
            files=texts({"mended.json": right}),
        ),
    ]


def _secrets(stage: Stage) -> list[Step]:
    role, prefix = stage.name("YOUR_ROLE_NAME"), stage.name("YOUR_SECRET_PREFIX")
    trust, policy = objects.pod_identity_trust(), objects.secrets_policy(stage)
    shared = objects.shared_objects(stage)
    arn = f"arn:aws:iam::{stage.name('YOUR_AWS_ACCOUNT_ID')}:role/{role}"

    async def secret_made() -> str:
        value = json.dumps({"username": "app", "password": "demo-value-that-is-never-shown"})
        ours = await stage.aws.call("secretsmanager", "CreateSecret", Name=f"{prefix}database", SecretString=value)
        theirs = await stage.aws.call("secretsmanager", "CreateSecret", Name=f"{prefix}search", SecretString="theirs")
        return f"{ours['ARN']}\n{theirs['ARN']}"

    async def associated() -> str:
        made = await stage.aws.call(
            "eks",
            "CreatePodIdentityAssociation",
            clusterName=stage.name("YOUR_CLUSTER_NAME"),
            namespace=stage.name("YOUR_CONTROL_PLANE_NAMESPACE"),
            serviceAccount="external-secrets-controller",
            roleArn=arn,
        )
        return str(made["association"]["associationArn"])

    async def shared_made() -> str:
        await stand_ins.apply(stage.host, shared[:1], SHAREDSECRETSTORES)
        await stand_ins.apply(stage.host, shared[1:], SHAREDEXTERNALSECRETS)
        return await stand_ins.apply(stage.tenant, [objects.payments_namespace()], NAMESPACES)

    scope = ("controlPlanes", "sharedSecrets", "scopes")
    scopes: dict[tuple[str, ...], object] = {scope: [{"namespace": "payments", "prefixes": [f"{prefix}database"]}]}
    asks = objects.neighbours_key(stage)

    return [
        Step(
            "A secret to share, and one of another team",
            "aws",
            "aws secretsmanager create-secret --name ${YOUR_SECRET_PREFIX}database --query ARN --output text"
            ' --secret-string \'{"username":"app","password":"demo-value-that-is-never-shown"}\'\n'
            "aws secretsmanager create-secret --name ${YOUR_SECRET_PREFIX}search --query ARN --output text"
            " --secret-string theirs",
            secret_made,
        ),
        Step(
            "A role for EKS Pod Identity",
            "aws",
            "aws iam create-role --role-name $YOUR_ROLE_NAME"
            " --assume-role-policy-document file://pods-trust.json --query Role.Arn --output text\n"
            "aws iam put-role-policy --role-name $YOUR_ROLE_NAME --policy-name shared-secrets"
            " --policy-document file://secrets-policy.json",
            lambda: stand_ins.create_role(stage, role, trust, policy),
            files=texts({"pods-trust.json": trust, "secrets-policy.json": policy}),
        ),
        Step(
            "Its association with the controller's service account",
            "aws",
            "aws eks create-pod-identity-association --cluster-name $YOUR_CLUSTER_NAME"
            " --namespace $YOUR_CONTROL_PLANE_NAMESPACE \\\n"
            "  --service-account external-secrets-controller --role-arn"
            " arn:aws:iam::$YOUR_AWS_ACCOUNT_ID:role/$YOUR_ROLE_NAME --query association.associationArn --output text",
            associated,
        ),
        Step(
            "The role may read both; a scope gives namespace `payments` its own key and no other",
            "helm",
            "helm upgrade spaces spaces-helm-chart --reuse-values \\\n"
            "  --set 'controlPlanes.sharedSecrets.scopes[0].namespace=payments' \\\n"
            '  --set "controlPlanes.sharedSecrets.scopes[0].prefixes[0]=${YOUR_SECRET_PREFIX}database"',
            lambda: stand_ins.helm_upgrade(stage, scopes, reuse_values=True),
            look=looks.scopes_given,
        ),
        Step(
            "A running pod keeps the identity that it was created with: restart it",
            "kubectl",
            "kubectl rollout restart deployment external-secrets -n $YOUR_CONTROL_PLANE_NAMESPACE",
            lambda: stand_ins.rollout_restart(stage, "external-secrets"),
        ),
        Step(
            "One store and one secret for the whole group; a team makes its namespace",
            "kubectl",
            "kubectl apply -f shared.yaml\nkubectl --kubeconfig $TENANT_KUBECONFIG apply -f payments.yaml",
            shared_made,
            look=looks.secret_arrived,
            files=texts({"shared.yaml": shared, "payments.yaml": [objects.payments_namespace()]}),
        ),
        Step(
            "The team asks for its neighbour's key through the same store",
            "kubectl",
            "kubectl --kubeconfig $TENANT_KUBECONFIG apply -f neighbour.yaml",
            lambda: stand_ins.apply(stage.tenant, [asks], EXTERNALSECRETS),
            look=looks.out_of_scope,
            files=texts({"neighbour.yaml": [asks]}),
        ),
    ]


def _follow(stage: Stage) -> list[Step]:
    trust, policy = objects.pod_identity_trust(), following.policy_of_the_operator(stage)
    identity, planes = following.identity_to_manage(stage), following.newcomers()
    role = following.OPERATOR_ROLE
    return [
        Step(
            "The Space shall keep its own trust: the operator gets a role, with the smallest policy for that",
            "aws",
            f"aws iam create-role --role-name {role} --assume-role-policy-document file://operator-trust.json"
            " --query Role.Arn --output text\n"
            f"aws iam put-role-policy --role-name {role} --policy-name grants"
            " --policy-document file://operator-policy.json\n"
            "aws eks create-pod-identity-association --cluster-name $YOUR_CLUSTER_NAME --namespace default \\\n"
            f"  --service-account {role} --role-arn arn:aws:iam::$YOUR_AWS_ACCOUNT_ID:role/{role}"
            " --query association.associationArn --output text",
            lambda: following.operator_made(stage),
            files=texts({"operator-trust.json": trust, "operator-policy.json": policy}),
        ),
        Step(
            "It is restarted with it",
            "kubectl",
            f"kubectl rollout restart deployment {role}",
            lambda: following.operator_restarted(stage),
            look=following.rolled_out,
        ),
        Step(
            "From here on the Space follows by itself",
            "kubectl",
            "kubectl apply -f identity.yaml",
            lambda: stand_ins.apply(stage.host, [identity], WORKLOADIDENTITIES),
            look=following.managed,
            files=texts({"identity.yaml": [identity]}),
        ),
        Step(
            "A second and a third control plane appear, and work: nobody touches IAM",
            "kubectl",
            "kubectl apply -f planes.yaml",
            lambda: stand_ins.apply(stage.host, planes, CONTROLPLANES),
            look=following.newcomers_work,
            files=texts({"planes.yaml": planes}),
        ),
    ]


def _teams(stage: Stage) -> list[Step]:
    second = "kubectl --kubeconfig $SECOND_KUBECONFIG"
    place = "-o jsonpath='{.status.hostNamespace}'"
    return [
        Step(
            "Control plane ctp2 is of team search: two resources appear in it",
            "kubectl",
            f"{second} apply -f vpcs-crd.yaml\n"
            f"{second} wait --for=condition=Established crd/vpcs.ec2.aws.upbound.io\n"
            f"{second} apply -f second-vpcs.yaml",
            lambda: teams.appeared(stage, VPCS),
            files=texts({"vpcs-crd.yaml": [objects.vpc_crd()], "second-vpcs.yaml": objects.second_vpcs()}),
        ),
        Step(
            "One vanishes in each control plane",
            "kubectl",
            f"kubectl --kubeconfig $TENANT_KUBECONFIG delete vpc batch\n{second} delete vpc crawler",
            lambda: teams.vanished(stage, VPCS),
        ),
        Step(
            "Usage is stored every five minutes here; a collector that ends stores what it has",
            "kubectl",
            "for plane in ctp1 ctp2; do\n"
            f'  kubectl rollout restart deployment vector -n "$(kubectl get controlplane $plane {place})"\n'
            "done",
            lambda: teams.restarted(stage),
            look=teams.stored,
        ),
    ]


def _ours(title: str, *arguments: str, code: int = exits.HELD) -> Step:
    async def nothing() -> str:
        raise AssertionError("keyless is always there")

    shown = " ".join(("keyless", *arguments))
    return Step(title, "keyless", shown, nothing, code=code)


def _end(stage: Stage) -> list[Step]:
    async def written_over() -> str:
        listed = await stage.aws.call("s3", "ListObjectsV2", Bucket=bucket, Prefix="account=", MaxKeys=1)
        key = listed["Contents"][0]["Key"]
        await stage.aws.call("s3", "PutObject", Bucket=bucket, Key=key, Body=b"[]\n")
        return f"written over: s3://{bucket}/{key}"

    bucket = stage.name("YOUR_BILLING_BUCKET")
    usage = ("--bucket", bucket, "--account", "notdemo", "--billing-month", f"{datetime.now(UTC):%Y-%m}")
    so_far = (*usage, "--force-incomplete")
    verified = ("billing", "verify", "--bucket", bucket, "--account", "notdemo")
    return [
        _ours("The whole chain of all three, link by link", "verify", "billing", "--wait-seconds", "60"),
        _ours(
            "The same for shared secrets of ctp1",
            "verify",
            "shared-secrets",
            "--control-plane",
            "ctp1",
            "--wait-seconds",
            "60",
        ),
        *rotation(stage),
        *_teams(stage),
        _ours("The report", "billing", "export", *usage, "--force-incomplete"),
        _ours("Whose usage it is, so far", "billing", "report", *so_far, "--by", "team", "--by", "control-plane"),
        _ours("The same as a page to forward", "billing", "report", *so_far, "--output", "html", "--out", PAGE),
        _ours("Is all of it there, and is it what was stored?", *verified),
        Step(
            "The bucket's owner writes over what was used",
            "aws",
            "key=$(aws s3api list-objects-v2 --bucket $YOUR_BILLING_BUCKET --prefix account="
            " --query 'Contents[0].Key' --output text)\n"
            "echo '[]' | aws s3 cp - \"s3://$YOUR_BILLING_BUCKET/$key\"",
            written_over,
        ),
        _ours("It is caught", *verified, code=exits.DID_NOT_HOLD),
    ]


NEXT = """What to try next:
  keyless demo --keep                       # the same, and the Space is left for you to look around in
  keyless up --detach                       # a Space of your own, with control plane ctp1
  eval "$(keyless env)"                     # … for kubectl, helm and aws, and every YOUR_… variable of the guides
  keyless audit --denied                    # what was refused, and which condition of which statement did it
  docs/guides/billing-workload-identity.md  # the guides, which run word for word
  docs/how-to/try-a-policy.md               # short recipes"""


def command_line(step: Step) -> list[str]:
    """For steps of our own: the command line that runs this very keyless."""
    return keyless(*step.command.removeprefix("keyless ").split())

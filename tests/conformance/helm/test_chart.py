"""The chart as real helm renders it: the guides' flags, and what is refused with which words."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from keyless.space.parsing import parse_values
from keyless.space.values import Values

ROOT = Path(__file__).resolve().parents[3]
ROLE = "arn:aws:iam::111122223333:role/billing"
VECTOR_ROLE = r"controlPlanes.vector.serviceAccount.customAnnotations.eks\.amazonaws\.com/role-arn"
SECRETS_ROLE = r"controlPlanes.sharedSecrets.serviceAccount.customAnnotations.eks\.amazonaws\.com/role-arn"
GUIDES = [
    *("--set", "billing.enabled=true"),
    *("--set", "billing.storage.provider=aws"),
    *("--set", "billing.storage.aws.region=us-west-2"),
    *("--set", "billing.storage.aws.bucket=usage"),
    *("--set", "billing.storage.secretRef.name="),
    *("--set", f"{VECTOR_ROLE}={ROLE}"),
    *("--set", f"{SECRETS_ROLE}={ROLE}"),
    *("--set", "sharedSecrets.enabled=true"),
]


async def _values(helm, *flags: str, chart: str = "spaces-helm-chart") -> Values:
    code, out, errors = await helm("template", "spaces", chart, *flags)
    assert code == 0, errors
    (config_map,) = [each for each in yaml.safe_load_all(out) if each and each["kind"] == "ConfigMap"]
    values = parse_values(config_map["data"]["values.json"])
    assert isinstance(values, Values), values
    return values


async def test_the_defaults_are_those_of_the_operator_but_for_resources(helm) -> None:
    values = await _values(helm)
    assert values.vector.resources["requests"]
    # The chart's Secret is the peer's: a forgotten flag means static keys. Without a value there are none.
    billing = replace(Values().billing, secret="billing-storage")
    assert (values.billing, values.persistence, values.mode) == (billing, Values().persistence, "auto")
    assert values.shared_secrets


async def test_every_flag_of_the_guides_arrives(helm) -> None:
    values = await _values(helm, *GUIDES)
    assert values.billing.enabled
    assert values.billing.missing == ()
    assert values.billing.secret == ""
    assert values.vector.annotations == values.external_secrets.annotations == {"eks.amazonaws.com/role-arn": ROLE}


@pytest.mark.parametrize("word", ["true", "false", "auto"])
async def test_persistence_has_three_positions(helm, word: str) -> None:
    values = await _values(helm, "--set", f"controlPlanes.vector.persistence.enabled={word}")
    assert values.persistence.enabled is {"true": True, "false": False, "auto": None}[word]


async def test_a_section_emptied_with_null_is_the_default(helm) -> None:
    values = await _values(helm, "--set", "controlPlanes.vector.serviceAccount.customAnnotations=null")
    assert values.vector.annotations == {}


async def test_an_upgrade_goes_on_from_annotations_that_an_earlier_one_emptied_with_null(helm, tmp_path: Path) -> None:
    """With ``--reuse-values`` Helm keeps the null, and the chart's own values lose the key, as in this copy."""
    chart = tmp_path / "chart"
    shutil.copytree(ROOT / "spaces-helm-chart", chart)
    own = yaml.safe_load((chart / "values.yaml").read_text())
    flags = []
    for name in ("vector", "sharedSecrets", "backup"):
        del own["controlPlanes"][name]["serviceAccount"]["customAnnotations"]
        flags += ["--set", f"controlPlanes.{name}.serviceAccount.customAnnotations=null"]
    (chart / "values.yaml").write_text(yaml.safe_dump(own))
    values = await _values(helm, *flags, chart=str(chart))
    assert values.vector.annotations == values.external_secrets.annotations == values.backups.annotations == {}


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("controlPlanes.api.kind=x", "expected one of mode"),
        ("billing.storage.aws.tls.verifyCertificate=false", "verifyCertificate"),
        ("controlPlanes.vector.replicas=2", "replicas"),
    ],
)
async def test_a_key_that_nobody_reads_is_refused_by_name(helm, flag: str, said: str) -> None:
    code, _, errors = await helm("template", "spaces", "spaces-helm-chart", "--set", flag)
    assert code != 0
    assert said in errors


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        (f"{VECTOR_ROLE}=arn:aws:iam:::role/", "which is no role's ARN: expected arn:aws:iam::<12 digits>:role/<name>"),
        (f"{SECRETS_ROLE}=billing", "controlPlanes.sharedSecrets.serviceAccount.customAnnotations: eks.amazonaws.com"),
        (VECTOR_ROLE.replace(r"amazonaws\.com", r"amazon\.aws") + f"={ROLE}", "an annotation that nobody reads"),
        ("billing.storage.provider=gcp", 'billing.storage.provider is "gcp", which is not implemented'),
    ],
)
async def test_what_would_hurt_is_refused_with_a_sentence(helm, flag: str, said: str) -> None:
    code, _, errors = await helm("template", "spaces", "spaces-helm-chart", "--set", flag)
    assert code != 0
    assert said in errors


async def test_the_peers_keys_are_known(helm, tmp_path: Path) -> None:
    """Someone who comes with the values file that they have can keep it."""
    vector = {"version": "0.36.1", "debug": False, "sinks": {"usage": {"buffer": {"maxEvents": 500}}}}
    document = {
        "account": "acme",
        "features": {"alpha": {"sharedSecrets": {"enabled": True}, "eso": {"namespace": "x"}}},
        "metering": {"enabled": False},
        "controlPlanes": {"vector": {**vector, "service": {"enabled": False}}, "uxp": {}, "kubeStateMetrics": {}},
    }
    file = tmp_path / "values.json"
    file.write_text(json.dumps(document))
    assert (await _values(helm, "-f", str(file))).account == "acme"


async def test_the_carried_record_is_what_helm_renders(helm) -> None:
    record = json.loads((ROOT / "src/keyless/local/boot/release/release.json").read_text())
    _, out, _ = await helm("template", "spaces", "spaces-helm-chart", "-n", "default", "--no-hooks")
    assert out.strip() == record["manifest"].strip(), "run `make chart-record`"

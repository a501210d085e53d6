"""Keys that nobody reads are refused with the name that was meant, by real helm: template, lint, a file of values."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from generate.known_keys import ELSEWHERE, FREE

CHART = Path(__file__).resolve().parents[3] / "spaces-helm-chart"
KNOWN = json.loads((CHART / "files/keys.json").read_text())
MEANT = {
    "biling.enabled=true": "biling: there is no such value; did you mean billing?",
    "Image.tag=x": "Image: there is no such value; did you mean image?",
    "imgae.tag=x": "did you mean image?",
    "billing.storage.aws.buket=x": "did you mean billing.storage.aws.bucket?",
    "sharedSecrets.enable=true": "did you mean sharedSecrets.enabled?",
    "operator.pod-labels.x=y": "did you mean operator.podLabels?",
    "operator.tolerations[0].ky=x,operator.tolerration=x": "operator.tolerration: there is no such value; did you mean",
    "imagePullSecrets[0].name=x,imagePullSecrets[0].nam=x": "did you mean imagePullSecrets[0].name?",
    "controlPlanes.vector.serviceAccount.annotations.a=b": "vector.serviceAccount.customAnnotations?",
    "controlPlanes.sharedSecrets.replicas=2": "did you mean operator.replicas or webhook.replicas or issuer.replicas?",
    "bucket=usage": "did you mean billing.storage.aws.bucket or billing.export.bucket or backup.storage.aws.bucket?",
    "replicaCount=2": "did you mean operator.replicas?",
    "installCRDs=true": "did you mean crds.enabled?",
    "zzz=1": "zzz: there is no such value: expected one of account, agent, backup, billing,",
}
SLIPS = """
{{- range .Values.slips }}
# {{ (include "spaces.nearest" . | fromJson).name }}
{{- end }}
"""


@pytest.mark.parametrize("flags", MEANT)
async def test_a_key_that_nobody_reads_is_refused_with_the_one_that_was_meant(helm, flags: str) -> None:
    code, _, errors = await helm("template", "spaces", "spaces-helm-chart", "--set", flags)
    assert code != 0
    assert MEANT[flags] in errors


async def test_all_of_them_are_told_at_once(helm, tmp_path: Path) -> None:
    file = tmp_path / "values.json"
    file.write_text(json.dumps({"biling": {}, "operator": {"replica": 2}, "controlPlanes": {"vektor": {}}}))
    code, _, errors = await helm("template", "spaces", "spaces-helm-chart", "-f", str(file))
    assert code != 0
    for meant in ("mean billing?", "mean operator.replicas?", "mean controlPlanes.vector?"):
        assert meant in errors


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("biling.enabled=true", "did you mean billing?"),
        ("billing.storage.provider=gcp", "which is not implemented"),
        ("operator.podDisruptionBudget.enabled=true", "set operator.replicas=2"),
    ],
)
async def test_lint_fails_too_where_a_template_refuses(helm, flag: str, said: str) -> None:
    code, out, errors = await helm("lint", "spaces-helm-chart", "--set", flag)
    assert code != 0
    assert said in out + errors


async def test_what_a_section_of_somebody_elses_chart_holds_is_left_alone(helm) -> None:
    for flag in ("features.alpha.argocd.enabled=true", "global.imageRegistry=x", "operator.affinity.anything=x"):
        code, _, errors = await helm("template", "spaces", "spaces-helm-chart", "--set", flag)
        assert code == 0, errors


async def test_a_slip_of_any_key_finds_the_key_again(helm, tmp_path: Path) -> None:
    """The keys of the largest sections, one with a letter lost, the next doubled, wrong, or two changed about."""
    sections = (KNOWN["tree"], KNOWN["tree"]["operator"], KNOWN["tree"]["billing"]["storage"])
    keys = [(key, sorted(names)) for names in sections for key in names if key != FREE]
    cases = [(_slip(key, number), key, names) for number, (key, names) in enumerate(keys)]
    (tmp_path / "templates").mkdir()
    shutil.copy(CHART / "templates/_keys.tpl", tmp_path / "templates/_keys.tpl")
    (tmp_path / "templates/cases.yaml").write_text(SLIPS)
    (tmp_path / "Chart.yaml").write_text("apiVersion: v2\nname: cases\nversion: 0.1.0\n")
    slips = [{"key": wrong, "names": names} for wrong, _, names in cases]
    (tmp_path / "values.json").write_text(json.dumps({"slips": slips}))
    code, out, errors = await helm("template", "cases", str(tmp_path), "--values", str(tmp_path / "values.json"))
    assert code == 0, errors
    found = [line.removeprefix("# ") for line in out.splitlines() if line.startswith("# ") and "Source" not in line]
    assert len(cases) > 30
    assert [(wrong, meant, told) for (wrong, meant, _), told in zip(cases, found, strict=True) if meant != told] == []


def test_a_name_of_another_chart_leads_to_a_key_that_there_is() -> None:
    for path in ELSEWHERE.values():
        node = KNOWN["tree"]
        for part in path.split("."):
            node = node[part]


def _slip(key: str, number: int) -> str:
    """One of four kinds, in the middle of the word."""
    middle = len(key) // 2
    before, at, after = key[:middle], key[middle], key[middle + 1 :]
    return (before + after, f"{before}{at}{at}{after}", f"{before}q{after}", before[:-1] + at + before[-1] + after)[
        number % 4
    ]

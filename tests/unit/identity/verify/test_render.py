"""The words on a terminal and in JSON."""

from __future__ import annotations

import json
from dataclasses import replace

from keyless.identity.verify import Chain, Facts, render_json, render_text, verify
from unit.identity.verify.chains import ROLE, irsa, named, pod_identity, web, with_condition, with_trust


def chain(facts: Facts) -> Chain:
    return Chain(facts, verify(facts))


def test_a_chain_that_holds_is_one_line_a_link() -> None:
    lines = render_text([chain(irsa())]).splitlines()
    assert lines[0] == "billing of control plane default/ctp1 (host namespace mxp-1-system)"
    assert all(line.startswith("  ok       ") for line in lines[1:-1])
    assert lines[-1] == "  holds"


def test_a_broken_link_shows_reason_expectation_and_mending() -> None:
    text = render_text([chain(replace(irsa(), providers=()))])
    assert "  FAILED   OIDC provider: no such provider" in text
    assert "           reason    OIDCProviderMissing" in text
    assert "           expected  IAM has an OIDC provider for https://127.0.0.1:6443/clusters/keyless" in text
    assert "           fix       aws iam create-open-id-connect-provider" in text
    assert "  does not hold: OIDC provider (OIDCProviderMissing)" in text


def test_notes_and_what_is_not_proven_are_shown() -> None:
    wide = with_trust(irsa(), web("system:serviceaccount:*:vector", operator="StringLike"))
    text = render_text([chain(with_condition(wide, None))])
    assert "           note      statement 0 admits system:serviceaccount:*:vector" in text
    assert text.rstrip().endswith("  not proven: probe")


def test_a_control_plane_that_is_not_there() -> None:
    missing = replace(irsa(), control_plane=None)
    assert render_text([chain(missing)]).startswith("billing of a control plane that is not there")
    (shown,) = render_json([chain(missing)])
    assert (shown["controlPlane"], shown["hostNamespace"], shown["held"]) == (None, None, False)


def test_json_has_the_same_words() -> None:
    shown = json.loads(
        json.dumps(render_json([chain(irsa()), chain(pod_identity()), chain(replace(irsa(), role=None))]))
    )
    assert [(one["mode"], one["role"], one["held"]) for one in shown] == [
        ("irsa", ROLE, True),
        ("pod-identity", ROLE, True),
        ("irsa", ROLE, False),
    ]
    broken = next(link for link in shown[2]["links"] if link["state"] == "Broken")
    link = named(replace(irsa(), role=None), "role")
    assert (broken["reason"], broken["found"], broken["fix"]) == ("RoleMissing", link.found, link.fix)

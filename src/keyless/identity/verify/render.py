"""Links as lines for people and as JSON for programs. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from keyless.identity.verify.model import Facts, Link, State
from keyless.identity.verify.plan import held, verdict

_MARKS = {State.HELD: "ok", State.BROKEN: "FAILED", State.UNKNOWN: "unknown", State.SKIPPED: "skipped"}


@dataclass(frozen=True, slots=True)
class Chain:
    """One component of one control plane, judged."""

    facts: Facts
    links: Sequence[Link]

    @property
    def held(self) -> bool:
        """Whether the chain holds."""
        return held(list(self.links))

    @property
    def verdict(self) -> State:
        """Held, Broken or Unknown."""
        return verdict(list(self.links))

    @property
    def title(self) -> str:
        """``billing of control plane default/ctp1 (host namespace mxp-…-system)``."""
        plane, subject = self.facts.control_plane, self.facts.subject.title
        if self.facts.subject.of_space:
            return f"{subject} of the Space (namespace {self.facts.namespace})"
        if plane is None and (waits := self.facts.waits):
            return f"{subject} of control plane {waits.group}/{waits.name} (no host namespace yet)"
        if plane is None:
            return f"{subject} of a control plane that is not there"
        return f"{subject} of control plane {plane.group}/{plane.name} (host namespace {plane.host_namespace})"


def render_text(chains: Sequence[Chain]) -> str:
    """Plain lines: each link with what was found; a broken one also with what was expected and the mending command."""
    lines: list[str] = []
    for chain in chains:
        lines += [chain.title, *(line for link in chain.links for line in _link_lines(link)), _verdict(chain), ""]
    return "\n".join(lines)


def _link_lines(link: Link) -> list[str]:
    lines = [f"  {_MARKS[link.state]:<8} {link.name}: {link.found}"]
    if link.state is State.BROKEN:
        lines += [f"           reason    {link.reason}", f"           expected  {link.expected}"]
    if link.state in (State.BROKEN, State.UNKNOWN):
        lines += [f"           advice    {link.advice}"] if link.advice else []
        lines += [f"           change    {line}" for line in link.diff]
        lines += [f"           fix       {link.fix}"] if link.fix else []
    return lines + [f"           note      {note}" for note in link.notes]


def _verdict(chain: Chain) -> str:
    if chain.held:
        return "  holds"
    broken = [link for link in chain.links if link.state is State.BROKEN]
    if broken:
        return f"  does not hold: {broken[0].name} ({broken[0].reason})"
    unknown = [link.name for link in chain.links if link.state is State.UNKNOWN]
    return f"  not proven: {', '.join(unknown)}" if unknown else "  not proven"


def render_json(chains: Sequence[Chain]) -> list[dict[str, object]]:
    """One object per chain; the same words as in the text."""
    return [
        {
            "component": chain.facts.subject.title,
            "controlPlane": (place.name or None) if (place := chain.facts.control_plane or chain.facts.waits) else None,
            "group": (place.group or None) if place else None,
            "hostNamespace": chain.facts.namespace or None,
            "mode": "pod-identity" if chain.facts.by_association else "irsa" if chain.facts.annotation else None,
            "role": chain.facts.role_arn or None,
            "held": chain.held,
            "verdict": chain.verdict.value,
            "links": [
                {
                    "name": link.name,
                    "state": link.state.value,
                    "reason": link.reason.value if link.reason else None,
                    "expected": link.expected,
                    "found": link.found,
                    "fix": link.fix or None,
                    "advice": link.advice or None,
                    "diff": list(link.diff),
                    "notes": list(link.notes),
                }
                for link in chain.links
            ],
        }
        for chain in chains
    ]

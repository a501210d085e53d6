"""EKS's part in a cluster that is not EKS: the pod identity webhook behind a Service, and the agent on every node."""

from __future__ import annotations

from keyless.local.beside.place import Place
from keyless.local.beside.settings import Settings
from keyless.local.boot.manifests import SYSTEM, WEBHOOK, Manifest, WebhookFacts, eks_objects
from keyless.local.cloud.eks.agent import LINK_LOCAL, AgentPlace
from keyless.local.state import Authority

AGENT_PORT = 80
_WEBHOOK_PORT = 8443


def agent_place(settings: Settings, place: Place, authority: Authority) -> AgentPlace:
    """The agent's DaemonSet, which the EKS addon of its name makes and deletes: in kube-system the policy spares it."""
    return AgentPlace(AGENT_PORT, LINK_LOCAL, settings.eks_image, place.environ, authority.ca_pem)


def webhook_objects(settings: Settings, authority: Authority) -> tuple[Manifest, ...]:
    """The webhook, its rights, certificate and Service, and its registration last."""
    name = f"{WEBHOOK}.{SYSTEM}.svc"
    certificate, key = authority.server_certificate((name,))
    facts = WebhookFacts(
        port=_WEBHOOK_PORT,
        agent_port=AGENT_PORT,
        ca_pem=authority.ca_pem,
        certificate_pem=certificate.read_text(encoding="ascii"),
        key_pem=key.read_text(encoding="ascii"),
        image=settings.eks_image,
        by_service=True,
        agent_host=LINK_LOCAL[0],
    )
    return eks_objects(facts)

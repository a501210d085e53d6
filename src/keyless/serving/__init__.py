"""Small HTTP servers inside components: one listener, cancelled like any other task, with certificates that reload."""

from keyless.serving.listener import Tls, bind, serve
from keyless.serving.probes import Probes

__all__ = ["Probes", "Tls", "bind", "serve"]

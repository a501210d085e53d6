"""Small HTTP servers inside components: one listener, cancelled like any other task, with certificates that reload."""

from keyless.serving.listener import Tls, bind, serve

__all__ = ["Tls", "bind", "serve"]

"""Structured logs: one JSON object a line, ours and those of the libraries alike."""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

import orjson

# structlog loads rich, if there is one, for a console that nobody looks at: 4 MB in each of our processes.
_WITHOUT_RICH = "rich" not in sys.modules
if _WITHOUT_RICH:
    sys.modules["rich"] = None  # type: ignore[assignment]  # which means: there is none
import structlog  # noqa: E402 - see above

if _WITHOUT_RICH:
    del sys.modules["rich"]

QUIET = ("httpx", "httpcore", "botocore", "urllib3", "uvicorn.access", "asyncio")
# It logs each refresh that fails as a trace of 4 KB; whoever asked for the credentials is told and says it in a line.
SILENT = ("botocore.credentials",)


def configure(component: str, level: str, stream: TextIO | None = None) -> None:
    """Send every log record of this process to ``stream`` (stdout) as JSON."""
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    shared: list[Any] = [
        structlog.stdlib.add_logger_name,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=_dumps),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))
    for name in SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    structlog.contextvars.clear_contextvars()
    structlog.get_logger("keyless").debug("logging", component=component)


def _dumps(event: Any, default: Any = str, **_: Any) -> str:
    return orjson.dumps(event, default=default, option=orjson.OPT_NON_STR_KEYS).decode()

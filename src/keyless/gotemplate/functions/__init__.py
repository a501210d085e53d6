"""The functions beside Go's own that External Secrets users rely on, with the meaning sprig v3 gives them.

Not here by intent: what reads the environment, the network, a clock or chance; ``ABSENT`` says so by name.
"""

from __future__ import annotations

from collections.abc import Mapping

from keyless.gotemplate.functions.absent import ABSENT
from keyless.gotemplate.functions.cases import CASES
from keyless.gotemplate.functions.certificates import CERTIFICATES
from keyless.gotemplate.functions.choices import CHOICES
from keyless.gotemplate.functions.dates import DATES
from keyless.gotemplate.functions.encoding import ENCODING
from keyless.gotemplate.functions.function import Function
from keyless.gotemplate.functions.lists import LISTS
from keyless.gotemplate.functions.maps import MAPS
from keyless.gotemplate.functions.numbers import NUMBERS
from keyless.gotemplate.functions.passwords import PASSWORDS
from keyless.gotemplate.functions.paths import PATHS
from keyless.gotemplate.functions.regex import REGEX
from keyless.gotemplate.functions.text import TEXT
from keyless.gotemplate.functions.urls import URLS
from keyless.gotemplate.functions.versions import VERSIONS

FUNCTIONS: Mapping[str, Function] = {
    **TEXT,
    **CASES,
    **LISTS,
    **MAPS,
    **NUMBERS,
    **DATES,
    **REGEX,
    **PATHS,
    **URLS,
    **VERSIONS,
    **ENCODING,
    **PASSWORDS,
    **CERTIFICATES,
    **CHOICES,
}
__all__ = ["ABSENT", "FUNCTIONS", "Function"]

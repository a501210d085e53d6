"""CEL rules of a schema, compiled when the CRD is created: a rule that does not compile never reaches an object.

Rules are compiled with ``self`` and ``oldSelf`` as dynamic values; names of fields that the schema does not have are
found by looking at chains of ``self.a.b``.
Spec: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from cel_expr_python.cel import Env, Expression, NewEnv, Type
from cel_expr_python.ext import ext_bindings, ext_optional, ext_strings

from keyless.local.cluster.faults import FieldError, invalid, required, shown
from keyless.local.cluster.schema.cel_library import kubernetes_functions
from keyless.local.cluster.schema.names import escaped

REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
STRINGS = re.compile(r"""[rRbB]*('''(?:.|\n)*?'''|\"\"\"(?:.|\n)*?\"\"\"|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")""")
OLD = re.compile(r"\boldSelf\b")
CHAIN = re.compile(r"(?<![\w.])self((?:\s*\.\s*[A-Za-z_]\w*(?!\s*\())+)")
RARE = re.compile(r"\b(math|base64)\b")
OPTIONAL = "cel.bind(oldSelf, hasOld ? optional.of(rawOld) : optional.none(), {})"


@dataclass(frozen=True, slots=True)
class Rule:
    """One compiled rule."""

    text: str
    expression: Expression
    environment: Env
    """What it was compiled in."""
    message: str
    message_expression: Expression | None
    reason: str
    field_path: str
    transition: bool
    """It mentions ``oldSelf``: without an old value it is not asked, unless ``optional``."""
    optional: bool


@cache
def _environment(*, rare: bool) -> Env:
    """What rules may call; ``rare``: also mathematics and base64, 5 MB of library that hardly a rule asks for."""
    variables = {"self": Type.DYN, "oldSelf": Type.DYN, "hasOld": Type.BOOL, "rawOld": Type.DYN}
    extensions = [
        ext_strings.ExtStrings(),
        ext_optional.ExtOptional(),
        ext_bindings.ExtBindings(),
        kubernetes_functions(),
    ]
    if rare:
        from cel_expr_python.ext import ext_encoders, ext_math

        extensions += [ext_math.ExtMath(), ext_encoders.ExtEncoders()]
    return NewEnv(variables=variables, extensions=extensions)


def compile_rule(raw: Mapping[str, Any], schema: Mapping[str, Any], path: str) -> Rule | FieldError:
    """The rule, or why it is none."""
    text = raw.get("rule") or ""
    if not text.strip():
        return required(f"{path}.rule", "rule is not specified")
    reason = raw.get("reason") or "FieldValueInvalid"
    if reason not in REASONS:
        return FieldError(
            f"{path}.reason",
            "FieldValueNotSupported",
            f"Unsupported value: {shown(reason)}: supported values: " + ", ".join(f'"{known}"' for known in REASONS),
        )
    unknown = _undefined_field(text, schema)
    if unknown:
        return invalid(f"{path}.rule", text, f"compilation failed: ERROR: <input>:1: undefined field '{unknown}'")
    optional = bool(raw.get("optionalOldSelf"))
    expression = _compile(text, f"{path}.rule", optional=optional, expected="BOOL")
    if isinstance(expression, FieldError):
        return expression
    message_expression = None
    if raw.get("messageExpression"):
        message_expression = _compile(
            raw["messageExpression"], f"{path}.messageExpression", optional=optional, expected="STRING"
        )
        if isinstance(message_expression, FieldError):
            return message_expression
    return Rule(
        text.strip(),
        expression,
        _environment(rare=bool(RARE.search(text))),
        (raw.get("message") or "").strip(),
        message_expression,
        reason,
        raw.get("fieldPath") or "",
        transition=bool(OLD.search(STRINGS.sub("", text))),
        optional=optional,
    )


def _compile(text: str, path: str, *, optional: bool, expected: str) -> Expression | FieldError:
    try:
        compiled = _environment(rare=bool(RARE.search(text))).compile(OPTIONAL.format(text) if optional else text)
    except RuntimeError as error:
        cause = str(error).removeprefix("INVALID_ARGUMENT: ").removesuffix(" [INVALID_ARGUMENT]")
        return invalid(path, text, f"compilation failed: {cause}")
    if compiled.return_type().name() not in {expected, "DYN"}:
        word = "cel expression" if expected == "BOOL" else "messageExpression"
        return invalid(path, text, f"{word} must evaluate to a {'bool' if expected == 'BOOL' else 'string'}")
    return compiled


def _undefined_field(text: str, schema: Mapping[str, Any]) -> str:
    """The first field of a chain ``self.a.b`` that the schema rules out."""
    for chain in CHAIN.findall(STRINGS.sub('""', text)):
        unknown = _first_unknown([name.strip() for name in chain.split(".")[1:]], schema)
        if unknown:
            return unknown
    return ""


def _first_unknown(names: list[str], schema: Mapping[str, Any]) -> str:
    for name in names:
        if not _is_closed(schema):
            return ""
        known = {escaped(key): inner for key, inner in schema["properties"].items()}
        if name not in known:
            # Every resource has these, whether the schema says so or not.
            return "" if name in {"metadata", "apiVersion", "kind"} else name
        schema = known[name]
    return ""


def _is_closed(schema: Mapping[str, Any]) -> bool:
    """Whether the fields of an object are all known."""
    loose = ("x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource", "additionalProperties")
    return bool(schema.get("properties")) and not any(schema.get(key) for key in loose)

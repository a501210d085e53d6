"""Distil Kubernetes' Go types into the table that the codecs read; run by hand when the Kubernetes version changes.

    mkdir /tmp/types && cd /tmp/types && go mod init types
    for part in api apimachinery apiextensions-apiserver; do go mod download k8s.io/$part@v0.32.9; done
    python -m tests.generate.kubernetes_types "$(go env GOMODCACHE)/k8s.io" v0.32.9

Writes ``src/keyless/local/cluster/builtin/types.json.gz``. Only types that can be reached from a served kind are kept.
For each field: its JSON name, protobuf number, type, whether Go holds a pointer, ``omitempty`` or an inlined struct
(these decide which zero values appear in JSON), the markers for strategic merge and server-side apply, and
``+optional`` where ``omitempty`` does not say the same.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

from keyless.local.cluster.builtin.kinds import KINDS

TARGET = Path(__file__).parents[2] / "src/keyless/local/cluster/builtin/types.json.gz"

# Bodies that are sent but belong to no served resource of their own.
MORE = {
    ("policy", "v1", "Eviction"),
    ("autoscaling", "v1", "Scale"),
    ("authentication.k8s.io", "v1", "TokenRequest"),
    ("meta", "v1", "DeleteOptions"),
    ("meta", "v1", "LabelSelector"),
}
SCALARS = {"string", "bool", "int32", "int64", "float64", "int", "uint8", "byte"}

# Types whose JSON is not what their Go fields say; the codecs know each by name.
SPECIAL = {
    "k8s.io/apimachinery/pkg/apis/meta/v1.Time": "Time",
    "k8s.io/apimachinery/pkg/apis/meta/v1.MicroTime": "MicroTime",
    "k8s.io/apimachinery/pkg/apis/meta/v1.FieldsV1": "Raw",
    "k8s.io/apimachinery/pkg/runtime.RawExtension": "Raw",
    "k8s.io/apimachinery/pkg/api/resource.Quantity": "Quantity",
    "k8s.io/apimachinery/pkg/util/intstr.IntOrString": "IntOrString",
    "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1.JSON": "Raw",
    "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1.JSONSchemaPropsOrArray": "SchemaOrArray",
    "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1.JSONSchemaPropsOrBool": "SchemaOrBool",
    "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1.JSONSchemaPropsOrStringArray": "SchemaOrStrings",
}
IMPORT = re.compile(r'^\s*(?:(\w+)\s+)?"(k8s\.io/[^"]+)"$', re.MULTILINE)
STRUCT = re.compile(r"((?:^//[^\n]*\n)*)^type (\w+) struct \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
EMPTY = re.compile(r"^type (\w+) struct ?\{\}", re.MULTILINE)
ALIAS = re.compile(r"^(?:type |\t)(\w+) (\[\]|map\[\w+\])?([\w.]+)$", re.MULTILINE)
FIELD = re.compile(r"^\t(?:(\w+)\s+)?([\w.*\[\]]+)\s+`(.*)`")
MARKER = re.compile(r"\+(listType|listMapKey|mapType|structType|default)=(\S+)")

OPTIONAL = ("optional", "true")


@dataclass
class Package:
    """One Go package: its structs as text, its named types, and what its imports are called."""

    path: str
    structs: dict[str, tuple[str, str]] = field(default_factory=dict)
    named: dict[str, str] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)


class Types:
    """Go packages, read when they are first named."""

    def __init__(self, root: Path, version: str) -> None:
        self.root, self.version = root, version
        self.packages: dict[str, Package] = {}
        self.found: dict[str, dict[str, object]] = {}

    def package(self, path: str) -> Package:
        """Parse the files of a package that declare types."""
        if path not in self.packages:
            module, _, rest = path.removeprefix("k8s.io/").partition("/")
            folder = self.root / f"{module}@{self.version}" / rest
            package = self.packages[path] = Package(path)
            for file in sorted(folder.glob("*.go")):
                if not re.search(r"_test|zz_gen|generated|register|deprecat", file.name):
                    self._read(package, file.read_text())
        return self.packages[path]

    @staticmethod
    def _read(package: Package, text: str) -> None:
        for alias, path in IMPORT.findall(text):
            package.imports[alias or path.rsplit("/", 1)[1]] = path
        for name in EMPTY.findall(text):
            package.structs[name] = ("", "")
        for comment, name, body in STRUCT.findall(text):
            package.structs[name] = (comment, body)
        for name, container, base in ALIAS.findall(
            re.sub(r"struct \{.*?^\}", "", text, flags=re.MULTILINE | re.DOTALL)
        ):
            package.named.setdefault(name, f"{container}{base}")

    def expression(self, text: str, package: Package) -> str:
        """A Go type in the table's words: ``string``, ``[]X``, ``{}X``, a special name or ``@package.Struct``."""
        if text.startswith("*"):
            return self.expression(text[1:], package)
        if text in {"[]byte", "[]uint8"}:
            return "bytes"
        if text.startswith("[]"):
            return "[]" + self.expression(text[2:], package)
        if match := re.match(r"map\[\w+\.?\w*\](.*)", text):
            return "{}" + self.expression(match[1], package)
        if text in SCALARS:
            return "int64" if text == "int" else text
        alias, dot, name = text.rpartition(".")
        where = self.package(package.imports[alias]) if dot else package
        special = SPECIAL.get(f"{where.path}.{name}")
        if special:
            if special.startswith("Schema"):
                self.struct("JSONSchemaProps", where)
            return special
        if name in where.structs:
            return "@" + self.struct(name, where)
        if name in where.named:
            base = self.expression(where.named[name], where)
            # A named list is a message with repeated items on the wire.
            return "items" if base == "[]string" else base
        if where.path.endswith("pkg/types"):
            return "string"
        raise SystemExit(f"unknown type {text} in {package.path}")

    def struct(self, name: str, package: Package) -> str:
        """Take a struct and all it refers to into the table; answers its key."""
        key = f"{'/'.join(package.path.rsplit('/', 2)[-2:])}.{name}"
        if key not in self.found:
            comment, body = package.structs[name]
            entry = self.found[key] = {}
            markers = dict(MARKER.findall(comment))
            if markers.get("structType") == "atomic":
                entry["atomic"] = True
            entry["fields"] = list(self._fields(body, package))
        return key

    def _fields(self, body: str, package: Package) -> list[dict[str, object]]:
        fields = []
        markers: list[tuple[str, str]] = []
        for line in body.splitlines():
            if line.strip().startswith("//"):
                markers += MARKER.findall(line)
                if re.search(r"\+optional\b", line):
                    markers.append(OPTIONAL)
                continue
            match = FIELD.match(line)
            if match and match[2].endswith("TypeMeta"):
                # Never on the wire; in JSON also inside other objects (volumeClaimTemplates).
                fields += [{"n": name, "i": 0, "t": "string", "o": True} for name in ("apiVersion", "kind")]
            elif match:
                if made := self._field(match, markers, package):
                    fields.append(made)
                markers = []
        return fields

    def _field(
        self, match: re.Match[str], markers: list[tuple[str, str]], package: Package
    ) -> dict[str, object] | None:
        tags = dict(re.findall(r'(\w+):"([^"]*)"', match[3]))
        name, *options = tags.get("json", "-").split(",")
        if name == "-" or match[2].endswith("ListMeta"):
            return None
        number = int(tags["protobuf"].split(",")[1]) if "protobuf" in tags else 0
        keys = [value for marker, value in markers if marker == "listMapKey"]
        words = dict(markers)
        made: dict[str, object] = {"n": name, "i": number, "t": self.expression(match[2], package)}
        extra = {
            "p": match[2].startswith("*"),
            "o": "omitempty" in options,
            "in": name == "" or "inline" in options,
            "ps": tags.get("patchStrategy"),
            "pk": tags.get("patchMergeKey"),
            "lt": words.get("listType") or words.get("mapType") or words.get("structType"),
            "lk": keys,
            "q": "optional" in words and "omitempty" not in options,
            "d": json.loads(words["default"]) if re.match(r'["\d]', words.get("default", "")) else None,
        }
        made.update({key: value for key, value in extra.items() if value})
        return made


def package_of(group: str, version: str) -> str:
    """The Go package of an API group."""
    if group == "meta":
        return "k8s.io/apimachinery/pkg/apis/meta/v1"
    if group == "apiextensions.k8s.io":
        return "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
    return f"k8s.io/api/{(group or 'core').split('.')[0]}/{version}"


def main(root: str, version: str) -> None:
    """Write the table."""
    types = Types(Path(root), version)
    kinds = {}
    for group, api_version, kind in sorted({(k.group, k.version, k.kind) for k in KINDS} | MORE):
        kinds[f"{group}/{api_version}/{kind}"] = types.struct(kind, types.package(package_of(group, api_version)))
    table = {"source": f"k8s.io/api {version}", "kinds": kinds, "structs": dict(sorted(types.found.items()))}
    raw = json.dumps(table, separators=(",", ":")).encode()
    # No time stamp: the same input gives the same file.
    TARGET.write_bytes(gzip.compress(raw, mtime=0))
    print(f"{len(types.found)} structs, {len(raw)} bytes, {TARGET.stat().st_size} compressed")


if __name__ == "__main__":
    main(*sys.argv[1:])

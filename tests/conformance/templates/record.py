"""``make oracle-go``: ask Go about every case anew, and write its answers beside the test that replays them."""

from __future__ import annotations

import base64
import json
import subprocess
import sys

from conformance.templates.making import DATA, HERE, cases

ANSWERS = HERE / "answers.jsonl"


def ask(oracle: str, texts: list[str]) -> list[bytes | None]:
    """Return what Go makes of each template; None where it fails."""
    data = {key: _base64(value) for key, value in DATA.items()}
    questions = ({"ask": "template", "input": {"Text": _base64(text.encode()), "Data": data}} for text in texts)
    sent = "\n".join(map(json.dumps, questions)).encode()
    lines = subprocess.run([oracle], input=sent, capture_output=True, check=True).stdout.splitlines()
    return [_answer(json.loads(line)) for line in lines]


def _answer(said: dict[str, str]) -> bytes | None:
    return None if "fault" in said else base64.b64decode(said.get("answer") or "")


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def written(answer: bytes | None) -> str | dict[str, str] | None:
    """Return an answer as JSON: text where it is text, else its bytes in hexadecimal."""
    if answer is None:
        return None
    try:
        return answer.decode()
    except UnicodeDecodeError:
        return {"hex": answer.hex()}


def read(said: str | dict[str, str] | None) -> bytes | None:
    """Return what ``written`` wrote."""
    if said is None:
        return None
    return said.encode() if isinstance(said, str) else bytes.fromhex(said["hex"])


def main(oracle: str) -> None:
    """Record."""
    texts = cases()
    rows = zip(texts, ask(oracle, texts), strict=True)
    lines = (json.dumps([text, written(answer)], ensure_ascii=False) for text, answer in rows)
    ANSWERS.write_text("\n".join(lines) + "\n")
    sys.stdout.write(f"{len(texts)} cases in {ANSWERS.name}\n")


if __name__ == "__main__":
    main(sys.argv[1])

"""What a shell is given: everything the guides name, quoted, and the Space that it belongs to."""

import re
import subprocess
from pathlib import Path

from keyless.local.boot.exports import Access, exports, shell

ACCESS = Access(
    kubeconfig="/state dir/it's/kubeconfig",
    ca_bundle="/state dir/ca.pem",
    aws_endpoint="http://127.0.0.1:1",
    access_key_id="AKIA",
    secret_access_key="secret",
    region="us-west-2",
    account="111122223333",
    host_namespace="mxp-1-system",
)
PAGES = Path(__file__).parents[4] / "docs" / "guides"


def test_every_variable_of_the_pages_is_exported():
    # The backup guide is of control planes with an etcd of their own; the local Space has none.
    pages = [page for page in PAGES.glob("*.md") if page.name != "backup-workload-identity.md"]
    named = {name for page in pages for name in re.findall(r"\$\{(YOUR_\w+)\}", page.read_text())}
    assert len(pages) == 2
    assert named
    assert named <= set(exports(ACCESS))


def test_later_commands_in_the_same_shell_mean_the_same_space():
    assert exports(ACCESS)["KEYLESS_STATE"] == "/state dir/it's"


def test_a_shell_reads_values_as_they_are_and_forgets_sessions_of_its_own():
    shown = 'printf "%s|%s" "$KUBECONFIG" "${AWS_SESSION_TOKEN-gone}"'
    script = f"export AWS_SESSION_TOKEN=old\n{shell(exports(ACCESS))}\n{shown}"
    said = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout
    assert said == "/state dir/it's/kubeconfig|gone"


def test_the_secret_key_is_not_in_the_representation():
    assert "secret'" not in repr(ACCESS)

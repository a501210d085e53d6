"""AWS Signature Version 4, the server's side: read it, compute it again, say in AWS's words what differs. Pure."""

from keyless.local.cloud.signatures.chunks import decode_chunks_untrusted
from keyless.local.cloud.signatures.refusals import SignatureFault, refuse
from keyless.local.cloud.signatures.sigv4 import Signature, check, read_untrusted, signing_key

__all__ = ["Signature", "SignatureFault", "check", "decode_chunks_untrusted", "read_untrusted", "refuse", "signing_key"]

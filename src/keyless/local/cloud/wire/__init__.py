"""AWS's wire protocols, driven by botocore's service models: bytes in, parameters out, and back. Pure."""

"""PushSecret: from a Secret into Secrets Manager and Parameter Store; what is not its own there is never touched."""

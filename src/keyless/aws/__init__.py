"""AWS sessions, credentials and error mapping."""

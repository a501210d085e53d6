"""The formats that usage is stored in. Pure."""

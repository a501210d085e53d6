"""Volume claims: bound at once, to a folder that the node makes."""

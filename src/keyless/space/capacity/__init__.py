"""What was bought of a Space, and how much of it is used: the SpaceLicense."""

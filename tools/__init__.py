"""What the repository needs besides its packages; nothing imports it but tests."""

"""One's own account: what was accepted, what is held and how we know it."""

"""Pages for the privacy office."""

"""Pages for the person the data is about."""

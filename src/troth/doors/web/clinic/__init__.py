"""Pages for those who treat."""

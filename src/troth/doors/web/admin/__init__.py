"""Pages for those who run an organisation's space."""

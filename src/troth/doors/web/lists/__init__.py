"""Lists of people, and the contacts that came of them: for the privacy office and administrators."""

"""Tools without business words: database, clock, ids, durable work, mail, errors."""

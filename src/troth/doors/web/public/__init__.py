"""Pages for everybody: the notice, the promises, the doors."""

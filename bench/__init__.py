"""Troth and its peer measured in one run: `python -m bench.run`."""

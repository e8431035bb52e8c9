"""Fixtures are in tests/common."""

from __future__ import annotations

from hypothesis import settings

pytest_plugins = ["tests.common.servers", "tests.common.deployment"]

# How long an example takes says more about what else the machine does than about the code.
settings.register_profile("troth", deadline=None)
settings.load_profile("troth")

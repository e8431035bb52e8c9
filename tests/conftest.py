"""Fixtures are in tests/common."""

from __future__ import annotations

pytest_plugins = ["tests.common.servers", "tests.common.deployment"]

"""Numbers in addresses: of a length that a number of ours has, so that a longer one is simply no such page."""

from __future__ import annotations

from starlette.convertors import Convertor, register_url_convertor


class VersionNumber(Convertor[int]):
    """The number of a version of the notice."""

    regex = "[0-9]{1,9}"

    def convert(self, value: str) -> int:
        """The number that an address names."""
        return int(value)

    def to_string(self, value: int) -> str:
        """How an address names it."""
        return str(value)


def register() -> None:
    """Make the convertors known to the routes."""
    register_url_convertor("version", VersionNumber())

"""One file per kind of promise. A new kind is a new file here and nothing else."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from troth.notice.clauses.base import Clause, kinds


def registry() -> dict[str, type[Clause]]:
    """All kinds of clause, by the word that stands in a notice; finds each file of this folder."""
    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
    return kinds()

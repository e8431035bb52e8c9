"""On a real node: what the platform itself keeps about others is whole for `troth ledger verify`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.common import node as nodes
from tests.common.node import NodeProcess, a_node, command

ORGANISATION = "Northfield Specimen Hospital"


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProcess]:
    """Under a notice by which the platform has registers of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nodes, "NOTICE", nodes.ROOT / "notices" / "imaging-host")
        patch.setattr(nodes, "ORGANISATION", ORGANISATION)
        with a_node("troth-tree-") as started:
            yield started


def test_what_the_platform_itself_keeps_about_others_is_whole(node: NodeProcess) -> None:
    """`troth ledger verify` after rows of the platform and of an organisation: none is named."""
    given = ("admin", "recipient", "add", "post", "--name", "Post plc", "--kind", "service_provider", "--country", "GB",
             "--category", "images", "--purpose", "care", "--stands-under", "other_hospitals")  # fmt: skip
    for whose in ((), ("--organisation", ORGANISATION)):
        made = command(node.folder, *given, *whose)
        assert made.returncode == 0, made.stderr
    verdict = command(node.folder, "ledger", "verify")
    assert (verdict.returncode, "ALTERED" in verdict.stdout) == (0, False), verdict.stdout

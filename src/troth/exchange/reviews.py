"""A legal order is looked at by a second person before anything goes out on it."""

from __future__ import annotations

from uuid import UUID

from troth.exchange import store
from troth.exchange.errors import RegisterMalformed, RowNotFound
from troth.exchange.registers import Registers
from troth.kit import clock
from troth.policy import Clear, Permit, refs


class Reviews(Registers):
    """The part of `Exchange` in which what one person filed is looked at by another."""

    async def review_order(self, permit: Permit, order_id: UUID) -> None:
        """Say that one has read an order and found it good. From then on what the notice asks for is there.

        Args:
            permit: `keep_register` on the organisation, of another person than who filed it.
            order_id: The order.

        Raises:
            RowNotFound: It is not in force here, or was looked at already.
            RegisterMalformed: Whoever filed it looks at it, or there is no document to look at.
        """
        space, key = self._space(permit, "keep_register"), await self._key(permit.tenant)
        assert space.tenant is not None
        async with self._db.transaction(space) as connection:
            row = await store.order(connection, order_id)
            if row is None or row["tenant"] != space.tenant or row["ended_at"] is not None:
                raise RowNotFound
            if row["document_id"] is None:
                raise RegisterMalformed("There is no document to look at.", hint="File the order with its document.")
            if permit.actor.id is None or permit.actor.id == row["made_by"]:
                raise RegisterMalformed("You filed this order.", hint="Somebody else of your office has to look at it.")
            if not await store.review_order(connection, order_id, space.tenant, permit.actor.id, clock.now()):
                raise RowNotFound
            await self._note(
                connection, "exchange:order:reviewed", permit, key=key, payload={"row": str(order_id)},
                counts={"reviewed": 1}, grounds=(f"order:{order_id}",),
                clear=Clear(refs=refs(order=order_id)),
            )  # fmt: skip

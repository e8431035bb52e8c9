"""What can go wrong when something is to leave.

TrothError
├── Unprocessable
│   ├── RegisterMalformed      a row of a register that cannot be
│   └── SaleBarred             the notice says that there is none
├── Conflict
│   └── DisclosureRefused      nothing left; the reason says what is missing
├── NotFound
│   ├── RowNotFound            no such row in this register
│   └── WrongPermit            the permit is for something else
└── Unavailable
    └── NotDelivered           it was recorded, and the recipient's system did not take it
"""

from __future__ import annotations

from troth.kit.errors import Conflict, NotFound, PermitDenied, Unavailable, Unprocessable


class RegisterMalformed(Unprocessable):
    """A row of a register that cannot be."""

    slug = "register-malformed"
    title = "This cannot stand in the register"


class SaleBarred(Unprocessable):
    """A recipient for a purpose that the notice rules out."""

    slug = "sale-barred"
    title = "The notice says that nothing is used for this"


class DisclosureRefused(Conflict):
    """Nothing left.

    Attributes:
        reason: A short word for what is missing, such as `contract` or `transfer`.
    """

    slug = "disclosure-refused"
    title = "Nothing was disclosed"

    def __init__(self, reason: str, detail: str, *, hint: str = "") -> None:
        super().__init__(detail, hint=hint)
        self.reason = reason


class RowNotFound(NotFound):
    """No such row in this register."""

    slug = "row-not-found"


class WrongPermit(PermitDenied):
    """The permit is for something else."""


class NotDelivered(Unavailable):
    """It was recorded, and the recipient's system did not take all of it."""

    slug = "not-delivered"
    title = "The recipient's system did not take it"

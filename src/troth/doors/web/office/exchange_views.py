"""What the pages about recipients, transfers and instructions show."""

from __future__ import annotations

from dataclasses import dataclass

from troth.doors.web.forms import Fault
from troth.doors.web.office.exchange_forms import FieldView


@dataclass(frozen=True, slots=True)
class RowView:
    """One row of a register.

    Attributes:
        state: Kind of rings and the word beside them.
        end_path: Where the form that ends it leads; empty where it cannot be ended here.
        needs_reason: Whoever ends it has to say why.
        review_path: Where the form leads by which a second person says that they have read it; else empty.
    """

    id: str
    cells: tuple[str, ...]
    state: tuple[str, str]
    end_path: str = ""
    end_words: str = ""
    needs_reason: bool = False
    review_path: str = ""


@dataclass(frozen=True, slots=True)
class RegisterView:
    """One register with the form that adds to it."""

    name: str
    title: str
    nothing: str
    columns: tuple[str, ...]
    rows: tuple[RowView, ...]
    add_title: str
    add_path: str
    fields: tuple[FieldView, ...]


@dataclass(frozen=True, slots=True)
class ExchangePage:
    """A page of registers.

    Attributes:
        told: What was just done, one sentence.
        affected: Recipients to whom nothing can go any more.
    """

    heading: str
    organisation: str
    tabs: tuple[tuple[str, str, bool], ...]
    registers: tuple[RegisterView, ...]
    faults: tuple[Fault, ...] = ()
    told: str = ""
    affected: tuple[str, ...] = ()
    cut_off: tuple[str, ...] = ()

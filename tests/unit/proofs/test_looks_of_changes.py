"""Lies about changes of the notice: letters that nobody had, had late, or had twice are never taken for kept."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

from tests.common.book import BROKEN, IDLE, KEPT, Book

CLAUSE, NOTICE = "12.1", "terminology-vendor"


def published(book: Book, deployment: str = NOTICE, *, days: int = 14, material: int = 1) -> UUID:
    version = uuid4()
    book.write(
        "notice:version:published", refs={"version": version}, counts={"material": material},
        says={"notice": deployment, "sha256": "00"}, people=[str(uuid4())], actor_id=str(uuid4()),
        dates={"effective_on": (book.now + timedelta(days=days)).date().isoformat()},
    )  # fmt: skip
    return version


def founded() -> Book:
    book = Book(NOTICE)
    published(book, days=0)
    return book


def mail(book: Book, version: UUID, account: UUID, outcome: str = "done") -> None:
    book.write("outreach:amendment:mailed", refs={"version": version, "account": account}, outcome=outcome)


def tell(book: Book, version: UUID, accounts: int) -> None:
    book.write("outreach:amendment:told", refs={"version": version}, counts={"accounts": accounts})


def test_the_first_version_is_no_change() -> None:
    book = founded()
    book.pass_(days=60)
    assert book.found(CLAUSE, "mailing").verdict is IDLE


def test_a_change_that_nobody_is_told_of_is_late_by_the_clock_alone() -> None:
    book = founded()
    published(book)
    assert book.found(CLAUSE, "mailing").verdict is IDLE
    book.pass_(days=60)
    found = book.found(CLAUSE, "mailing")
    assert (found.verdict, found.late) == (BROKEN, 1)


def test_letters_to_some_wait_for_the_others_and_are_broken_without_them() -> None:
    book = founded()
    version, holders = published(book), [uuid4() for _ in range(3)]
    mail(book, version, holders[0])
    assert book.found(CLAUSE, "mailing").verdict is IDLE, "one of three has it"
    tell(book, version, 3)
    found = book.found(CLAUSE, "mailing")
    assert (found.verdict, found.fits, found.of) == (BROKEN, 1, 3)


def test_each_account_has_its_letter_before_the_change_counts() -> None:
    book = founded()
    version, holders = published(book), [uuid4() for _ in range(2)]
    for each in holders:
        mail(book, version, each)
    mail(book, version, uuid4(), "failed")  # closed before it was written to
    tell(book, version, 3)
    book.pass_(days=60)
    found = book.found(CLAUSE, "mailing")
    assert (found.verdict, found.fits, found.of) == (KEPT, 2, 2)


def test_a_letter_after_the_change_counts_is_late_and_a_second_one_is_too_many() -> None:
    book = founded()
    version, account = published(book), uuid4()
    mail(book, version, account)
    mail(book, version, account)
    tell(book, version, 1)
    assert book.found(CLAUSE, "mailing").verdict is BROKEN
    book = founded()
    version = published(book)
    book.pass_(days=15)
    mail(book, version, account)
    tell(book, version, 1)
    assert book.found(CLAUSE, "mailing").verdict is BROKEN


def test_where_weighty_changes_are_mailed_a_typo_is_not_and_another_notice_is_another_matter() -> None:
    book = Book("equipment-maker")
    first, second = [notice for notice in book.notices if notice.all("amendment")]
    clause = first.all("amendment")[0].id
    for material in (0, 0, 1):
        published(book, first.name, material=material)
    published(book, second.name)
    published(book, second.name)
    book.pass_(days=60)
    found = book.found(clause, "mailing", first.name)
    assert (found.verdict, found.of) == (BROKEN, 1)

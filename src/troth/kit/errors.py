"""One tree of errors, with a status for every door.

    TrothError
    ├── BadInput            400   what was sent cannot be understood
    │   ├── TooLarge        413
    │   │   └── OverBudget  413   more items, values, pixels or parts than bytes would say
    │   ├── UnsupportedMedia 415
    │   ├── NotAcceptable   406
    │   └── Unprocessable   422   a form or command with a wrong value
    ├── Unauthenticated     401
    ├── NotFound            404   absent, or not for this actor: nobody outside can tell which
    │   └── PermitDenied    404
    ├── Gone                410   erased; told only to who had access
    ├── Conflict            409
    ├── RateLimited         429
    └── Unavailable         503

Rooms subclass these in their own ``errors.py``. A detail never carries personal data.
"""

from __future__ import annotations


class TrothError(Exception):
    """Root of all errors that a door may show.

    Args:
        detail: One sentence for the person at the door. Never personal data.
        hint: What can be done next, or an empty string.
    """

    slug = "error"
    title = "Something went wrong on our side"
    http_status = 500
    dimse_status = 0x0110  # processing failure, DICOM PS3.7 C.5.20

    def __init__(self, detail: str = "", *, hint: str = "") -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.hint = hint


class Kinds:
    """One error for each kind of failure, however often it comes.

    Of thousands that were raised, each would hold what was going on around it.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[type[TrothError], str], TrothError] = {}

    def one(self, fault: TrothError) -> TrothError:
        """The first of its kind, without what was going on when it was raised.

        Args:
            fault: One that was raised.
        """
        fault.__traceback__ = fault.__context__ = fault.__cause__ = None
        return self._known.setdefault((type(fault), fault.detail), fault)


class BadInput(TrothError):
    """What was sent cannot be understood."""

    slug = "bad-input"
    title = "What was sent cannot be understood"
    http_status = 400
    dimse_status = 0xC000  # cannot understand, DICOM PS3.4 B.2.3


class TooLarge(BadInput):
    """More bytes than this door takes."""

    slug = "too-large"
    title = "More was sent than is taken here"
    http_status = 413
    dimse_status = 0xA700  # out of resources, DICOM PS3.4 B.2.3


class OverBudget(TooLarge):
    """What was sent would cost more than it weighs: items, values, pixels or parts are counted like bytes."""

    slug = "over-budget"
    title = "This would cost more than is taken here"


class UnsupportedMedia(BadInput):
    """A media type or transfer syntax that is not taken."""

    slug = "unsupported-media"
    title = "This kind of content is not taken here"
    http_status = 415
    dimse_status = 0xC122


class NotAcceptable(BadInput):
    """None of the forms asked for can be given."""

    slug = "not-acceptable"
    title = "This cannot be given in a form that was asked for"
    http_status = 406


class Unprocessable(BadInput):
    """A form or command with a value that cannot be taken."""

    slug = "unprocessable"
    title = "A value cannot be taken as it is"
    http_status = 422


class Unauthenticated(TrothError):
    """Nobody is signed in, or what was shown does not count any more."""

    slug = "unauthenticated"
    title = "Sign in first"
    http_status = 401
    dimse_status = 0x0124  # not authorised, DICOM PS3.7 C.5.11


class NotFound(TrothError):
    """Absent, or not for this actor: nobody outside can tell which."""

    slug = "not-found"
    title = "There is nothing here for you"
    http_status = 404
    dimse_status = 0x0124


class PermitDenied(NotFound):
    """The notice does not allow it. Looks like `NotFound` to outsiders."""


class Gone(TrothError):
    """It was erased. Told only to somebody who had access before."""

    slug = "gone"
    title = "This was erased"
    http_status = 410


class Conflict(TrothError):
    """It contradicts what is already held."""

    slug = "conflict"
    title = "This contradicts what is already held"
    http_status = 409
    dimse_status = 0x0111  # duplicate SOP instance, DICOM PS3.7 C.5.7


class RateLimited(TrothError):
    """Too many attempts."""

    slug = "rate-limited"
    title = "Too many attempts; wait a little"
    http_status = 429


class Unavailable(TrothError):
    """A part that is needed does not answer; nothing was changed."""

    slug = "unavailable"
    title = "A part of the platform does not answer"
    http_status = 503
    dimse_status = 0xA700
    retry_seconds = 5  # Retry-After, RFC 9110 10.2.3

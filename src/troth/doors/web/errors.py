"""Faults of the pages."""

from __future__ import annotations

from troth.kit.errors import TooLarge, TrothError, Unauthenticated, Unprocessable


class SignInNeeded(Unauthenticated):
    """The page is for somebody signed in."""


class FreshSignInNeeded(Unauthenticated):
    """An act that is done only shortly after whoever does it proved who they are."""

    slug = "fresh-sign-in-needed"
    title = "Show that it is you"


class FormForeign(TrothError):
    """A form that none of our pages made for this session."""

    slug = "form-foreign"
    title = "This form did not come from your page here. Open the page again and send it from there"
    http_status = 403


class FormUndeclared(TrothError):
    """A form that is declared nowhere, so that no notice can cover it. The application does not start."""

    slug = "form-undeclared"
    title = "A form is not declared"

    def __init__(self, path: str) -> None:
        super().__init__(
            f"the form at {path} is not declared",
            hint="Say in troth/doors/web/declared.py on which surface it stands and what each field takes.",
        )


class FieldUndeclared(Unprocessable):
    """A field that the form has not."""

    slug = "field-undeclared"
    title = "The form has no such field. Open the page again and send it from there"


class ActUndeclared(Unprocessable):
    """A button that the form has not."""

    slug = "act-undeclared"
    title = "The form has no such button. Open the page again and press one of those that are there"


class FormUnreadable(Unprocessable):
    """A form with a byte that is no text."""

    slug = "form-unreadable"
    title = "Something in the form is not text. Type it again"


class FormTooSlow(TrothError):
    """A form that does not come to its end in time (RFC 9110 15.5.9)."""

    slug = "form-too-slow"
    title = "The form took too long to arrive. Send it again"
    http_status = 408


class FormTooLarge(TooLarge):
    """A form with more in it than any of ours has."""

    slug = "form-too-large"

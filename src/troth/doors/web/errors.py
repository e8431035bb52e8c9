"""Faults of the pages."""

from __future__ import annotations

from troth.kit.errors import TooLarge, TrothError, Unauthenticated


class SignInNeeded(Unauthenticated):
    """The page is for somebody signed in."""


class FormForeign(TrothError):
    """A form that none of our pages made for this session."""

    slug = "form-foreign"
    title = "This form did not come from your page here. Open the page again and send it from there"
    http_status = 403


class FormTooLarge(TooLarge):
    """A form with more in it than any of ours has."""

    slug = "form-too-large"

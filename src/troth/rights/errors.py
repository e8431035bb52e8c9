"""What can go wrong with a request, as a door may say it."""

from __future__ import annotations

from troth.kit.errors import Conflict, NotFound, TrothError, Unprocessable


class RequestNotFound(NotFound):
    """There is no such request for this actor."""


class WrongPermit(NotFound):
    """The permit is for something else, or its time is over."""


class RightUnknown(Unprocessable):
    """No such right can be asked for here."""

    slug = "right-unknown"
    title = "This cannot be asked for here"


class QuestionTooLong(Unprocessable):
    """A question to support is empty, or far too long."""

    slug = "question-too-long"
    title = "Ask in one to five thousand characters"


class NothingChosen(Unprocessable):
    """There is nothing, or nothing of the person's own, that the request would be about."""

    slug = "nothing-chosen"
    title = "The request names nothing that it could be about"


class CopyNotReady(Conflict):
    """The copy has not been made, or its time to collect it is over."""

    slug = "copy-not-ready"
    title = "The copy is not there to be collected"


class NotErased(TrothError):
    """After an erasure something could still be read: the request may not be called done."""

    slug = "not-erased"
    title = "Something that was to be erased could still be read"


class CopyDiffers(TrothError):
    """A copy that was read back is not what was written: it may not be called done."""

    slug = "copy-differs"
    title = "The copy that was read back differs from what is held"


class CopyOutdated(TrothError):
    """Since the copy was begun something came or went: it is made again."""

    slug = "copy-outdated"
    title = "What is held changed while the copy was made"

"""Errors of the room."""

from __future__ import annotations

from troth.kit.errors import Conflict, NotFound, Unprocessable


class BreachNotFound(NotFound):
    """There is no such break."""

    slug = "breach-not-found"


class BreachOver(Conflict):
    """It is not in the state in which this can be done: it ended, was answered, or is another one by now."""

    slug = "breach-over"
    title = "This cannot be done with it any more"


class BreachLasts(Unprocessable):
    """It breaks by something that is so now: mending ends it, and words do not."""

    slug = "breach-lasts"
    title = "It breaks by something that is so now, or is late"


class SecondAnswerNeeded(Unprocessable):
    """Two people answer for a promise that was broken, and neither let the other in."""

    slug = "second-answer-needed"
    title = "Two people answer for it"


class AnswerIncomplete(Unprocessable):
    """It is not said what happened, or what was done; or it is too long."""

    slug = "answer-incomplete"
    title = "Write what happened and what was done"


class WordsChanged(Unprocessable):
    """What was said of a break is not any more what whoever answers has read."""

    slug = "words-changed"
    title = "The words changed since you read them; read them again"

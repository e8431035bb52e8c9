"""What can go wrong with organisations, sign-in, invitations and subjects.

TrothError
├── Unprocessable
│   ├── EmailMalformed
│   ├── FieldMalformed
│   ├── AssignmentTooLong
│   ├── ReasonMissing
│   ├── ListMalformed          a list of people cannot be read
│   ├── SourceUnlisted         no notice names where it comes from
│   ├── MatchFailed            one answer for every wrong field
│   ├── RegistrationImpossible nobody could answer the invitation
│   └── FactorRefused          a code or passkey that does not count
├── Unauthenticated
│   ├── SignInLinkOver
│   └── ChallengeOver          the second step of a sign-in took too long
├── NotFound
│   ├── OrganisationNotFound
│   ├── AssignmentNotFound
│   ├── ChoiceNotFound
│   ├── ListNotFound
│   ├── MergeNotFound
│   ├── StandingNotFound
│   ├── UserNotFound
│   ├── FactorNotFound
│   └── SubjectNotFound
├── Gone
│   └── InvitationOver
├── Conflict
│   ├── OrganisationExists
│   ├── PeerExists
│   ├── PersonNeeded           a program may not decide this
│   ├── AssignmentExists
│   ├── OwnAssignment          nobody lets themselves in
│   ├── MergeRefused           two subjects cannot be merged, or a merge not undone, now
│   ├── UserExists
│   ├── StandingNeeded         several people have this mailbox: which of them is it
│   ├── LastFactor             staff cannot be without one
│   ├── ResetWaits             somebody asked for it already
│   └── SubjectAmbiguous
└── RateLimited
    ├── TooManyTries           the invitation is closed for good
    └── TooManyCodes           this sign-in is closed
"""

from __future__ import annotations

from troth.kit.errors import Conflict, Gone, NotFound, RateLimited, Unauthenticated, Unprocessable


class EmailMalformed(Unprocessable):
    """Not an e-mail address that mail can be sent to."""

    slug = "email-malformed"
    title = "This is not an e-mail address"


class FieldMalformed(Unprocessable):
    """A field of a form or command holds a value that cannot be taken."""

    slug = "field-malformed"
    title = "A field holds a value that cannot be taken"


class ListMalformed(Unprocessable):
    """A list of people cannot be read as a whole."""

    slug = "list-malformed"
    title = "The list cannot be taken in"


class SourceUnlisted(Unprocessable):
    """The notice in force does not list where a list of people comes from, or does not use it for that."""

    slug = "source-unlisted"
    title = "The notice does not say that we have data from there for that"


class MatchFailed(Unprocessable):
    """What was typed does not agree with the record; which field it was is not told."""

    slug = "match-failed"
    title = "This does not agree with what the organisation holds"


class RegistrationImpossible(Unprocessable):
    """No name or no whole birth date of the subject is held, so nobody could prove to be them."""

    slug = "registration-impossible"
    title = "No whole date of birth is on file, so nobody could answer the invitation"


class SignInLinkOver(Unauthenticated):
    """The sign-in link was used, has expired or was never made."""

    slug = "sign-in-link-over"
    title = "This link has expired or was already used; ask for a new one"


class CodeOver(Unauthenticated):
    """The code of a mail was typed too late, too often, in another browser, or was used already."""

    slug = "sign-in-code-over"
    title = "This code has expired or was already used; ask for a new one"


class CodesClosed(CodeOver):
    """Too many wrong codes were typed for one mailbox within a day, from wherever; its links go on working."""

    slug = "sign-in-codes-closed"
    title = "Too many wrong codes were typed for this address; open the link in the e-mail"


class CodeRefused(Unprocessable):
    """Another code than that of the mail."""

    slug = "sign-in-code-refused"
    title = "This is not the code of the mail"


class ChallengeOver(Unauthenticated):
    """The second step of a sign-in took too long, was taken already, or there is none."""

    slug = "challenge-over"
    title = "Signing in took too long; begin again"


class FactorRefused(Unprocessable):
    """A code or passkey that is wrong, or was used already."""

    slug = "factor-refused"
    title = "This code is wrong, or was used already"


class FactorNotFound(NotFound):
    """No such factor, or no such reset, in this organisation."""


class OrganisationNotFound(NotFound):
    """No such organisation."""


class StandingNotFound(NotFound):
    """Nobody such has this mailbox."""


class ListNotFound(NotFound):
    """No such list of people in this organisation, or it waits for nothing any more."""


class ChoiceNotFound(NotFound):
    """No such choice can be made, or none was made, by or for this person."""


class UserNotFound(NotFound):
    """No such user in this organisation."""


class SubjectNotFound(NotFound):
    """No such subject in this organisation."""


class InvitationOver(Gone):
    """The invitation was used, has expired or was never made."""

    slug = "invitation-over"
    title = "This invitation is over; ask the organisation for a new one"


class OrganisationExists(Conflict):
    """An organisation of this name is there already."""

    slug = "organisation-exists"
    title = "An organisation of this name is there already"


class UserExists(Conflict):
    """Already an active member of this organisation."""

    slug = "user-exists"
    title = "This user is a member already"


class StandingNeeded(Conflict):
    """Several people have this mailbox, and nobody said who it is."""

    slug = "standing-needed"
    title = "Several people have this mailbox; say as whom"


class LastFactor(Conflict):
    """Whoever works here cannot be without a second factor."""

    slug = "last-factor"
    title = "This is your only second factor; set up another one first"


class AccountClosing(Conflict):
    """An account is being closed at this moment, and another one is made once it is gone."""

    slug = "account-closing"
    title = "The account of this address is being closed; try again in a moment"


class ResetWaits(Conflict):
    """Somebody asked for it already; another person has to agree."""

    slug = "reset-waits"
    title = "Somebody asked for this already; another person has to agree"


class PeerNotFound(NotFound):
    """No such peer of this organisation."""


class AdmissionOver(Conflict):
    """What waited for a second person was decided, has lapsed, or is not of this organisation."""

    slug = "admission-over"
    title = "This was decided already, or nobody agreed to it in time"


class LastAdministrator(Conflict):
    """Without the only administrator nobody could let anybody in, or end anything, any more."""

    slug = "last-administrator"
    title = "This is the only administrator: let in another one first"


class SecondPersonNeeded(Conflict):
    """It takes two people, and whoever acts is not a second one."""

    slug = "second-person-needed"
    title = "This takes two people, neither of whom let the other in"


class SessionNotFound(NotFound):
    """No such session or token of this organisation that is alive."""


class PeerExists(Conflict):
    """The AE title at this address is registered already."""

    slug = "peer-exists"
    title = "This AE title at this address is registered already"


class PersonNeeded(Conflict):
    """What has a significant effect on somebody is decided by a person who says why."""

    slug = "person-needed"
    title = "A person has to decide this, and say why"


class AssignmentNotFound(NotFound):
    """No such assignment is in force here, or it is about somebody else."""


class AssignmentExists(Conflict):
    """The same assignment stands already."""

    slug = "assignment-exists"
    title = "They take part in this already; end it first to change its day"


class OwnAssignment(Conflict):
    """Nobody lets themselves in, or checks what they opened themselves."""

    slug = "own-assignment"
    title = "Somebody else has to decide this about you"


class AssignmentTooLong(Unprocessable):
    """It ends in the past, or lasts longer than anybody can foresee."""

    slug = "assignment-too-long"
    title = "Choose an end that lies ahead, and not too far"


class ReasonMissing(Unprocessable):
    """Why is asked, because somebody will read it."""

    slug = "reason-missing"
    title = "Write down why, in a sentence"


class MergeNotFound(NotFound):
    """No such merge stands in this organisation."""

    slug = "merge-not-found"
    title = "These patients are not merged"


class MergeRefused(Conflict):
    """Merging two subjects, or undoing it, would do half of something now. The detail says what stands in the way.

    Args:
        detail: One sentence, no personal data.
        why: A word for programs, such as `open_request`.
    """

    slug = "merge-refused"
    title = "This cannot be done to these patients now"

    def __init__(self, detail: str = "", *, why: str = "", hint: str = "") -> None:
        super().__init__(detail, hint=hint)
        self.why = why


class MarketingUnstoppable(Unprocessable):
    """A message advertises, and no notice in force says how it is stopped; it is not sent (GDPR Art. 21(4))."""

    slug = "marketing-unstoppable"
    title = "This message could not be stopped by whom it is for, so it is not sent"


class SubjectAmbiguous(Conflict):
    """Two identifiers share one search token (chance 2^-64 a pair): refused, never mixed."""

    slug = "subject-ambiguous"
    title = "This patient identifier cannot be told apart from another"


class TooManyTries(RateLimited):
    """Wrong values were typed too often; the invitation is closed and a new one is needed."""

    slug = "too-many-tries"
    title = "Too many wrong tries; ask the organisation for a new invitation"


class TooManyCodes(RateLimited):
    """Five wrong codes: this sign-in is closed."""

    slug = "too-many-codes"
    title = "Too many wrong codes; sign in again from the beginning"

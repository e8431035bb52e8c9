"""The verbs of the room, joined from its parts."""

from __future__ import annotations

from troth.people.admissions import Admissions
from troth.people.closures import Closures
from troth.people.holders import Holders
from troth.people.merges import Merges
from troth.people.peers import Peers
from troth.people.reminders import Reminders
from troth.people.sweeps import Sweeps
from troth.people.zones import Zones


class People(Admissions, Peers, Holders, Merges, Reminders, Zones, Closures, Sweeps):
    """Organisations, users, sign-in, sessions, subjects, invitations, peers.

    Verbs take a `Permit`, but for those that turn what somebody shows (a link, a cookie, a token, an AE title) into
    an `Actor`. The parts are in `room` (organisations), `users`, `subjects`, `sessions`, `sign_in`, `invitations`,
    `admissions`, `tokens`, `peers`, `letters`, `erasure`, `holders`, `merges`, `reminders`, `zones`, `closures` and
    `sweeps`, each standing on the one before.
    """

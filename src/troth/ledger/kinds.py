"""The closed vocabulary of what can happen: `room:noun:past_verb`, with the sentence that people read.

A kind is never renamed or taken away, because it stands in signed leaves. New ones are added here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from troth.ledger.errors import UnknownKind

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "archive:instances:stored": "Images were received and stored.",
        "archive:instance:refused": "An image was refused when it arrived.",
        "archive:instance:quarantined": "An image that contradicts what is held was kept apart.",
        "archive:quarantine:compared": "Images that were kept apart were compared with what is held.",
        "archive:instance:released": "An image that was kept apart was taken in under numbers of its own.",
        "archive:instance:replaced": "An image was replaced by one that was kept apart.",
        "archive:instance:discarded": "An image that was kept apart was destroyed.",
        "archive:instance:mended": "A damaged image was replaced by the same one, sent again.",
        "archive:study:opened": "The study was opened.",
        "archive:viewing:closed": "A viewing of the study ended.",
        "archive:studies:queried": "Studies were searched for.",
        "archive:changes:followed": "A program of the organisation was told what changed in the archive.",
        "archive:study:copied": "A copy of the study was made.",
        "archive:study:erased": "The study was erased.",
        "archive:study:refused_tombstone": "An erased study was sent again and refused.",
        "archive:commitment:answered": "A sender was told which of its images are held safely.",
        "policy:access:refused": "An access was refused.",
        "people:row:distrusted": "A row that was changed past the platform was met, and gave no access.",
        "people:session:started": "Somebody signed in.",
        "people:session:ended": "A session ended: somebody signed out, or was signed out.",
        "people:organisation:added": "An organisation was added.",
        "people:factor:enrolled": "A second factor for signing in was set up.",
        "people:factor:used": "A second factor was shown.",
        "people:factor:refused": "A second factor was refused.",
        "people:factor:removed": "A second factor was taken away.",
        "people:factor:reset_asked": "It was asked to take away second factors that were lost.",
        "people:factor:reset_dropped": "What was asked about lost second factors was dropped; nothing was taken away.",
        "people:factor:reset": "Second factors that were lost were taken away, and the sessions ended.",
        "people:recovery:made": "Recovery codes were made.",
        "people:recovery:used": "A recovery code was used.",
        "people:level:changed": "The level of service of the organisation was changed.",
        "people:member:joined": "Somebody became a member of the organisation.",
        "people:member:changed": "A member of the organisation was given another role.",
        "people:member:ended": "The access of a member of the organisation was ended.",
        "people:token:issued": "A token for programs was issued.",
        "people:token:ended": "A token for programs was revoked.",
        "people:peer:added": "A machine was registered.",
        "people:peer:changed": "The address or the certificate of a machine was changed.",
        "people:peer:ended": "A machine was taken out of use.",
        "people:invitation:withdrawn": "An invitation was withdrawn.",
        "people:admission:proposed": "It was proposed to let somebody into a role, and waits for a second person.",
        "people:admission:refused": "A proposal to let somebody into a role was refused.",
        "people:invitation:made": "An invitation was made.",
        "people:invitation:used": "An invitation was used.",
        "people:subject:matched": "An account was matched with this patient.",
        "people:terms:accepted": "The notice and the terms were accepted with an account.",
        "people:accounts:listed": "It was read which account accepted what.",
        "people:account:opened": "Somebody read what is held of their own account.",
        "people:list:offered": "A list of people was handed over, and looked through before anything was taken in.",
        "people:list:dropped": "A list of people was not taken in.",
        "people:list:agreed": "It was agreed to take in a list of people.",
        "people:list:taken": "A list of people was taken in.",
        "people:contacts:listed": "Contacts were read.",
        "people:contact:told": "Somebody was told from whom we have what we know of them.",
        "people:staff:linked": "An account was linked to a list that its employer gave.",
        "people:staff:ended": "Somebody is on the list of their employer no longer.",
        "people:support:asked": "Somebody asked for support.",
        "lifecycle:disposal:agreed": "It was agreed to dispose of contacts whose time is over.",
        "lifecycle:contact:disposed": "A contact whose time was over was disposed of.",
        "lifecycle:disposal:done": "A disposal of contacts ended.",
        "people:match:failed": "An attempt to match an account with this patient failed.",
        "people:association:opened": "A machine of the organisation connected.",
        "people:association:refused": "Machines that nobody registered tried to connect.",
        "people:consent:recorded": "A consent was given, refused or taken back.",
        "people:channel:chosen": "It was chosen how and about what to be written to.",
        "people:objection:decided": "An objection was made and decided, or taken back.",
        "people:version:answered": "A change of the notice was objected to, or accepted.",
        "people:age:stated": "An age was stated.",
        "people:restriction:set": "The use of something was stopped, or allowed again.",
        "people:message:sent": "A message was sent.",
        "people:objection:queued": "An objection was made and waits for a person; what it is against rests.",
        "people:assignment:made": "Somebody was assigned to the care of this person, or to duty.",
        "people:assignment:ended": "An assignment was ended.",
        "people:emergency:claimed": "Somebody opened what is held in an emergency, and wrote down why.",
        "people:emergency:reviewed": "What was opened in an emergency was checked.",
        "people:subjects:merged": "Two identifiers of this person were merged into one.",
        "people:subjects:unmerged": "Two identifiers that had been merged into one were taken apart.",
        "people:subjects:compared": "Identifiers that may be of one person were looked at side by side.",
        "people:rule:stated": "It was stated of whom identifiers without an issuer are.",
        "people:rule:ended": "A rule about identifiers without an issuer was ended.",
        "people:subject:erased": "Who this person is to the organisation was erased, with their account.",
        "people:account:closed": "An account was closed.",
        "people:proposal:queued": "A program proposed something that a person has to decide.",
        "people:proposal:decided": "A person decided what a program had proposed.",
        "archive:instance:found_broken": "Stored images were read back and found damaged.",
        "archive:instance:found_whole": "Stored images that were thought damaged were read back whole.",
        "archive:objects:rechecked": "Stored images were read back and checked.",
        "archive:leftovers:freed": "What nobody names any more was given back.",
        "main:backup:made": "A backup was made.",
        "main:backup:restored": "The platform was restored from a backup.",
        "archive:study:found_misplaced": "A study was found filed under another patient, and was not opened.",
        "archive:study:restricted": "The use of the study was stopped, or allowed again.",
        "archive:study:corrected": "What the study says about the patient was put right.",
        "lifecycle:hold:placed": "A legal hold was placed: what it covers is not erased.",
        "lifecycle:hold:released": "A legal hold was released.",
        "rights:request:opened": "A request was made.",
        "rights:request:acknowledged": "A request was acknowledged.",
        "rights:request:decided": "A request was decided.",
        "rights:copy:made": "A copy of everything held was made.",
        "rights:copy:collected": "A copy of everything held was collected.",
        "rights:list:collected": "The list of who looked was collected, with its proofs.",
        "rights:copy:erased": "A copy of everything held was erased.",
        "rights:request:closed": "A request was closed.",
        "exchange:register:changed": "A register of who may receive data, or on what terms, was changed.",
        "exchange:order:reviewed": "A legal order was looked at by a second person.",
        "exchange:disclosure:recorded": "Something is about to leave for somebody outside.",
        "exchange:disclosure:refused": "Nothing left: a disclosure was refused.",
        "exchange:disclosure:left": "What was disclosed arrived.",
        "exchange:disclosure:failed": "A disclosure was begun and did not arrive as a whole.",
        "exchange:transfer:invalidated": "An instrument for transfers was declared invalid.",
        "exchange:instruction:given": "A controller gave an instruction.",
        "exchange:instruction:revoked": "A controller revoked an instruction.",
        "exchange:document:asked": "Somebody asked for a copy of a transfer instrument.",
        "exchange:document:sent": "A copy of a transfer instrument was sent.",
        "notice:version:proposed": "A version of the privacy notice was proposed.",
        "notice:version:withdrawn": "A proposed version of the privacy notice was withdrawn.",
        "notice:version:published": "A version of the privacy notice was published.",
        "outreach:amendment:mailed": "An account was written to about a change of the privacy notice.",
        "outreach:amendment:told": "A change of the privacy notice was told to everybody it is about.",
        "proofs:run:ended": "The promises were held against everything that happened.",
        "proofs:clause:broken": "A promise was found broken.",
        "proofs:breach:explained": "It was said what happened when a promise was broken, and what was done.",
        "proofs:breach:returned": "What was said of a promise that was broken was not agreed to.",
        "proofs:breach:answered": "Two people answered for a promise that was broken.",
        "proofs:clause:mended": "A promise that was broken is not broken any more.",
        "ledger:head:differed": "The log was found to be a smaller or another one than was signed last.",
        "ledger:generation:opened": "The log of the platform was given a new name.",
        "ledger:rows:bound": "Rows that an act had changed were bound to the ledger.",
        "main:registers:bound": "What was held before is bound to the ledger from here on.",
        "main:node:started": "A server started.",
    }
)

DESTROYING = frozenset(
    {
        "archive:instance:discarded", "archive:instance:replaced", "archive:study:erased", "lifecycle:contact:disposed",
        "people:subject:erased",
    }
)  # fmt: skip
"""What destroys something that an organisation holds, so that a legal hold on it forbids it."""


def sentence(kind: str) -> str:
    """The sentence that a person reads for a kind.

    Raises:
        UnknownKind: It is not in the vocabulary.
    """
    require(kind)
    return KINDS[kind]


def require(kind: str) -> None:
    """Refuse a kind that is not in the vocabulary.

    Raises:
        UnknownKind: It is not.
    """
    if kind not in KINDS:
        raise UnknownKind(f"the ledger has no kind {kind[:64]!r}", hint="Add it to troth/ledger/kinds.py.")

"""One message to one server: envelope, text, final dot, and the truth about how far it got.

The final dot is what delivers. Before it, whatever happens, nothing was delivered: the connection is torn down without
what is still on its way. From the moment when it may be out until its answer was read, all is in doubt.
RFC 5321 §3.3, §4.1.4, §4.5.3.2, RFC 2920 (MAIL and RCPT go together, DATA goes alone: what it answers must be known
before the message goes out), RFC 1047.
"""

from contextlib import suppress
from dataclasses import replace

from store.mail.submission import Reply

from ...channel import Channel
from ...errors import Cancelled, ConnectionLost, ProtocolBroken, ProviderError, SourceError
from ...limits import Limits
from ..base import Delivery, Ended, Outgoing, Watch
from .data import END, BareLineEnd, blocks
from .envelope import address_trouble, mail_options, needs_trouble, recipient_options
from .replies import Verdict, verdict
from .speaker import Hangup, Speaker

__all__ = ["SmtpSession"]

START_INPUT = 354

LINE_OCTETS_MAX = 400
"""What MAIL or RCPT takes at most: the bound of what is on its way without an answer counts in it."""

LEAVE_SECONDS = 1.0
"""For QUIT: nobody waits long for a goodbye."""


class _Interrupted(Exception):
    """The server answered in the middle of the message."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.code)
        self.reply = reply


class _Envelope:
    """What became of each recipient so far."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.later: list[tuple[str, Reply]] = []
        self.refused: list[tuple[str, Reply]] = []

    def note(self, recipient: str, reply: Reply) -> None:
        """Take note of the answer to RCPT. Raises ProtocolBroken for one that makes no sense there."""
        match verdict(reply, crowded=bool(self.taken)):
            case Verdict.TAKEN:
                self.taken.append(recipient)
            case Verdict.LATER:
                self.later.append((recipient, reply))
            case Verdict.REFUSED:
                self.refused.append((recipient, reply))
            case Verdict.GO_ON:
                raise ProtocolBroken("The server's answer makes no sense.", server_text=reply.text)

    def answered(self, reply: Reply | None, *, broken: bool = False) -> Delivery:
        """Return the end at which *reply* was about all that were taken so far; None: there are none of them."""
        told = Verdict.REFUSED if reply is None else verdict(reply)
        held = () if reply is None else tuple((one, reply) for one in self.taken)
        return Delivery(
            ended=Ended.ANSWERED,
            accepted=frozenset(self.taken) if told is Verdict.TAKEN else frozenset(),
            later=(*self.later, *(held if told is Verdict.LATER else ())),
            refused=(*self.refused, *(held if told is Verdict.REFUSED else ())),
            reply=reply,
            broken=broken,
        )


class SmtpSession:
    """A session that has logged in. Not thread-safe; a stop reaches it from any thread."""

    def __init__(self, channel: Channel, speaker: Speaker, limits: Limits) -> None:
        self._channel = channel
        self._speaker = speaker
        self._limits = limits
        self._broken = False
        self._dot_out = False
        self._envelope = _Envelope()

    def send(self, mail: Outgoing, watch: Watch) -> Delivery:
        """Send one message; see ``TransportSession``.

        What ``mail.octets`` or ``watch`` raise comes through: the message is not delivered then, the session is broken.
        """
        trouble = needs_trouble(mail, self._speaker.esmtp_extensions)
        if trouble is not None:
            return Delivery(
                ended=Ended.ANSWERED, refused=tuple((one, trouble) for one in mail.recipients), reply=trouble
            )
        self._dot_out, self._envelope = False, _Envelope()
        try:
            with watch.stop.waking(self._channel.abort):
                delivery = self._transact(mail, self._envelope, watch)
        except Hangup as end:
            delivery = self._broken_off(str(end), end.reply)
        except SourceError as error:
            if watch.stop.stopped and not self._dot_out:
                self._tear_down()
                raise Cancelled("The sending was stopped; nothing was delivered.") from None
            delivery = self._broken_off(str(error), Reply(text=error.server_text) if error.server_text else None)
        except Cancelled:
            self._tear_down()
            if not self._dot_out:
                raise
            delivery = self._broken_off("The sending was stopped while the server had not answered yet.", None)
        except BaseException:
            self._tear_down()
            raise
        if delivery.broken:
            self._tear_down()
        return delivery

    def close(self) -> None:
        """Say QUIT if that is possible, and let go. Never raises."""
        if not self._broken:
            with suppress(ProviderError):
                self._channel.deadline(LEAVE_SECONDS)
                self._speaker.ask(self._speaker.execute_command(b"QUIT"))
        self._broken = True
        self._channel.close()

    # -- the transaction ------------------------------------------------------------------------

    def _transact(self, mail: Outgoing, envelope: _Envelope, watch: Watch) -> Delivery:
        refusal = self._say_envelope(mail, envelope)
        if refusal is not None:
            envelope.taken = [one for one in mail.recipients if not address_trouble(one)]
            return envelope.answered(refusal)
        if not envelope.taken:
            return self._reset(envelope.answered(None))
        self._channel.deadline(self._limits.data_seconds)
        start = self._speaker.ask(self._speaker.execute_command(b"DATA")).reply
        if start.code != START_INPUT:
            if verdict(start) in (Verdict.TAKEN, Verdict.GO_ON):
                raise ProtocolBroken("The server's answer to DATA makes no sense.", server_text=start.text)
            return self._reset(envelope.answered(start))
        try:
            self._say_message(mail, watch)
        except BareLineEnd:
            trouble = Reply(enhanced="5.6.0", text="The message has a CR or LF that ends no line; it cannot be sent.")
            return replace(_all_refused(envelope, trouble), broken=True)
        except _Interrupted as end:
            if end.reply.code // 10 == 55:  # about the message, not about what was said
                return envelope.answered(end.reply, broken=True)
            raise ProtocolBroken("The server spoke in the middle of the message.", server_text=end.reply.text) from None
        return self._end_message(envelope, watch)

    def _say_envelope(self, mail: Outgoing, envelope: _Envelope) -> Reply | None:
        """Say MAIL and RCPT; return the answer that refuses the sender, else None."""
        speaker = self._speaker
        options = [option.encode("ascii") for option in mail_options(mail, speaker.esmtp_extensions)]
        asked = [option.encode("ascii") for option in recipient_options(mail, speaker.esmtp_extensions)]
        lines: list[tuple[str | None, bytes]] = [(None, b" ".join([b"MAIL FROM:" + _path(mail.sender), *options]))]
        for recipient in mail.recipients:
            trouble = address_trouble(recipient)
            if trouble:
                envelope.refused.append((recipient, Reply(enhanced="5.1.3", text=trouble)))
            else:
                lines.append((recipient, b" ".join([b"RCPT TO:" + _path(recipient), *asked])))
        at_once = self._limits.unanswered_octets // LINE_OCTETS_MAX if "pipelining" in speaker.esmtp_extensions else 1
        refusal: Reply | None = None
        while lines and refusal is None and len(envelope.refused) < len(mail.recipients):
            batch, lines = lines[: max(1, at_once)], lines[max(1, at_once) :]
            commands = [speaker.execute_command(line) for _, line in batch]
            for (one, _), said in zip(batch, speaker.converse(*commands, arm=self._arm_envelope), strict=True):
                if one is None:
                    refusal = _sender_refused(said.reply)
                elif refusal is None:
                    envelope.note(one, said.reply)
        return refusal

    def _say_message(self, mail: Outgoing, watch: Watch) -> None:
        """Send all but the final dot. Raises _Interrupted, BareLineEnd, what the channel and the message raise."""
        limits, sent = self._limits, 0
        for block, octets in blocks(mail.octets()):
            self._channel.deadline(limits.block_seconds + round(len(block) / limits.octets_per_second, 1))
            self._listen()
            self._channel.send(block)
            sent += octets
            watch.sent(sent)
        if sent != mail.size:
            raise ProtocolBroken(f"The message has {sent:,} octets in place of the {mail.size:,} that were announced.")
        self._listen()

    def _end_message(self, envelope: _Envelope, watch: Watch) -> Delivery:
        watch.about_to_end()
        before = self._channel.sent_octets
        self._channel.deadline(self._limits.block_seconds)
        self._dot_out = True
        try:
            self._channel.send(END)
        except BaseException:
            self._dot_out = self._channel.sent_octets != before
            raise
        self._channel.deadline(self._limits.end_seconds)
        try:
            reply = self._speaker.read().reply
        except Hangup as end:  # an answer like any other 4yz: it has not taken the message
            return envelope.answered(end.reply, broken=True)
        if verdict(reply) is Verdict.GO_ON:
            raise ProtocolBroken("The server's answer to the message makes no sense.", server_text=reply.text)
        return self._alone(envelope.answered(reply), reply)

    # -- what a server says at other times ------------------------------------------------------

    def _listen(self) -> None:
        said = self._speaker.listen()
        if said is not None:
            raise _Interrupted(said.reply)

    def _alone(self, delivery: Delivery, reply: Reply) -> Delivery:
        """Return *delivery* if its answer was the only one, or another one says the same.

        Of two that differ, nobody knows which was meant for the message.
        """
        try:
            second = self._speaker.listen()
        except (Hangup, ConnectionLost):
            return replace(delivery, broken=True)  # it has answered, and goes
        if second is None:
            return delivery
        if verdict(second.reply) is verdict(reply):
            return replace(delivery, broken=True)
        raise ProtocolBroken("The server answered twice.", server_text=second.reply.text)

    def _reset(self, delivery: Delivery) -> Delivery:
        """Forget the envelope, so that the session can be used again; without that it is broken."""
        try:
            self._channel.deadline(self._limits.command_seconds)
            told = verdict(self._speaker.ask(self._speaker.rset()).reply)
        except SourceError:
            return replace(delivery, broken=True)
        return delivery if told is Verdict.TAKEN else replace(delivery, broken=True)

    def _arm_envelope(self) -> None:
        self._channel.deadline(self._limits.envelope_seconds)

    def _broken_off(self, reason: str, reply: Reply | None) -> Delivery:
        if not self._dot_out:
            return Delivery(ended=Ended.NOT_SENT, reply=reply, reason=reason, broken=True)
        later, refused = tuple(self._envelope.later), tuple(self._envelope.refused)  # of those there is no doubt
        return Delivery(ended=Ended.IN_DOUBT, later=later, refused=refused, reply=reply, reason=reason, broken=True)

    def _tear_down(self) -> None:
        """Let go without sending what is still on its way: an octet more could be the one that delivers."""
        self._broken = True
        self._channel.discard()


def _path(address: str) -> bytes:
    """Return *address* in its brackets, octet for octet: aiosmtplib's own ``mail`` and ``rcpt`` repair it (M7)."""
    return b"<" + address.encode() + b">"


def _sender_refused(reply: Reply) -> Reply | None:
    match verdict(reply):
        case Verdict.TAKEN:
            return None
        case Verdict.GO_ON:
            raise ProtocolBroken("The server's answer to MAIL makes no sense.", server_text=reply.text)
        case _:
            return reply


def _all_refused(envelope: _Envelope, reply: Reply) -> Delivery:
    refused = (*envelope.refused, *((one, reply) for one in envelope.taken))
    return Delivery(ended=Ended.ANSWERED, later=tuple(envelope.later), refused=refused, reply=reply)

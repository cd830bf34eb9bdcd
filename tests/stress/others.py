"""Who else changes mailboxes: mail that comes in by SMTP and LMTP, a POP3 client that deletes, retention."""

import asyncio
import poplib
import smtplib
import ssl
import time
from random import Random

from poterne.values.event import Event
from poterne.values.ids import TraceId
from poterne.values.retention import Aged, AgeFrom
from tests.stress.changing import next_letter
from tests.stress.ledger import Ledger
from tests.stress.letters import letter, number_of
from tests.stress.oracle import Boxes, Effect
from tests.stress.truth import Truth
from tests.support.peer_server import HOST, PASSWORD, PeerServer

OLD = 1_600_000_000
"""Between the INTERNALDATE that some are given, in 2020, and today."""


class Others:
    def __init__(self, server: PeerServer, truth: Truth, ledger: Ledger, dice: Random) -> None:
        self._server, self._truth, self._ledger, self._dice = server, truth, ledger, dice

    async def act(self, before: Boxes | None) -> Effect:
        kind = self._dice.choice([self._deliver, self._deliver, self._deliver, self._pop3, self._retire])
        return await kind(before)

    async def _deliver(self, before: Boxes | None) -> Effect:
        given = [next_letter() for _ in range(self._dice.randint(1, 3))]
        local = self._dice.random() < 0.5
        await asyncio.to_thread(self._send, given, local=local)
        effect = Effect()
        for box in (before or {}).values():
            if box.name == "INBOX":
                effect.on(box.uid_validity).added = [(number, frozenset()) for number in given]
        return effect

    def _send(self, given: list[int], *, local: bool) -> None:
        kind, port = (smtplib.LMTP, "lmtp") if local else (smtplib.SMTP, "mx")
        client = kind(HOST, self._server.ports[port], local_hostname="elsewhere.test")
        with client:
            for number in given:
                refused = client.sendmail("ada@elsewhere.test", [self._truth.address], letter(number))
                assert not refused, refused

    async def _pop3(self, before: Boxes | None) -> Effect:
        number, place = await asyncio.to_thread(self._dele, alone=before is not None)
        effect = Effect()
        for box in (before or {}).values():
            if box.name == "INBOX" and place:
                uid = box.uids[place - 1]
                assert box.messages[uid].number == number
                effect.on(box.uid_validity).removed.add(uid)
        return effect

    def _dele(self, *, alone: bool) -> tuple[int, int]:
        client = poplib.POP3_SSL(
            HOST, self._server.ports["pop3s"], context=ssl.create_default_context(cafile=str(self._server.ca))
        )
        client.user(self._truth.address)
        client.pass_(PASSWORD)
        count, _ = client.stat()
        number = place = 0
        if count:
            place = self._dice.randint(1, count)
            try:
                number = number_of(b"\n".join(client.top(place, 0)[1]))
            except poplib.error_proto as error:
                if alone or b"No such message" not in error.args[0]:
                    raise
                place = 0  # an IMAP client has removed it since the sign-in
            else:
                self._ledger.condemned_letters.add(number)
                client.dele(place)
        client.quit()
        return number, place

    async def _retire(self, before: Boxes | None) -> Effect:
        store = self._truth.store
        account = await store.account(self._truth.address)
        box = await store.mailbox(account.id, "INBOX")
        aged = Aged(account.id, box.id, AgeFrom.RECEIVED, OLD)
        await store.retire(aged, Event(int(time.time()), "test", TraceId("stress"), account_id=account.id))
        effect = Effect()
        for known in (before or {}).values():
            if known.name == "INBOX":
                gone = {uid for uid, message in known.messages.items() if message.at < OLD}
                effect.on(known.uid_validity).removed = gone
        return effect

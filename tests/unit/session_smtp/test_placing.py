"""Where a message goes that is not for the inbox."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

from poterne.policy.reasons import Reason
from poterne.policy.verdict import Accept, Junk
from poterne.session.ingest import Ingested
from poterne.session.smtp.incoming import Incoming
from poterne.session.smtp.placing import placed
from poterne.session.smtp.services import Services
from poterne.session.smtp.verdict import Concluded, Kept
from poterne.store.sqlite.engine import open_store
from poterne.store.sqlite.transaction import Limits
from poterne.values.ids import AccountId, TraceId
from tests.support.lines import Lines
from tests.support.stores import AT, Clock, World, content, event


async def test_junk_of_an_account_that_can_have_no_more_folders_is_kept_in_quarantine(tmp_path: Path) -> None:
    store = open_store(tmp_path, clock=Clock(), limits=Limits(mailboxes=4))
    world = World(store, tmp_path, Clock())
    await world.settle()
    other = await world.account("bob@example.org")
    while len(await store.mailboxes(world.alice)) < 4:
        await store.create_mailbox(
            world.alice, f"Folder {len(await store.mailboxes(world.alice))}", None, event("mailbox.created")
        )
    log = Lines()
    services = cast("Services", SimpleNamespace(store=store, quarantine_s=1000, log=log))
    each: dict[AccountId, Kept] = {world.alice: Junk(Reason.DMARC_QUARANTINE), other: Accept(Reason.PROVEN)}
    envelope = SimpleNamespace(
        trace=TraceId("t"), accounts={world.alice: "alice@example.org"}, reverse_path="x@evil.example"
    )
    incoming = cast("Incoming", SimpleNamespace(concluded=Concluded(each=each), envelope=envelope))
    seen = SimpleNamespace(envelope=SimpleNamespace(from_=(), subject=b"free"))
    ingested = cast("Ingested", SimpleNamespace(content=await content(store), scanned=seen))
    deliveries, kept = await placed(services, incoming, ingested, list(each), "192.0.2.1", AT)
    assert [one.account_id for one in deliveries] == [other]
    assert [(one.account_id, one.reason) for one in kept] == [(world.alice, "dmarc-quarantine")]
    await store.deliver(deliveries, [], [], quarantined=kept)
    assert len(await store.quarantined()) == 1
    assert log.of("junk.nowhere")
    await store.close()

"""One IMAP connection: which function answers which command, and how a connection begins and ends."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, final

from poterne.net.link import Link, Poke
from poterne.proto.imap import commands
from poterne.proto.imap.responses import Greeting
from poterne.proto.imap.server import ServerCore
from poterne.session.imap import (
    access,
    acl,
    append,
    auth,
    compress,
    copy,
    errors,
    fetch,
    mailboxes,
    metadata,
    multi_search,
    notify,
    quota,
    search,
    select,
    sort,
    store,
)
from poterne.session.imap.client import Client, Service
from poterne.session.imap.updates import catch_up, leave
from poterne.store.errors import StoreError, UnavailableError

LAST_WORDS: Final = b"* BYE Internal error\r\n"
"""For `net.drive`: what is said after a bug of ours."""
REFUSAL: Final = b"* BYE Too many connections, try again later\r\n"
"""For `net.listen`."""
MAX_GUEST_BAD_COMMANDS: Final = 3
"""Wrong commands before sign-in after which a connection ends: it is not a mail client."""

_HANDLERS: Final[dict[type, Callable[[Client, Any], Awaitable[None]]]] = {
    commands.AppendData: append.append_data,
    commands.AppendEnd: append.append_end,
    commands.AppendStart: append.append_start,
    commands.Authenticate: auth.authenticate,
    commands.Capability: auth.capability,
    commands.Check: select.noop,
    commands.Close: select.close,
    commands.Compress: compress.compress,
    commands.Copy: copy.copy,
    commands.Create: mailboxes.create,
    commands.DeleteAcl: acl.delete_acl,
    commands.Delete: mailboxes.delete,
    commands.Done: select.done,
    commands.Enable: auth.enable,
    commands.Expunge: select.expunge,
    commands.Fetch: fetch.fetch,
    commands.GetMetadata: metadata.get_metadata,
    commands.GetAcl: acl.get_acl,
    commands.GetQuota: quota.get_quota,
    commands.GetQuotaRoot: quota.get_quota_root,
    commands.Id: auth.id_,
    commands.Idle: select.idle,
    commands.List: mailboxes.list_,
    commands.ListRights: acl.list_rights,
    commands.Login: auth.login,
    commands.Logout: auth.logout,
    commands.Lsub: mailboxes.lsub,
    commands.Move: copy.move,
    commands.MultiSearch: multi_search.multi_search,
    commands.MyRights: acl.my_rights,
    commands.Namespace: mailboxes.namespace,
    commands.Noop: select.noop,
    commands.Notify: notify.notify,
    commands.Rename: mailboxes.rename,
    commands.SaslCancelled: auth.sasl_cancelled,
    commands.SaslResponse: auth.sasl_response,
    commands.Search: search.search,
    commands.Select: select.select,
    commands.SetMetadata: metadata.set_metadata,
    commands.SetAcl: acl.set_acl,
    commands.Sort: sort.sort,
    commands.StartTls: auth.start_tls,
    commands.Status: mailboxes.status,
    commands.Store: store.store,
    commands.Subscribe: mailboxes.subscribe,
    commands.Thread: sort.thread,
    commands.Unauthenticate: auth.unauthenticate,
    commands.Unselect: select.unselect,
    commands.Unsubscribe: mailboxes.unsubscribe,
}


@final
class ImapSession:
    """`net.drive.Session` for IMAP. `core` is a new `ServerCore` whose limits come from the same settings."""

    __slots__ = ("_client",)

    def __init__(self, core: ServerCore, link: Link, service: Service) -> None:
        self._client: Final = Client(core, link, service)

    async def opened(self) -> None:
        client = self._client
        client.link.set_deadline(client.service.settings.login_timeout_s, "login")
        client.send(Greeting(b"Poterne ready", auth.capabilities(client)))

    async def handle(self, event: commands.Event, /) -> None:
        client = self._client
        if client.presence.revoked:
            client.revoke()
            return
        if isinstance(event, commands.Bad):
            self._bad(event)
            return
        try:
            if client.foreign is not None:
                await access.recheck(client)
                if client.over:
                    return
            await _HANDLERS[type(event)](client, event)
        except StoreError as error:
            # A name that isn't there or a full account is the client's affair; only what is unavailable is the operator's.
            log = client.service.log
            tell = log.warning if isinstance(error, UnavailableError) else log.debug
            tell(
                "imap.store_error",
                trace=client.link.trace,
                command=type(event).__name__,
                kind=type(error).__name__,
                error=str(error),
            )
            if isinstance(event, commands.AppendStart | commands.AppendData | commands.AppendEnd):
                append.forget(client)
            client.send(errors.reply(error))
        if client.watch is not None:
            notify.settle(client)

    def _bad(self, event: commands.Bad) -> None:
        client = self._client
        client.idling = False
        client.exchange = None
        if event.in_append:
            append.forget(client)
        client.send(event.reply)
        client.bad_commands += 1
        limit = client.service.settings.max_bad_commands if client.authenticated else MAX_GUEST_BAD_COMMANDS
        if client.bad_commands >= limit:
            client.service.log.info(
                "imap.bad_commands", trace=client.link.trace, peer=client.link.peer, code=event.code
            )
            client.part(b"Too many wrong commands")

    async def poked(self, why: Poke, /) -> None:
        client = self._client
        if Poke.SHUTDOWN in why:
            client.part(b"Server is going down; connect again")
        elif Poke.REVOKED in why:
            client.revoke()
        elif Poke.DEADLINE in why and not (client.authenticated and client.link.expired == "login"):
            # (A sign-in that we slowed down may pass its deadline and still succeed.)
            client.part(b"Timeout")
        elif Poke.CHANGED in why:
            await self._changed()

    async def _changed(self) -> None:
        client = self._client
        try:
            if client.foreign is not None:
                await access.recheck(client)
                if client.over:
                    return
            if client.watch is not None:
                await notify.tell(client)
            elif client.idling:
                await catch_up(client, expunge=True)
        except StoreError as error:
            client.service.log.warning("imap.store_error", trace=client.link.trace, command="Idle", error=str(error))
            if client.watch is not None:
                client.watch.try_later()

    def secured(self) -> None:
        """RFC 9051 §6.2.1: what was said in plaintext is forgotten; only counters of misbehaviour stay."""
        self._client.exchange = None

    async def closed(self) -> None:
        client = self._client
        client.presence.leave()
        compress.forget(client)
        append.forget(client)
        client.end_metadata()
        await leave(client)
        client.unwatch()

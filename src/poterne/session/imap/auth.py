"""Signing in, capabilities, ID, ENABLE, STARTTLS, LOGOUT: what does not need a mailbox."""

from typing import Final

from poterne.proto.imap import commands, responses
from poterne.proto.imap.responses import Bye, Challenge, bad, no, ok
from poterne.proto.imap.uid_only import uid_only
from poterne.proto.sasl import mechanism
from poterne.proto.sasl.registry import exchange
from poterne.session.authenticate import Denied, Why
from poterne.session.imap import annotated, compress
from poterne.session.imap.client import Client
from poterne.session.imap.offer import offer
from poterne.session.imap.updates import finish, leave
from poterne.values.capabilities import GUEST_ENCRYPTED, GUEST_PLAINTEXT
from poterne.values.secret import Secret

_PLAINTEXT: Final = tuple(name.encode() for name in GUEST_PLAINTEXT)
_ENCRYPTED: Final = tuple(name.encode() for name in GUEST_ENCRYPTED)
_PRIVACY: Final = no(b"Start TLS first", responses.PRIVACYREQUIRED)
_WRONG: Final = no(b"User name or password is wrong", responses.AUTHENTICATIONFAILED)
_LATER: Final = no(b"Not possible just now; try again later", responses.UNAVAILABLE)
MAX_FAILURES: Final = 5
"""Failed sign-ins in one connection; then it ends."""


def capabilities(client: Client) -> tuple[bytes, ...]:
    """What is announced in this state. Nothing of a password before TLS (RFC 9051 §6.2.1, §11)."""
    if client.offer is not None:
        return client.offer.capabilities if not client.compresses else compress.announced(client.offer.capabilities)
    return _PLAINTEXT if client.link.tls is None else _ENCRYPTED


async def capability(client: Client, _command: commands.Capability) -> None:
    client.send(responses.capability(capabilities(client)))
    await finish(client, ok(b"Capabilities told"))


async def start_tls(client: Client, _command: commands.StartTls) -> None:
    if client.link.tls is not None:
        client.send(bad(b"TLS is active already"))
    else:
        client.send(ok(b"Begin TLS now"))


async def login(client: Client, command: commands.Login) -> None:
    if client.link.tls is None:
        client.send(_PRIVACY)
        return
    await _check(client, command.user, command.password)


async def authenticate(client: Client, command: commands.Authenticate) -> None:
    """RFC 9051 §6.2.2, initial response RFC 4959."""
    if client.link.tls is None:
        client.send(_PRIVACY)
        return
    client.exchange = exchange(command.mechanism)
    if client.exchange is None:
        client.send(no(b"No such mechanism"))
        return
    await _step(client, client.exchange.start(command.initial))


async def sasl_response(client: Client, event: commands.SaslResponse) -> None:
    if client.exchange is None:
        client.send(bad(b"Nothing was asked"))
        return
    await _step(client, client.exchange.step(event.data))


async def sasl_cancelled(client: Client, _event: commands.SaslCancelled) -> None:
    client.exchange = None
    client.send(bad(b"Cancelled"))


async def _step(client: Client, step: mechanism.Step) -> None:
    match step:
        case mechanism.Challenge(data):
            client.send(Challenge(data))
        case mechanism.Credentials(authcid, password, authzid):
            client.exchange = None
            if authzid and authzid.lower() != authcid.lower():
                client.send(no(b"One signs in as oneself only", responses.AUTHORIZATIONFAILED))
                return
            await _check(client, authcid, password)
        case mechanism.Malformed():
            client.exchange = None
            client.send(bad(b"The response cannot be read"))


async def _check(client: Client, user: str, password: Secret) -> None:
    authenticator = client.service.authenticator
    proven = await authenticator.prove(user, password, client.link.peer)
    if isinstance(proven, Denied):
        client.failures += 1
        client.service.log.warning("auth.failed", trace=client.link.trace, peer=client.link.peer, why=proven.why.value)
        client.send(_WRONG if proven.why is Why.INVALID else _LATER)
        if client.failures >= MAX_FAILURES:
            client.part(b"Too many failures")
        return
    settings = client.service.settings
    found = client.account = proven.subject
    client.presence = authenticator.present.enter(found.id, proven.verifier, client.link, proven.looks)
    without = (*settings.without, *found.imap_without, *(() if settings.compress else ("COMPRESS",)))
    client.offer = offer(without, settings.max_append_bytes)
    client.core.commands = client.offer.commands
    client.link.set_deadline(None, "")
    client.link.set_patience(settings.idle_timeout_s, "idle")
    client.core.authenticated()
    client.service.log.info("auth.ok", trace=client.link.trace, peer=client.link.peer, account=found.address)
    client.send(ok(b"Signed in", responses.code_capability(capabilities(client))))


async def enable(client: Client, command: commands.Enable) -> None:
    """RFC 5161. Unknown names are passed over."""
    known = client.offer.enables if client.offer is not None else {}
    names = [name for name in command.capabilities if name in known]
    if "QRESYNC" in names:
        client.qresync = True
    if "METADATA" in names:
        await annotated.watch(client)
    if "UIDONLY" in names and not client.uid_only:
        client.uid_only = True
        client.core.commands = uid_only(client.core.commands)
    client.core.enabled(names)
    client.send(responses.enabled([known[name] for name in names]))
    if "CONDSTORE" in names or "QRESYNC" in names:
        client.enable_condstore()
    await finish(client, ok(b"Enabled"))


async def id_(client: Client, command: commands.Id) -> None:
    """RFC 2971. We say our name, and nothing that helps to choose an attack."""
    if command.params:
        name = dict(command.params).get("name")
        client.service.log.info("imap.client", trace=client.link.trace, client=(name or "")[:64])
    client.send(responses.server_id([(b"name", b"Poterne")]))
    await finish(client, ok(b"So we know each other"))


async def unauthenticate(client: Client, _command: commands.Unauthenticate) -> None:
    """RFC 8437: somebody else may sign in on this connection; nothing of the one before is left."""
    await leave(client)
    client.sign_out()
    client.core.unauthenticated()
    settings = client.service.settings
    client.link.set_deadline(settings.login_timeout_s, "login")
    client.service.log.info("auth.ended", trace=client.link.trace, peer=client.link.peer)
    client.send(ok(b"Signed out; sign in again"))
    await compress.end(client)


async def logout(client: Client, _command: commands.Logout) -> None:
    await leave(client)
    client.send(Bye(b"Goodbye"))
    client.send(ok(b"Signed out"))

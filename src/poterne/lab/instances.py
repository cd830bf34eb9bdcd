"""The lab's two instances of ours: what they are, and their folders and settings, made once and kept."""

import asyncio
import datetime as dt
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from poterne.admin import dkim, people
from poterne.admin.dkim import DkimRecord
from poterne.admin.instance import DATA, SETTINGS, TLS, Plan, make, standard_listeners
from poterne.app.stores import open_instance_store
from poterne.config.load import load
from poterne.config.render import Value, toml_value
from poterne.config.settings import Listener
from poterne.lab import internet
from poterne.lab.credentials import CA_FILE
from poterne.policy.published.wanted import CLIENT_LABELS
from poterne.store.interface import Store
from poterne.values.dkim import DkimKey, KeyState
from poterne.values.ids import TraceId
from poterne.values.secret import Secret

ADDRESS: Final = "127.0.0.1"
NEIGHBOUR: Final = "127.0.0.2"
"""Its own, for DNS names addresses and not ports: both MX listen on the same port."""
PASSWORD: Final = "open-the-small-door"  # noqa: S105  (of a world that ends at loopback, and is printed anyway)
WEB: Final = "web"
"""The listener where mail programs get their settings."""
_WEB_PORT: Final = 444
"""443 is that of the strangers' policies."""
AUTHORITY: Final = f"../{internet.FOLDER}/{CA_FILE}"
"""From an instance's folder: who vouches for the remote organisations."""
IMPATIENT: Final[Mapping[str, Value]] = {"first_retry_s": 60, "reply_s": 10}
"""So that what fails in the lab fails, and is tried again, while somebody looks."""


@dataclass(frozen=True, slots=True)
class Organisation:
    """One mail domain of the lab and the server that holds it."""

    domain: str
    people: tuple[str, ...]
    folder: Path
    listeners: Mapping[str, Listener]
    workers: int
    address: str = ADDRESS

    @property
    def hostname(self) -> str:
        return f"mail.{self.domain}"

    @property
    def settings(self) -> Path:
        return self.folder / SETTINGS

    @property
    def ca(self) -> Path:
        return self.folder / DATA / TLS / "ca.pem"

    def port(self, name: str) -> int:
        return self.listeners[name].port

    @property
    def accounts(self) -> list[str]:
        return [f"{name}@{self.domain}" for name in self.people]


def organisations(folder: Path, offset: int) -> tuple[Organisation, Organisation]:
    """Ours and the neighbour; the neighbour's ports are 10,000 above ours, but for its MX."""
    listeners = standard_listeners((ADDRESS,), offset)
    listeners[WEB] = Listener(service="https", addresses=[ADDRESS], port=_WEB_PORT + offset, tls="implicit")
    ours = Organisation("poterne.test", ("alice", "bob"), folder / "ours", listeners, 0)
    theirs = standard_listeners((NEIGHBOUR,), offset + 10_000)
    theirs["mx"] = replace(theirs["mx"], port=ours.port("mx"))
    return ours, Organisation("voisin.test", ("carol",), folder / "neighbour", theirs, 1, NEIGHBOUR)


def zone(org: Organisation, keys: Iterable[DkimRecord] = ()) -> str:
    """What the organisation publishes. `keys`: of its signatures."""
    texts = ((one.name, " ".join(f'"{text}"' for text in one.strings)) for one in keys if one.value)
    return (
        f"$TTL 300\n"
        f"@ SOA ns.{org.domain}. postmaster.{org.domain}. 1 3600 900 604800 300\n"
        f"@ NS ns.{org.domain}.\n"
        f"ns A {org.address}\n"
        f"@ MX 10 {org.hostname}.\n"
        f"mail A {org.address}\n"
        f'@ TXT "v=spf1 a:{org.hostname} -all"\n'
        f'_dmarc TXT "v=DMARC1; p=reject"\n'
        f"_submissions._tcp SRV 0 1 {org.port('submissions')} {org.hostname}.\n"
        f"_imaps._tcp SRV 0 1 {org.port('imaps')} {org.hostname}.\n"
        f"_pop3s._tcp SRV 0 1 {org.port('pop3s')} {org.hostname}.\n"
    ) + "".join((*_web_names(org), *(f"{name}. TXT {text}\n" for name, text in texts)))


def _web_names(org: Organisation) -> Iterator[str]:
    """Where mail programs look for their settings."""
    if WEB in org.listeners:
        yield f"_autodiscover._tcp SRV 0 1 {org.port(WEB)} {org.hostname}.\n"
        for label in CLIENT_LABELS:
            yield f"{label} CNAME {org.hostname}.\n"


def prepare(org: Organisation, dns_port: int, policy_port: int) -> list[DkimRecord]:
    """Make the instance unless it is there from another time; gives what its keys publish.

    Raises InstanceError, AdminError, ConfigError, StoreError.
    """
    if org.settings.exists():
        _follow(org, dns_port, policy_port)
    else:
        chosen: dict[str, dict[str, Value]] = {
            "server": {"workers": org.workers, "drain_s": 5},
            "dns": {"servers": [f"{ADDRESS}:{dns_port}"]},
            "queue": {"mx_port": org.port("mx"), "private_mx": True, **IMPATIENT},
            "outbound_tls": {"ca": AUTHORITY, "policy_port": policy_port},
        }
        make(Plan(org.folder, org.hostname, org.listeners, chosen), dt.datetime.now(dt.UTC))
    populated = org.folder / "populated"
    keys = asyncio.run(_opened(org, populate=not populated.exists()))  # also after a first run that was interrupted
    populated.touch()
    return dkim.records(keys)


def _follow(org: Organisation, dns_port: int, policy_port: int) -> None:
    """A later run may ask for other ports, an earlier lab had no remote organisations; what else was changed stays."""
    found = load(org.settings)
    text = before = org.settings.read_text(encoding="utf-8")
    for name, listener in org.listeners.items():
        if name in found.listener and found.listener[name].port != listener.port:
            text = _put(text, f"listener.{name}", "port", listener.port)
    if WEB in org.listeners.keys() - found.listener.keys():
        for key in ("tls", "port", "addresses", "service"):
            text = _put(text, f"listener.{WEB}", key, getattr(org.listeners[WEB], key))
    if found.queue.mx_port != org.port("mx"):
        text = _put(text, "queue", "mx_port", org.port("mx"))
    text = re.sub(rf'(?m)^(servers *= *\["{re.escape(ADDRESS)}:)[0-9]+', rf"\g<1>{dns_port}", text)
    if not found.outbound_tls.ca:
        for key, value in IMPATIENT.items():
            text = _put(text, "queue", key, value)
        text = _put(text, "outbound_tls", "ca", AUTHORITY)
    if found.outbound_tls.ca in {"", AUTHORITY} and found.outbound_tls.policy_port != policy_port:
        text = _put(text, "outbound_tls", "policy_port", policy_port)
    if text != before:
        org.settings.write_text(text, encoding="utf-8")
        load(org.settings)


def _put(text: str, table: str, key: str, value: Value) -> str:
    """The settings with this one, which may have stood as a comment, or not at all."""
    line = f"{key} = {toml_value(value)}"
    head = f"[{table}]\n"
    at = 0 if text.startswith(head) else text.find("\n" + head) + 1
    if not text.startswith(head, at):
        return f"{text.rstrip()}\n\n{head}{line}\n"
    start = at + len(head)
    end = text.find("\n[", start - 1) + 1 or len(text)
    section, count = re.subn(rf"(?m)^(?:# *)?{key} *=.*$", lambda _: line, text[start:end], count=1)
    return text[:start] + (section if count else f"{line}\n{section}") + text[end:]


async def _opened(org: Organisation, *, populate: bool) -> list[DkimKey]:
    """The keys of an instance that is ready. They sign at once, since the lab's name server begins with their records."""
    values = load(org.settings)
    store: Store = open_instance_store(org.folder / DATA, values)
    try:
        acting = people.Acting("lab", int(time.time()), TraceId("lab"))
        if populate:
            await _populate(org, store, acting)
        served = {domain.name for domain in await people.domains(store)}
        if org.domain in served and not await dkim.keys_of(store, org.domain):
            await dkim.create(store, org.domain, acting, dkim.kinds(values.dkim), state=KeyState.ACTIVE)
        return await dkim.keys_of(store, org.domain)
    finally:
        await store.close()


async def _populate(org: Organisation, store: Store, acting: people.Acting) -> None:
    if org.domain not in {domain.name for domain in await people.domains(store)}:
        await people.add_domain(store, org.domain, acting)
    there = {account.address for account in await people.accounts(store)}
    for account in org.accounts:
        if account not in there:
            name = account.split("@")[0].title()
            await people.add_account(store, account, acting, password=Secret(PASSWORD), name=name)
    if not await people.aliases(store):
        await people.add_alias(store, f"info@{org.domain}", [org.accounts[0]], acting)

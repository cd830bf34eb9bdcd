"""Makes an instance of Poterne for `sut_poterne.py`: reads what is wanted from standard input, prints the settings file."""

import asyncio
import datetime as dt
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

from bench.sut import HOST, PASSWORD
from poterne.admin import instance, people
from poterne.admin.passwords import hash_password
from poterne.app.stores import open_instance_store
from poterne.config.load import load
from poterne.config.settings import Listener, Settings
from poterne.values.folders import FOLDERS
from poterne.values.ids import TraceId
from poterne.values.secret import Secret

_ACTING = people.Acting("bench", int(time.time()), TraceId("bench"))
_MAX_CONNECTIONS = 4000


def _listener(service: str, port: int) -> Listener:
    made = Listener(service=service, addresses=[HOST], port=port, tls="starttls" if service == "mx" else "implicit")
    return replace(made, max_connections=_MAX_CONNECTIONS, max_per_address=_MAX_CONNECTIONS, max_per_minute=0)


async def _fill(folder: Path, settings: Settings, domain: str, accounts: list[str]) -> None:
    store = open_instance_store(folder, settings)
    try:
        await people.add_domain(store, domain, _ACTING)
        verifier = hash_password(Secret(PASSWORD))
        for name in accounts:
            address = f"{name}@{domain}"
            event = _ACTING.event("account.added", address=address)
            await store.add_account(address, name, "en", verifier, 0, FOLDERS["en"], event)
    finally:
        await store.close()


def main() -> int:
    wanted = json.load(sys.stdin)
    folder = Path(wanted["folder"])
    listeners = {service: _listener(service, port) for service, port in wanted["ports"].items()}
    listeners["guarded"] = Listener(service="mx", addresses=[HOST], port=wanted["guarded"])
    path = instance.make(
        instance.Plan(
            folder,
            f"mx.{wanted['domain']}",
            listeners,
            # Room for the fields that are added on the way to a message of 50 MiB.
            {
                "smtp": {"max_message_bytes": 60_000_000},
                "imap": {"max_append_bytes": 60_000_000},
                "dns": {"servers": [wanted["resolver"] or "127.0.0.1:1"]},  # no query leaves this machine
                "inbound": {"verify": bool(wanted["resolver"])},
                # It works later, on what came before: figures of one round would hold those of another.
                "search": {"index": wanted["indexed"], "cpu_percent": 100, "every_s": 5},
                "limits": dict.fromkeys(("recipients_per_day", "external_per_hour", "new_per_day", "burst"), 0),
            },
        ),
        dt.datetime.now(dt.UTC),
    )
    with path.open("a", encoding="utf-8") as file:
        for name, (domain, port) in wanted["routes"].items():
            file.write(f'[route.{name}]\ndomains = ["{domain}"]\nhost = "{HOST}"\nport = {port}\ntls = "required"\n')
    settings = load(path)
    asyncio.run(_fill((folder / settings.server.data).resolve(), settings, wanted["domain"], wanted["accounts"]))
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())

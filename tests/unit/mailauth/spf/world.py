"""A world of DNS answers, and an evaluation in it that counts what is asked."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from poterne.mailauth.spf import check
from poterne.mailauth.spf.check import Claim, Question
from poterne.mailauth.spf.outcome import Outcome
from poterne.values.address import Address
from poterne.values.dns import AAAA, MX, PTR, TXT, A, Answer, Failure, Found, Kind, Mx, NoData, NxDomain, TempFail

CORPUS = Path(__file__).parents[3] / "corpus" / "spf"
KINDS: dict[str, Kind[object]] = {"A": A, "AAAA": AAAA, "MX": MX, "PTR": PTR, "TXT": TXT}
Key = tuple[str, int]


def octets(text: str) -> bytes:
    return re.sub(rb"\\x([0-9a-f]{2})", lambda found: bytes.fromhex(found[1].decode()), text.encode())


@dataclass
class World:
    answers: dict[Key, Answer[object]] = field(default_factory=dict)
    asked: list[Question] = field(default_factory=list)
    steps: int = 0

    @classmethod
    def read(cls, text: str) -> "World":
        world = cls()
        for line in text.splitlines():
            if line and line[0] != ";":
                name, kind, data = (*line.split(None, 2), "")[:3]
                world.add(name, kind, data)
        return world

    def add(self, name: str, kind: str, data: str) -> None:
        key = name, KINDS[kind].code
        if data == "!servfail":
            self.answers[key] = TempFail(Failure.SERVFAIL)
            return
        record: object = data
        if kind == "TXT":
            record = octets(data)
        elif kind == "MX":
            preference, exchange = data.split()
            record = Mx(int(preference), exchange.rstrip("."))
        known = self.answers.get(key)
        records = known.records if isinstance(known, Found) else ()
        self.answers[key] = Found((*records, record), name, secure=False, ttl_s=300)

    def answer(self, question: Question) -> Answer[object]:
        key = question.name, question.kind.code
        if key in self.answers:
            return self.answers[key]
        suffix = "." + question.name
        exists = any(name == question.name or name.endswith(suffix) for name, _ in self.answers)
        return NoData(secure=False, ttl_s=60) if exists else NxDomain(secure=False, ttl_s=60)

    def evaluate(self, claim: Claim, *, explain: bool = True) -> Outcome:
        self.asked, self.steps = [], 0
        outcome: object = None
        steps = check.check_host(claim, explain=explain)
        try:
            questions = next(steps)
            while True:
                self.steps += 1
                self.asked += questions
                assert self.steps < 200
                questions = steps.send([self.answer(question) for question in questions])
        except StopIteration as end:
            outcome = end.value
        assert isinstance(outcome, Outcome)
        return outcome

    def with_txt(self, domain: str, *records: str) -> "World":
        world = World({key: value for key, value in self.answers.items() if key != (domain, TXT.code)})
        for record in records:
            world.add(domain, "TXT", record)
        return world


def claim(sender: str, client: str, helo: str = "mail.example.com") -> Claim:
    """From `local@domain`, whatever is in it; without `@` it is the null reverse-path of that HELO name."""
    if "@" not in sender:
        return check.mail_from(client, None, sender, receiver="mx.example.net", now_s=1_780_000_000)
    local_part, _, domain = sender.rpartition("@")
    return check.mail_from(client, Address(local_part, domain), helo, receiver="mx.example.net", now_s=1_780_000_000)


@dataclass(frozen=True)
class Case:
    records: tuple[str, ...] | None
    client: str
    sender: str
    helo: str
    result: str
    expected: Mapping[str, str]


def cases() -> Iterator[tuple[str, Case]]:
    for path in sorted(CORPUS.glob("*.cases")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if not line or line[0] == ";":
                continue
            record, client, sender, result, *more = (part.strip() for part in line.split(" | "))
            sender, _, helo = ("ann@example.com" if sender == "." else sender).partition(" ")
            expected = {}
            for item in "|".join(more).split("; ") if more else ():
                key, _, value = item.partition("=")
                expected[key] = value
            records = None if record == "-" else tuple(record.split(" && "))
            yield (
                f"{path.stem}:{number}",
                Case(
                    records,
                    client,
                    octets(sender).decode("utf-8"),
                    octets(helo or "mail.example.com").decode(),
                    result,
                    expected,
                ),
            )


WORLD = World.read((CORPUS / "world.zone").read_text())

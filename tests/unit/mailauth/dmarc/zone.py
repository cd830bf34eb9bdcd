"""A small DNS, an evaluation in it that counts what is asked, and the tree walk again, step by step as RFC 9989 tells it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar, cast

from poterne.mailauth.dkim import outcome as dkim
from poterne.mailauth.dmarc import check, record
from poterne.mailauth.dmarc.outcome import Outcome
from poterne.mailauth.spf import outcome as spf
from poterne.mailauth.spf.check import Question, Steps
from poterne.values.dns import Answer, Failure, Found, NoData, NxDomain, TempFail

T = TypeVar("T")
DOWN = TempFail(Failure.SERVFAIL)


class Zone:
    """TXT records by name; a name exists when it, or one below it, is there. None instead of records: DNS fails."""

    def __init__(self, records: Mapping[str, str | list[str] | None], exists: Iterable[str] = ()) -> None:
        self._texts = {name: [texts] if isinstance(texts, str) else texts for name, texts in records.items()}
        self._exists = {above for name in (*self._texts, *exists) for above in _aboves(name)}
        self.asked: list[str] = []
        self.steps = 0

    def without(self, name: str) -> "Zone":
        """The same, but DNS fails for this name."""
        other = Zone({})
        other._texts, other._exists = self._texts | {name: None}, self._exists
        return other

    def psd(self) -> dict[str, str]:
        """What psd= says in the one record at each name that has one."""
        return {
            name: found[0].psd.value
            for name, texts in self._texts.items()
            if len(found := [one for text in texts or () if (one := record.read(text.encode("latin-1")))]) == 1
        }

    def answer(self, question: Question) -> Answer[object]:
        assert question.kind.word == "TXT"
        name = question.name
        if name in self._texts:
            texts = self._texts[name]
            if texts is None:
                return DOWN
            return Found(tuple(text.encode("latin-1") for text in texts), name, secure=False, ttl_s=300)
        return NoData(secure=False, ttl_s=60) if name in self._exists else NxDomain(secure=False, ttl_s=60)

    def run(self, steps: Steps[T]) -> T:
        self.asked, self.steps = [], 0
        try:
            questions = next(steps)
            while True:
                self.steps += 1
                names = [question.name for question in questions]
                assert names, "a step without questions"
                assert len(set(names)) == len(names)
                assert not set(names) & set(self.asked), "asked twice"
                self.asked += names
                questions = steps.send([self.answer(question) for question in questions])
        except StopIteration as end:
            return cast("T", end.value)

    def judge(self, author: str, *proved: "spf.Outcome | dkim.Outcome") -> Outcome:
        return self.run(
            check.judged(
                author,
                [one for one in proved if isinstance(one, spf.Outcome)],
                [one for one in proved if isinstance(one, dkim.Outcome)],
            )
        )


def mail_from(domain: str, result: spf.Result = spf.Result.PASS) -> spf.Outcome:
    reason = {spf.Result.PASS: spf.Reason.MATCHED, spf.Result.TEMPERROR: spf.Reason.DNS}.get(result, spf.Reason.DEFAULT)
    return spf.Outcome(result, reason, spf.Identity.MAIL_FROM, domain)


def helo(domain: str) -> spf.Outcome:
    return spf.Outcome(spf.Result.PASS, spf.Reason.MATCHED, spf.Identity.HELO, domain)


def signed(domain: str, reason: dkim.Reason = dkim.Reason.VERIFIED, *, testing: bool = False) -> dkim.Outcome:
    return dkim.Outcome(reason, domain, "s", testing=testing)


def walked(domain: str) -> Iterator[str]:
    """Names of a walk, by the steps of RFC 9989 §4.10."""
    yield domain
    labels = domain.split(".")
    labels = labels[1:] if len(labels) < 8 else labels[-7:]
    while labels:
        yield ".".join(labels)
        labels = labels[1:]


def organisation(domain: str, psd: dict[str, str]) -> str:
    """§4.10.2, from what psd= says in the one record at each name that has one."""
    seen: list[str] = []
    for name in walked(domain):
        if name not in psd:
            continue
        seen.append(name)
        if psd[name] == "n":
            return name
        if psd[name] == "y":
            if name == domain:
                return name
            labels = domain.split(".")
            return ".".join(labels[-name.count(".") - 2 :])
    return min(seen, key=lambda name: name.count(".")) if seen else domain


def _aboves(name: str) -> Iterator[str]:
    while name:
        yield name
        name = name.partition(".")[2]

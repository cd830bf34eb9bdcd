"""Each check of DNS: all is well; then one thing is broken, and is found, with the record that mends it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import dns.rcode
import pytest

from poterne.lab.dns import Trouble
from poterne.mailauth.mtasts.policy import Mode, Policy
from poterne.mailauth.mtasts.text import rendered
from poterne.policy.published.asking import PolicyFile
from poterne.policy.published.checks import CHECKS
from poterne.policy.published.finding import Outcome
from tests.support.outbound import Authority
from tests.support.published import DOMAIN, FOUR, HOST, SIX, World, signed_loosely, world, zone_text

SPF = f'"v=spf1 mx ip4:{FOUR} ip6:{SIX} -all"'
DMARC = f"v=DMARC1; p=reject; np=reject; rua=mailto:dmarc-reports@{DOMAIN}"
WEAK = (
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCxZt1vr0GSCCOYqJyAFGPJEGAxCSIVMtEm0Es3dlM9YtbhMtaZrpc9CNBbgyYMaDEW"
    "GpUvKdvLEavYx8ZlGE6ye4zOtT2clxvtmKXGQrLmuMAeXSlAY+MYGOGuAYWz0WyhRt+Q1g1qzKEIOjj3Af0l9dIn06hSNCnBLuSwYRyaFwIDAQAB"
)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("authority")
    authority = Authority(folder)
    authority.context(HOST, f"autoconfig.{DOMAIN}", f"autodiscover.{DOMAIN}")
    authority.context("alone", HOST)
    return folder / f"{HOST}2.pem"


@pytest.fixture
def good(chain: Path) -> World:
    return world(chain)


async def test_all_is_well(good: World) -> None:
    found = await good.found()
    assert [(one.id, one.text) for one in found if one.outcome is not Outcome.OK] == []
    assert [one.check for one in found] == [check.id for check in CHECKS]


def many(made: World, count: int) -> World:
    """An SPF record with so many includes."""
    made = made.changed(
        SPF, '"v=spf1 mx ' + " ".join(f"include:i{n}.{DOMAIN}" for n in range(count)) + f' ip4:{FOUR} ip6:{SIX} -all"'
    )
    return made.plus(*(f'i{n}.{DOMAIN}. 60 IN TXT "v=spf1 -all"' for n in range(count)))


def policy(mode: Mode, *mx: str, age: int = 604_800) -> PolicyFile:
    return PolicyFile(rendered(Policy(mode, age, mx)))


SPF_FIX = f"{DOMAIN}. 3600 IN TXT {SPF}"
MX_FIX = f"{DOMAIN}. 3600 IN MX 10 {HOST}."
DMARC_FIX = f'_dmarc.{DOMAIN}. 3600 IN TXT "{DMARC}"'
A_FIX = f"{HOST}. 3600 IN A {FOUR}"
PTR_FIX = f"25.100.45.5.in-addr.arpa. 3600 IN PTR {HOST}."
SERVFAIL = Trouble(rcode=dns.rcode.SERVFAIL)
W, F, U = Outcome.WARN, Outcome.FAIL, Outcome.UNKNOWN

CASES: list[tuple[str, Outcome, str, Callable[[World], World]]] = [
    ("D02.none", F, MX_FIX, lambda w: w.without(" MX ")),
    ("D02.missing", F, MX_FIX, lambda w: w.changed(f"MX 10 {HOST}.", f"MX 10 ns.{DOMAIN}.").plus(f"ns.{DOMAIN}. 60 IN A 5.45.100.9")),
    ("D02.others", W, "", lambda w: w.plus(f"{DOMAIN}. 60 IN MX 20 b.{DOMAIN}.", f"b.{DOMAIN}. 60 IN A 5.45.100.9")),
    ("D02.preference", W, MX_FIX, lambda w: w.changed("MX 10 ", "MX 11 ")),
    ("D02.twice", W, "", lambda w: w.plus(f"{DOMAIN}. 60 IN MX 20 {HOST}.")),
    ("D02.alias", F, MX_FIX, lambda w: w.without(f"{HOST}. ").plus(f"{HOST}. 60 IN CNAME r.{DOMAIN}.", f"r.{DOMAIN}. 60 IN A {FOUR}", f"r.{DOMAIN}. 60 IN AAAA {SIX}")),
    ("D02.no-address", F, A_FIX, lambda w: w.without(f"{HOST}. ", " A ").without(f"{HOST}. ", " AAAA ")),
    ("D02.inside", F, A_FIX, lambda w: w.plus(f"{HOST}. 60 IN A 10.0.0.1")),
    ("D02.address", F, MX_FIX, lambda w: w.plus(f"{DOMAIN}. 60 IN MX 20 5.45.100.25.")),
    ("D02.laboratory", U, "", lambda w: replace(w.changed(FOUR, "127.0.0.9"), facts=replace(w.facts, addresses=("127.0.0.9", SIX)))),
    ("D02.dns", U, "", lambda w: replace(w, troubles=((DOMAIN, SERVFAIL, "MX"),))),
    ("D03.null", F, MX_FIX, lambda w: w.without(" MX ").plus(f"{DOMAIN}. 60 IN MX 0 .")),
    ("D03.null", F, MX_FIX, lambda w: w.plus(f"{DOMAIN}. 60 IN MX 0 .")),
    ("D04.missing", F, f"{HOST}. 3600 IN AAAA {SIX}", lambda w: w.without(f"{HOST}. ", " AAAA ")),
    ("D04.others", F, "", lambda w: w.plus(f"{HOST}. 60 IN A 5.45.100.9")),
    ("D04.settings", U, "", lambda w: replace(w, facts=replace(w.facts, addresses=()))),
    ("D04.dns", U, "", lambda w: replace(w, troubles=((HOST, SERVFAIL, "A"),))),
    ("D05.none", F, PTR_FIX, lambda w: w.without("25.100.45.5.in-addr.arpa.")),
    ("D05.unconfirmed", F, PTR_FIX, lambda w: w.changed(f" IN PTR {HOST}.", " IN PTR elsewhere.test.")),
    ("D05.other-name", W, PTR_FIX, lambda w: w.changed(f"PTR {HOST}.", f"PTR r.{DOMAIN}.").plus(f"r.{DOMAIN}. 60 IN A {FOUR}", f"r.{DOMAIN}. 60 IN AAAA {SIX}")),
    ("D05.dns", U, "", lambda w: replace(w, troubles=(("25.100.45.5.in-addr.arpa", SERVFAIL, None),))),
    ("D06.spf", W, f'{HOST}. 3600 IN TXT "v=spf1 a ip4:{FOUR} ip6:{SIX} -all"', lambda w: w.without(f"{HOST}. ", " TXT ")),
    ("D06.no-address", W, A_FIX, lambda w: w.without(f"{HOST}. ", " A ").without(f"{HOST}. ", " AAAA ")),
    ("D07.none", F, SPF_FIX, lambda w: w.without(f"{DOMAIN}. 3600 IN TXT", "v=spf1 mx")),
    ("D07.several", F, SPF_FIX, lambda w: w.plus(f'{DOMAIN}. 60 IN TXT "v=spf1 -all"')),
    ("D07.unreadable", F, SPF_FIX, lambda w: w.changed('"v=spf1 mx', '" v=spf1 mx')),
    ("D07.unreadable", F, SPF_FIX, lambda w: w.changed('"v=spf1 mx', '"\\226\\128\\156v=spf1 mx')),
    ("D07.syntax", F, SPF_FIX, lambda w: w.changed(f"ip4:{FOUR} ip6", "ip4:5.45.100 ip6")),
    ("D07.behind-all", W, SPF_FIX, lambda w: w.changed(SPF, f'"v=spf1 mx ip4:{FOUR} ip6:{SIX} -all ip4:9.9.9.9"')),
    ("D07.spf2", W, "", lambda w: w.plus(f'{DOMAIN}. 60 IN TXT "spf2.0/pra -all"')),
    ("D07.missing-terms", W, SPF_FIX, lambda w: w.changed(SPF, '"v=spf1 mx -all"')),
    ("D07.other-terms", W, SPF_FIX, lambda w: w.changed(SPF, f'"v=spf1 mx ip4:{FOUR} ip6:{SIX} ip4:9.9.9.9 -all"')),
    ("D07.dns", U, "", lambda w: replace(w, troubles=((DOMAIN, SERVFAIL, "TXT"),))),
    ("D08.lookups", F, SPF_FIX, lambda w: many(w, 11)),
    ("D08.near-limit", W, "", lambda w: many(w, 8)),
    ("D08.void-lookups", F, SPF_FIX, lambda w: w.changed("v=spf1 mx ip4", f"v=spf1 a:x.{DOMAIN} a:y.{DOMAIN} a:z.{DOMAIN} mx ip4")),
    ("D08.target-record", F, SPF_FIX, lambda w: w.changed("v=spf1 mx ip4", f"v=spf1 include:x.{DOMAIN} mx ip4")),
    ("D08.long", W, "", lambda w: w.changed(SPF, '"v=spf1 mx" "' + "".join(f" ip4:9.9.9.{n}" for n in range(13)) + '" "' + "".join(f" ip4:9.9.8.{n}" for n in range(13)) + '" "' + "".join(f" ip4:9.9.7.{n}" for n in range(13)) + f' ip4:{FOUR} ip6:{SIX} -all"')),
    ("D09.open", F, SPF_FIX, lambda w: w.changed(f"ip6:{SIX} -all", f"ip6:{SIX} +all").changed("v=spf1 a ip4", "v=spf1 ip4")),
    ("D09.open", F, SPF_FIX, lambda w: w.changed("v=spf1 mx ip4", "v=spf1 ip4:0.0.0.0/1 ip4:128.0.0.0/1 mx ip4")),
    ("D09.neutral", F, SPF_FIX, lambda w: w.changed(SPF, f'"v=spf1 mx ip4:{FOUR} ip6:{SIX} ?all"')),
    ("D09.softfail", W, SPF_FIX, lambda w: w.changed(SPF, f'"v=spf1 mx ip4:{FOUR} ip6:{SIX} ~all"').without("_dmarc")),
    ("D10.many", W, SPF_FIX, lambda w: w.changed("v=spf1 mx ip4", "v=spf1 ip4:9.0.0.0/15 mx ip4")),
    ("D10.many", F, SPF_FIX, lambda w: w.changed("v=spf1 mx ip4", f"v=spf1 include:i.{DOMAIN} mx ip4").plus(f'i.{DOMAIN}. 60 IN TXT "v=spf1 ip4:9.0.0.0/8 -all"')),
    ("D11.gone", F, SPF_FIX, lambda w: w.changed("v=spf1 mx ip4", "v=spf1 include:gone.test mx ip4")),
    ("D11.gone", F, SPF_FIX, lambda w: w.changed("v=spf1 mx ip4", "v=spf1 a:gone.test mx ip4")),
    ("D11.dns", U, "", lambda w: replace(w.changed("v=spf1 mx ip4", "v=spf1 include:slow.test mx ip4"), troubles=(("slow.test", SERVFAIL, None),))),
    ("D12.ptr", W, SPF_FIX, lambda w: w.changed("v=spf1 mx ip4", "v=spf1 ptr mx ip4")),
    ("D12.helo", W, SPF_FIX, lambda w: w.changed("v=spf1 mx ip4", f"v=spf1 exists:%{{h}}.{DOMAIN} mx ip4")),
    ("D12.wildcard-txt", W, "", lambda w: w.plus(f'*.{DOMAIN}. 60 IN TXT "v=spf1 -all"')),
    ("D12.wildcard-mx", W, "", lambda w: w.plus(f"*.{DOMAIN}. 60 IN MX 10 {HOST}.")),
    ("D13.not-allowed", F, SPF_FIX, lambda w: w.changed(SPF, '"v=spf1 ip4:9.9.9.9 -all"')),
    ("D13.settings", U, "", lambda w: replace(w, facts=replace(w.facts, addresses=()))),
    ("D14.no-key", F, "", lambda w: replace(w, facts=replace(w.facts, dkim=()))),
    ("D14.missing-active", F, f's-rsa._domainkey.{DOMAIN}. 3600 IN TXT "v=DKIM1; k=rsa; h=sha256; t=s; p=', lambda w: w.without("s-rsa._domainkey")),
    ("D14.dns", U, "", lambda w: replace(w, troubles=((f"s-rsa._domainkey.{DOMAIN}", SERVFAIL, None),))),
    ("D14.nxdomain", W, "", lambda w: replace(w, troubles=((f"_domainkey.{DOMAIN}", Trouble(rcode=dns.rcode.NXDOMAIN), None),))),
    ("D15.several", F, f"s-ed25519._domainkey.{DOMAIN}. 3600 IN TXT", lambda w: w.plus(f's-ed25519._domainkey.{DOMAIN}. 3600 IN TXT "v=DKIM1; p="')),
    ("D15.revoked", F, f"s-ed25519._domainkey.{DOMAIN}. 3600 IN TXT", lambda w: w.without("s-ed25519").plus(f's-ed25519._domainkey.{DOMAIN}. 3600 IN TXT "v=DKIM1; p="')),
    ("D15.testing", W, f"s-ed25519._domainkey.{DOMAIN}. 3600 IN TXT", lambda w: w.changed("k=ed25519; h=sha256; t=s; ", "k=ed25519; h=sha256; t=s:y; ")),
    ("D15.other-key", F, f"s-rsa._domainkey.{DOMAIN}. 3600 IN TXT", lambda w: w.without("s-rsa").plus(f's-rsa._domainkey.{DOMAIN}. 60 IN TXT "v=DKIM1; p={WEAK}"')),
    ("D15.weak", W, f"s-rsa._domainkey.{DOMAIN}. 3600 IN TXT", lambda w: w.without("s-rsa").plus(f's-rsa._domainkey.{DOMAIN}. 60 IN TXT "v=DKIM1; p={WEAK}"')),
    ("D15.unusable", F, f"s-rsa._domainkey.{DOMAIN}. 3600 IN TXT", lambda w: w.changed("h=sha256; t=s; ", "h=sha1; t=s; ")),
    ("D16.fails", F, f"s-rsa._domainkey.{DOMAIN}. 3600 IN TXT", lambda w: w.without("s-rsa").plus(f's-rsa._domainkey.{DOMAIN}. 60 IN TXT "v=DKIM1; p={WEAK}"')),
    ("D16.fails", F, f"s-ed25519._domainkey.{DOMAIN}. 3600 IN TXT", lambda w: w.changed("k=ed25519; h=sha256; t=s; ", "k=ed25519; h=sha256; t=s:y; ")),
    ("D16.fails", F, "", lambda w: replace(w, facts=replace(w.facts, canary=w.facts.canary + b"more\r\n"))),
    ("D16.loose", W, "", lambda w: replace(w, facts=replace(w.facts, canary=signed_loosely()))),
    ("D16.other-domain", F, "", lambda w: replace(w, facts=replace(w.facts, domain=f"sub.{DOMAIN}"))),
    ("D16.nothing-signs", U, "", lambda w: replace(w, facts=replace(w.facts, canary=b""))),
    ("D16.dns", U, "", lambda w: replace(w, troubles=((f"s-rsa._domainkey.{DOMAIN}", SERVFAIL, None),))),
    ("D15.ed25519-alone", W, "", lambda w: replace(w, facts=replace(w.facts, dkim=w.facts.dkim[1:]))),
    ("D17.no-record", F, DMARC_FIX, lambda w: w.without("_dmarc")),
    ("D17.several-records", F, DMARC_FIX, lambda w: w.plus(f'_dmarc.{DOMAIN}. 60 IN TXT "v=DMARC1; p=none"')),
    ("D17.leading-space", F, DMARC_FIX, lambda w: w.changed('"v=DMARC1', '" v=DMARC1')),
    ("D17.version", F, DMARC_FIX, lambda w: w.changed('"v=DMARC1', '"v=DMARC2')),
    ("D17.misplaced", W, DMARC_FIX, lambda w: w.plus(f'{DOMAIN}. 60 IN TXT "v=DMARC1; p=reject"')),
    ("D17.other-text", W, "", lambda w: w.plus(f'_dmarc.{DOMAIN}. 60 IN TXT "v=spf1 -all"')),
    ("D17.dns", U, "", lambda w: replace(w, troubles=((f"_dmarc.{DOMAIN}", SERVFAIL, None),))),
    ("D18.tag-removed", W, DMARC_FIX, lambda w: w.changed("np=reject;", "np=reject; ri=86400;")),
    ("D18.p-invalid", F, DMARC_FIX, lambda w: w.changed("p=reject; np=", "p=refuse; np=")),
    ("D19.weaker", F, DMARC_FIX, lambda w: w.changed("p=reject; np=", "p=none; np=")),
    ("D19.none", W, "", lambda w: replace(w.changed("p=reject; np=", "p=none; np="), facts=replace(w.facts, dmarc="none"))),
    ("D19.testing", W, DMARC_FIX, lambda w: w.changed("np=reject;", "np=reject; t=y;")),
    ("D19.subdomains", W, DMARC_FIX, lambda w: w.changed("np=reject;", "np=reject; sp=none;")),
    ("D19.no-np", W, f'_dmarc.{DOMAIN}. 3600 IN TXT "v=DMARC1; p=quarantine; np=reject; ', lambda w: replace(w.changed("p=reject; np=reject;", "p=quarantine;"), facts=replace(w.facts, dmarc="quarantine"))),
    ("D20.spf-only", F, f"s-rsa._domainkey.{DOMAIN}. 3600 IN TXT", lambda w: w.without("_domainkey")),
    ("D20.dns", U, "", lambda w: replace(w, troubles=tuple((f"s-{k}._domainkey.{DOMAIN}", SERVFAIL, None) for k in ("rsa", "ed25519")))),
    ("D21.inherited", W, DMARC_FIX, lambda w: w.without("_dmarc").plus('_dmarc.test. 60 IN TXT "v=DMARC1; p=reject; psd=y"')),
    ("D22.no-rua", W, DMARC_FIX, lambda w: w.changed(f"; rua=mailto:dmarc-reports@{DOMAIN}", "")),
    ("D22.not-here", W, DMARC_FIX, lambda w: w.changed("mailto:dmarc-reports@", "mailto:other@")),
    ("D22.ruf", W, DMARC_FIX, lambda w: w.changed("np=reject;", f"np=reject; ruf=mailto:x@{DOMAIN};")),
    ("D22.unauthorised", F, f'{DOMAIN}._report._dmarc.far.example. 3600 IN TXT "v=DMARC1;"', lambda w: replace(w.changed("rua=", "rua=mailto:a@far.example,"), others=(("far.example", zone_text("far.example", ["far.example. 60 IN A 5.45.100.9"])),))),
    ("D22.no-mx", F, MX_FIX, lambda w: w.without(" MX ")),
    ("D23.weaker", W, f"_dmarc.sub.{DOMAIN}. 3600 IN TXT", lambda w: replace(w.plus(f'_dmarc.sub.{DOMAIN}. 60 IN TXT "v=DMARC1; p=none"'), relatives=(f"sub.{DOMAIN}",))),
    ("D24.missing", F, f'_mta-sts.{DOMAIN}. 3600 IN TXT "v=STSv1; id=', lambda w: w.without("_mta-sts")),
    ("D24.several", F, f"_mta-sts.{DOMAIN}. 3600 IN TXT", lambda w: w.plus(f'_mta-sts.{DOMAIN}. 60 IN TXT "v=STSv1; id=2;"')),
    ("D24.syntax", F, f"_mta-sts.{DOMAIN}. 3600 IN TXT", lambda w: w.changed("v=STSv1; id=", "v=STSv1; id= -")),
    ("D24.id", F, f"_mta-sts.{DOMAIN}. 3600 IN TXT", lambda w: w.changed("v=STSv1; id=", "v=STSv1; id=0")),
    ("D24.fetch", F, f"mta-sts.{DOMAIN}. 3600 IN CNAME {HOST}.", lambda w: replace(w, file=PolicyFile(problem="certificate: expired"))),
    ("D24.fetch", U, "", lambda w: replace(w, file=PolicyFile(problem="address: TempFail", passing=True))),
    ("D24.policy-syntax", F, "", lambda w: replace(w, file=PolicyFile(b"<html>"))),
    ("D24.other-policy", F, "", lambda w: replace(w, file=policy(Mode.ENFORCE, HOST, "b.test"))),
    ("D24.testing", W, "", lambda w: replace(w, file=policy(Mode.TESTING, HOST))),
    ("D24.mode-none", W, "", lambda w: replace(w, file=policy(Mode.NONE))),
    ("D24.mx", F, "", lambda w: replace(w, file=policy(Mode.ENFORCE, "b.test"))),
    ("D24.idle-mx", W, "", lambda w: replace(w, file=policy(Mode.ENFORCE, HOST, "b.test"))),
    ("D24.max-age", W, "", lambda w: replace(w, file=policy(Mode.ENFORCE, HOST, age=60))),
    ("D24.none", W, "", lambda w: replace(w.without("_mta-sts"), facts=replace(w.facts, policy=None))),
    ("D24.dns", U, "", lambda w: replace(w, troubles=((f"_mta-sts.{DOMAIN}", SERVFAIL, None),))),
    ("D25.none", W, f'_smtp._tls.{DOMAIN}. 3600 IN TXT "v=TLSRPTv1; rua=mailto:tls-reports@{DOMAIN}"', lambda w: w.without("_smtp._tls")),
    ("D25.several", F, f"_smtp._tls.{DOMAIN}. 3600 IN TXT", lambda w: w.plus(f'_smtp._tls.{DOMAIN}. 60 IN TXT "v=TLSRPTv1; rua=mailto:a@b.test"')),
    ("D25.syntax", F, f"_smtp._tls.{DOMAIN}. 3600 IN TXT", lambda w: w.changed("v=TLSRPTv1; rua=", "v=TLSRPTv1; rua ")),
    ("D25.not-here", W, f"_smtp._tls.{DOMAIN}. 3600 IN TXT", lambda w: w.changed("mailto:tls-reports@", "mailto:x@")),
    ("D26.none", W, f"_25._tcp.{HOST}. 3600 IN TLSA 3 1 1 ", lambda w: w.without("TLSA")),
    ("D26.mismatch", F, f"_25._tcp.{HOST}. 3600 IN TLSA 3 1 1 ", lambda w: w.without("TLSA").plus(f"_25._tcp.{HOST}. 60 IN TLSA 3 1 1 {'ab' * 32}")),
    ("D26.stale", W, "", lambda w: w.plus(f"_25._tcp.{HOST}. 3600 IN TLSA 3 1 1 {'ab' * 32}")),
    ("D26.missing", W, f"_25._tcp.{HOST}. 3600 IN TLSA 3 1 1 {'cd' * 32}", lambda w: replace(w, facts=replace(w.facts, keys=(*w.facts.keys, b"\xcd" * 32)))),
    ("D26.unusable", F, f"_25._tcp.{HOST}. 3600 IN TLSA 3 1 1 ", lambda w: w.changed("TLSA 3 1 1", "TLSA 1 1 1")),
    ("D26.dns", U, "", lambda w: replace(w, troubles=((f"_25._tcp.{HOST}", SERVFAIL, "TLSA"),))),
    ("D27.unsigned", W, "", lambda w: replace(w, secure=False, others=((".", ". 60 IN SOA a. b. 1 60 60 60 60\n. 60 IN NS a.\n"),))),
    ("D27.resolver", U, "", lambda w: replace(w, secure=False)),
    ("D27.dns", U, "", lambda w: replace(w, troubles=((DOMAIN, SERVFAIL, "MX"),))),
    ("D28.none", W, f'{HOST}. 3600 IN CAA 0 issue "letsencrypt.org"', lambda w: w.without(" CAA ")),
    ("D28.issuer", F, f'{HOST}. 3600 IN CAA 0 issue "letsencrypt.org"', lambda w: w.changed("letsencrypt.org", "other.example")),
    ("D28.critical", F, f'{HOST}. 3600 IN CAA 0 issue "letsencrypt.org"', lambda w: w.plus(f'{HOST}. 60 IN CAA 128 tbs "x"')),
    ("D28.no-issue", W, f'{HOST}. 3600 IN CAA 0 issue "letsencrypt.org"', lambda w: w.changed("CAA 0 issue ", "CAA 0 issuewild ")),
    ("D28.issuer", U, "", lambda w: replace(w.without(" CAA "), facts=replace(w.facts, issuers=()))),
    ("D28.issuer", F, "", lambda w: w.without(" CAA ").plus(f'{DOMAIN}. 60 IN CAA 0 issue ";"')),
    ("D30.client-name", W, f"autoconfig.{DOMAIN}. 3600 IN CNAME {HOST}.", lambda w: w.without("autoconfig")),
    ("D30.client-elsewhere", F, f"autodiscover.{DOMAIN}. 3600 IN CNAME {HOST}.", lambda w: w.without("autodiscover", "CNAME").plus(f"autodiscover.{DOMAIN}. 60 IN A 5.45.100.99")),
    ("D30.client-certificate", W, "", lambda w: replace(w, chain=w.chain.with_name("alone2.pem"))),
    ("D30.missing", W, f"_autodiscover._tcp.{DOMAIN}. 3600 IN SRV 0 1 443 {HOST}.", lambda w: w.without("_autodiscover")),
    ("D30.missing", W, f"_imaps._tcp.{DOMAIN}. 3600 IN SRV 0 1 993 {HOST}.", lambda w: w.without("_imaps")),
    ("D30.closed", F, f"_imap._tcp.{DOMAIN}. 3600 IN SRV 0 0 0 .", lambda w: w.without("_imap._tcp").plus(f"_imap._tcp.{DOMAIN}. 60 IN SRV 0 1 143 {HOST}.")),
    ("D30.elsewhere", W, f"_imaps._tcp.{DOMAIN}. 3600 IN SRV 0 1 993 {HOST}.", lambda w: w.changed("SRV 0 1 993", "SRV 0 1 1993")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("what", "outcome", "fix", "change"), CASES, ids=lambda one: one if isinstance(one, str) else ""
)
async def test_what_is_broken_is_found(
    good: World, what: str, outcome: Outcome, fix: str, change: Callable[[World], World]
) -> None:
    found = [one for one in await change(good).found() if one.id == what]
    assert found, what
    assert found[0].outcome is outcome
    lines = [record.line for one in found for record in one.fix]
    if fix:
        assert any(line.startswith(fix) for line in lines), lines
    assert all(text.isprintable() for one in found for text in (one.text, *one.evidence, *one.remove))


async def test_a_name_that_fails_is_unknown_and_nothing_worse(good: World) -> None:
    """For each name of the zone: what depends on it is not known; nothing is called wrong that is right."""
    for name in dict.fromkeys(line.split(". ", 1)[0] for line in good.lines):
        found = await replace(good, troubles=((name, SERVFAIL, None),)).found()
        assert {one.id for one in found if one.outcome in {W, F}} == set(), name
        # The policy is fetched by its name from outside, which here is done for us.
        assert any(one.outcome is U for one in found) or name == f"mta-sts.{DOMAIN}", name


def test_each_check_is_broken_once() -> None:
    assert {what.partition(".")[0] for what, *_ in CASES} == {check.id for check in CHECKS}

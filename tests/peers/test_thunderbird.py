"""Thunderbird: a person types an address and a password into its account setup, and reads, sorts and writes mail.

What it does is asked of the server by another client each time. It runs in a network of its own, which ends at loopback.
"""

import base64
import email
import email.policy
import imaplib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from poterne.admin import clients
from poterne.admin.instance import DATA
from poterne.config.load import load
from poterne.proto.autoconfig import mobile
from tests.support.alone import alone
from tests.support.marionette import Marionette
from tests.support.peer_tools import needs
from tests.support.server import ADDRESS, DOMAIN, PASSWORD, Instance, free_port, letter, wait_for
from tests.support.thunderbird import PROTOCOL, thunderbird

pytestmark = [pytest.mark.timeout(180), *needs("thunderbird", "Xvfb", "certutil")]
ALICE: Final = f"alice@{DOMAIN}"
ATTACHED: Final = bytes(range(256)) * 100
_HUB: Final = """
const modal = document.querySelector('account-hub-container')?.modal;
const type = (selector, text) => {
  const input = modal.querySelector(selector);
  input.value = text;
  input.dispatchEvent(new Event('input', {bubbles: true}));
};
const step = () => modal && Array.from(modal.querySelectorAll('.account-hub-step')).find(one => !one.hidden)?.localName;
const onward = () => modal.querySelector('account-hub-footer #forward').click();
"""
_MAIL: Final = """
const server = MailServices.accounts.accounts.map(one => one.incomingServer).find(one => one.type == 'imap');
const folder = name => server.rootFolder.descendants.find(one => one.name == name || one.onlineName == name);
const messages = name => Array.from(folder(name).messages);
const message = (name, subject) => messages(name).find(one => one.mime2DecodedSubject == subject);
"""


class Person:
    """Somebody at the screen."""

    def __init__(self, driver: Marionette, instance: Instance, protocol: Path) -> None:
        self.driver, self.instance, self.protocol = driver, instance, protocol

    def set_up(self) -> None:
        """The account setup, as on the first start."""
        driver = self.driver
        driver.until("return document.readyState == 'complete' && typeof openAccountHub == 'function'")
        driver.run("await openAccountHub('MAIL')")
        driver.until(f"{_HUB} return step() == 'email-auto-form'")
        driver.run(f"{_HUB} type('#realName', 'Alice Ève'); type('#email', args[0]); onward()", ALICE)
        driver.until(f"{_HUB} return step() == 'email-config-found'", text="no settings were found")
        self.found = str(driver.run(f"{_HUB} return modal.querySelector('email-config-found').innerText"))
        driver.run(f"{_HUB} onward()")
        driver.until(f"{_HUB} return step() == 'email-password-form'")
        driver.run(f"{_HUB} type('email-password-form #password', args[0]); onward()", PASSWORD)
        driver.until(
            "return MailServices.accounts.accounts.some(one => one.incomingServer.type == 'imap')", text="no account"
        )

    def mail(self, script: str, *arguments: Any) -> Any:
        return self.driver.run(_MAIL + script, *arguments)

    def until(self, script: str, *arguments: Any, text: str = "") -> Any:
        return self.driver.until(_MAIL + script, *arguments, text=text)

    def receive(self, subject: str, *, attached: bool = False) -> None:
        """A stranger writes, and it comes by itself."""
        message = letter(ALICE, subject, "Voilà.\n")
        if attached:
            message.add_attachment(ATTACHED, maintype="application", subtype="octet-stream", filename="données.bin")
        self.instance.deliver(message, ALICE)
        self.until("return !!message('INBOX', args[0])", subject, text=f"{subject} never came")

    def listens(self) -> None:
        """Its connection to INBOX goes into IDLE, two seconds after its last command."""

        def said() -> bool:
            lines = self.protocol.read_text(errors="replace").splitlines()
            sent = [line for line in lines if ":S-INBOX:SendData: " in line]
            return bool(sent) and sent[-1].endswith(" IDLE")

        wait_for(said, text="it does not go into IDLE")

    def on_server(self, folder: str, subject: str) -> tuple[bytes, set[str]] | None:
        """The message and its flags, as another client sees them."""
        with self.instance.imap() as client:
            if client.select(_quoted(folder), readonly=True)[0] != "OK":
                return None
            _, (found,) = client.search(None, "SUBJECT", f'"{subject}"')
            if not found:
                return None
            answer: Any = client.fetch(found.split()[-1].decode(), "(FLAGS BODY.PEEK[])")[1]
            at = next(
                at for at, one in enumerate(answer) if isinstance(one, tuple)
            )  # others' changes may be told before
            head, text = answer[at]
            return text, {flag.decode() for flag in imaplib.ParseFlags(head + answer[at + 1])}


def _quoted(name: str) -> str:
    return f'"{name}"'


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    folder = tmp_path_factory.mktemp("thunderbird")
    try:
        with alone():
            instance, port = Instance(folder / "instance"), free_port()
            with instance.settings.open("a") as more:
                more.write(
                    f'\n[listener.web]\nservice = "https"\naddresses = ["{ADDRESS}"]\nport = {port}\ntls = "implicit"\n'
                )
            instance.start()
            try:
                names = [DOMAIN, *(f"{label}.{DOMAIN}" for label in ("mail", "autoconfig", "autodiscover"))]
                with thunderbird(folder, instance.folder / DATA / "tls" / "ca.pem", names, port) as driver:
                    made = Person(driver, instance, folder / PROTOCOL)
                    try:
                        made.set_up()
                    except AssertionError:
                        driver.picture(folder / "failure.png")
                        raise
                    yield made
            finally:
                instance.stop()
    except PermissionError:
        pytest.skip("a network of one's own takes root")
    assert not [line for line in instance.lines() if line["level"] in {"warning", "error"}]


@pytest.fixture(autouse=True)
def _picture(person: Person, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    """Of the window, when a test fails."""
    failed = request.session.testsfailed
    yield
    if request.session.testsfailed > failed:
        person.driver.picture(tmp_path / "failure.png")


def test_it_finds_everything_by_the_address(person: Person) -> None:
    ports = person.instance.ports
    for text in (f"mail.{DOMAIN}", str(ports["imaps"]), str(ports["submissions"]), "SSL/TLS", "Normal Password", ALICE):
        assert text in person.found
    assert [
        (one["host"], one["path"])
        for one in person.instance.events("https.answered")
        if one["path"].startswith("/mail")
    ] == [(f"autoconfig.{DOMAIN}", "/mail/config-v1.1.xml")]
    assert person.mail(
        "const out = MailServices.outgoingServer.defaultServer; out.QueryInterface(Ci.nsISmtpServer);"
        "return [server.hostname, server.port, server.socketType, server.username, out.hostname, out.port, out.socketType, out.username]"
    ) == [f"mail.{DOMAIN}", ports["imaps"], 3, ALICE, f"mail.{DOMAIN}", ports["submissions"], 3, ALICE]
    person.instance.wait_event("auth.ok")


def test_the_folders_and_what_they_are_for(person: Person) -> None:
    flags = {"INBOX": 0x1000, "Sent": 0x200, "Drafts": 0x400, "Trash": 0x100, "Junk": 0x40000000, "Archive": 0x4000}
    for name, flag in flags.items():
        person.until(
            "const one = folder(args[0]); return !!one && one.getFlag(args[1])", name, flag, text=f"{name} is not used"
        )


def test_new_mail_comes_by_itself(person: Person) -> None:
    person.receive("first of all")
    started = time.monotonic()
    person.receive("told by IDLE")
    assert time.monotonic() - started < 5


def test_reading_with_an_attachment(person: Person) -> None:
    person.receive("with données", attached=True)
    found = person.mail(
        "const {MsgHdrToMimeMessage} = ChromeUtils.importESModule('resource:///modules/gloda/MimeMessage.sys.mjs');"
        "const header = message('INBOX', 'with données');"
        "const whole = await new Promise(done => MsgHdrToMimeMessage(header, null, (_, mime) => done(mime), true));"
        "const [part] = whole.allAttachments;"
        "const {NetUtil} = ChromeUtils.importESModule('resource://gre/modules/NetUtil.sys.mjs');"
        "const channel = {uri: part.url, loadUsingSystemPrincipal: true};"
        "const data = await new Promise((done, failed) => NetUtil.asyncFetch(channel, (stream, status) => Components.isSuccessCode(status)"
        " ? done(NetUtil.readInputStreamToString(stream, stream.available())) : failed(status)));"
        "return [whole.coerceBodyToPlaintext(), part.name, part.contentType, btoa(data)]"
    )
    assert found[0].strip() == "Voilà."
    assert found[1:3] == ["données.bin", "application/octet-stream"]
    assert base64.b64decode(found[3]) == ATTACHED


def test_flags(person: Person) -> None:
    person.receive("to be marked")
    person.mail(
        "const one = [message('INBOX', 'to be marked')]; const inbox = folder('INBOX');"
        "inbox.markMessagesRead(one, true); inbox.markMessagesFlagged(one, true); inbox.addKeywordsToMessages(one, '$label1')"
    )
    wanted = {"\\Seen", "\\Flagged", "$label1"}
    wait_for(lambda: wanted <= (person.on_server("INBOX", "to be marked") or (b"", set()))[1])
    person.listens()
    with person.instance.imap() as client:  # and the other way
        client.select("INBOX")
        _, (number,) = client.search(None, 'SUBJECT "to be marked"')
        client.store(number.decode(), "-FLAGS", "(\\Flagged)")
    person.until("return !message('INBOX', 'to be marked').isFlagged", text="a flag of another client is not seen")


def test_a_folder_is_made_and_mail_moved_and_deleted(person: Person) -> None:
    person.mail("server.rootFolder.createSubfolder('Été & Cie', null)")
    person.until("return !!folder('Été & Cie')")
    person.receive("moves house")
    person.mail(
        "MailServices.copy.copyMessages(folder('INBOX'), [message('INBOX', 'moves house')], folder('Été & Cie'), true, null, null, false)"
    )
    wait_for(lambda: person.on_server("&AMk-t&AOk- &- Cie", "moves house"))
    assert person.on_server("INBOX", "moves house") is None
    person.receive("goes away")
    person.mail("folder('INBOX').deleteMessages([message('INBOX', 'goes away')], null, false, true, null, false)")
    wait_for(lambda: person.on_server("Trash", "goes away"))
    wait_for(lambda: person.on_server("INBOX", "goes away") is None)


def test_searching_on_the_server(person: Person) -> None:
    person.receive("to be found")
    found = person.mail(
        "const session = Cc['@mozilla.org/messenger/searchSession;1'].createInstance(Ci.nsIMsgSearchSession);"
        "session.addScopeTerm(Ci.nsMsgSearchScope.onlineMail, folder('INBOX'));"
        "for (const [attribute, text] of [[Ci.nsMsgSearchAttrib.Body, 'VOILÀ'], [Ci.nsMsgSearchAttrib.Subject, 'be found']]) {"
        "  const term = session.createTerm(); term.attrib = attribute; term.op = Ci.nsMsgSearchOp.Contains; term.booleanAnd = true;"
        "  const value = term.value; value.attrib = attribute; value.str = text; term.value = value; session.appendTerm(term); }"
        "return await new Promise(done => { const hits = [];"
        "  session.registerListener({onSearchHit: one => hits.push(one.mime2DecodedSubject), onSearchDone: () => done(hits), onNewSearch() {}});"
        "  session.search(null); })"
    )
    assert found == ["to be found"]


def test_its_code_for_a_phone_is_ours(person: Person) -> None:
    """Thunderbird's own export for mobile, and `poterne client --qr thunderbird`: the same account."""
    theirs = person.mail(
        "const {QRExport} = ChromeUtils.importESModule('moz-src:///comm/mail/modules/QRExport.sys.mjs');"
        "const account = MailServices.accounts.findAccountForServer(server);"
        "return QRExport.getQRData(await QRExport.getAccountData(account.key, false), 1, 1)"
    )
    made = clients.offer(load(person.instance.settings))
    ours = json.loads(mobile.payload(made, ALICE, "Alice Ève") or "")
    assert theirs[:2] == ours[:2]
    assert theirs[2][:6] == ours[2]
    (server, *identities), (our_server, *our_identities) = theirs[3][0], ours[3][0]
    assert server[:6] == our_server
    assert identities == our_identities


_WINDOW: Final = "const window = Services.wm.getMostRecentWindow('msgcompose');"


def test_writing(person: Person, tmp_path: Path) -> None:
    """In the window for it: kept as a draft, sent by way of submission; a copy is in Sent, and the recipient has it."""
    (tmp_path / "données.bin").write_bytes(ATTACHED)
    person.mail(
        "const of = type => Cc[`@mozilla.org/messengercompose/${type};1`];"
        "const fields = of('composefields').createInstance(Ci.nsIMsgCompFields);"
        "fields.to = args[0]; fields.subject = 'Où êtes-vous ?'; fields.body = 'À bientôt\\r\\n.seul\\r\\n';"
        "const attachment = of('attachment').createInstance(Ci.nsIMsgAttachment);"
        "attachment.url = Services.io.newFileURI(await IOUtils.getFile(args[1])).spec; attachment.name = 'données.bin';"
        "fields.addAttachment(attachment);"
        "const params = of('composeparams').createInstance(Ci.nsIMsgComposeParams);"
        "params.composeFields = fields; params.format = Ci.nsIMsgCompFormat.PlainText; params.type = Ci.nsIMsgCompType.New;"
        "params.identity = MailServices.accounts.defaultAccount.defaultIdentity;"
        "MailServices.compose.OpenComposeWindowWithParams(null, params)",
        f"bob@{DOMAIN}",
        str(tmp_path / "données.bin"),
    )
    person.driver.until(
        f"{_WINDOW} return !!window?.gMsgCompose?.compFields?.to && window.gAttachmentBucket?.itemCount == 1"
    )
    person.driver.run(f"{_WINDOW} window.goDoCommand('cmd_saveAsDraft')")
    assert b"X-Mozilla-Draft-Info" in wait_for(lambda: _only(person, "alice", "Drafts"))
    can_send = "window.defaultController.isCommandEnabled('cmd_sendNow')"
    person.driver.until(f"{_WINDOW} return !window.gSaveOperationInProgress && {can_send}")
    person.driver.run(f"{_WINDOW} window.goDoCommand('cmd_sendNow')")
    person.driver.until(f"{_WINDOW} return !window", timeout_s=30, text="it is not sent")

    message = email.message_from_bytes(wait_for(lambda: _only(person, "bob", "INBOX")), policy=email.policy.default)
    assert message["Subject"] == "Où êtes-vous ?"
    assert message["From"] == f"Alice Ève <{ALICE}>"
    text, attached = message.iter_parts()
    assert text.get_content().splitlines() == ["À bientôt", ".seul"]
    assert (attached.get_filename(), attached.get_content()) == ("données.bin", ATTACHED)
    with person.instance.imap() as client:
        client.select("Sent")
        _, (found,) = client.search(None, "HEADER", "Message-ID", str(message["Message-ID"]))
    assert len(found.split()) == 1
    wait_for(lambda: not _only(person, "alice", "Drafts"), text="what was sent is still a draft")


def _only(person: Person, user: str, folder: str) -> bytes | None:
    """The one message of a folder, as another client sees it; None: there is none."""
    with person.instance.imap(user) as client:
        client.select(folder, readonly=True)
        _, (found,) = client.search(None, "UNDELETED")
        if not found:
            return None
        (number,) = found.split()
        answer: Any = client.fetch(number.decode(), "(BODY.PEEK[])")[1]
        text: bytes = answer[0][1]
        return text


def test_all_of_this_was_compressed(person: Person) -> None:
    """COMPRESS=DEFLATE (RFC 4978), with its own use of zlib."""
    assert person.instance.events("imap.compressed")
    assert not [line for line in person.instance.lines() if "compression-broken" in str(line)]

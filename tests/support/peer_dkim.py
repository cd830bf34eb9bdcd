"""Other people's DKIM: OpenDKIM in its test mode, and dkimpy in the system's Python; keys come from a file instead of DNS."""

import itertools
import json
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

OPENDKIM: Final = "/usr/sbin/opendkim"
PYTHON: Final = "/usr/bin/python3"
_VERIFIED: Final = re.compile(r"\bdkim=(\w+)[^;]*?header\.s=([^ ;]+)")
_DKIMPY: Final = """\
import json, sys
import dkim
asked = json.load(sys.stdin)
done = []
def answer(name, timeout=5):
    return asked["records"][name.decode().rstrip(".")].encode()
for one in asked["work"]:
    message = open(one["path"], "rb").read()
    if "key" in one:
        field = dkim.sign(message, one["selector"].encode(), one["domain"].encode(), open(one["key"], "rb").read(),
            canonicalize=tuple(word.encode() for word in one["forms"]), signature_algorithm=one["algorithm"].encode(),
            linesep=b"\\r\\n", logger=None)
        done.append(field.decode())
    else:
        count = message.partition(b"\\r\\n\\r\\n")[0].lower().count(b"dkim-signature:")
        done.append([dkim.DKIM(message).verify(idx=at, dnsfunc=answer) for at in range(count)])
json.dump(done, sys.stdout)
"""


def dkimpy_there() -> bool:
    """Debian's python3-dkim, with python3-nacl for Ed25519."""
    done = subprocess.run([PYTHON, "-c", "import dkim, nacl"], capture_output=True, check=False)
    return done.returncode == 0


@dataclass
class Peers:
    """`folder` is for scratch; `records`: TXT texts by name."""

    folder: Path
    records: Mapping[str, str]
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def _files(self, messages: Iterable[bytes]) -> list[Path]:
        paths = []
        for message in messages:
            path = self.folder / f"{next(self._numbers)}.eml"
            path.write_bytes(message)
            paths.append(path)
        return paths

    # -- OpenDKIM ------------------------------------------------------------------------------------------------------

    def _opendkim(self, conf: str, paths: Sequence[Path]) -> str:
        keys = self.folder / "keys"
        keys.write_text("".join(f"{name} {text}\n" for name, text in self.records.items()))
        settings = self.folder / "opendkim.conf"
        settings.write_text(conf + "Syslog no\nRequireSafeKeys no\nAuthservID here\n")
        done = subprocess.run(
            [OPENDKIM, "-x", str(settings), "-vv", "-t", ",".join(map(str, paths))],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.stdout + done.stderr

    def opendkim_says(self, messages: Sequence[bytes]) -> list[dict[str, str]]:
        """For each message (selector → result)."""
        conf = f"Mode v\nTestPublicKeys {self.folder}/keys\nAlwaysAddARHeader yes\n"
        said = self._opendkim(conf, self._files(messages))
        parts = said.split("hname='Authentication-Results'")[1:]
        assert len(parts) == len(messages), said
        return [{name: result for result, name in _VERIFIED.findall(part.partition("'\n")[0])} for part in parts]

    def opendkim_signs(
        self, message: bytes, key: Path, selector: str, domain: str, algorithm: str, forms: str
    ) -> bytes:
        """The message with its signature."""
        conf = (
            f"Mode s\nDomain {domain}\nKeyFile {key}\nSelector {selector}\nSignatureAlgorithm {algorithm}\n"
            f"Canonicalization {forms}\nOversignHeaders From\n"
        )
        said = self._opendkim(conf, self._files([message]))
        found = re.search(r"hname='DKIM-Signature' hvalue='([^']*)'", said)
        assert found is not None, said
        return b"DKIM-Signature: " + found[1].replace("\n", "\r\n").encode() + b"\r\n" + message

    # -- dkimpy --------------------------------------------------------------------------------------------------------

    def _dkimpy(self, work: Sequence[Mapping[str, object]]) -> list[object]:
        done = subprocess.run(
            [PYTHON, "-c", _DKIMPY],
            input=json.dumps({"records": dict(self.records), "work": work}),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert isinstance(found, list)
        return found

    def dkimpy_says(self, messages: Sequence[bytes]) -> list[object]:
        """For each message a list of booleans, one for each signature."""
        return self._dkimpy([{"path": str(path)} for path in self._files(messages)])

    def dkimpy_signs(self, message: bytes, key: Path, selector: str, domain: str, algorithm: str, forms: str) -> bytes:
        (path,) = self._files([message])
        (said,) = self._dkimpy(
            [
                {
                    "path": str(path), "key": str(key), "selector": selector, "domain": domain, "algorithm": algorithm,
                    "forms": forms.split("/"),
                }
            ]
        )  # fmt: skip
        return str(said).encode() + message

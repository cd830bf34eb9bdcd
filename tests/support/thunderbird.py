"""A real Thunderbird with a profile of its own, on a screen that nobody sees, driven from tests."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from tests.support.marionette import Marionette
from tests.support.server import wait_for

START_S: Final = 60.0
PROTOCOL: Final = "said.moz_log"
"""What it says to the IMAP server, and hears: written at once."""
_PREFERENCES: Final[Mapping[str, bool | int | str]] = {
    # nothing is asked of anybody
    "app.update.enabled": False,
    "app.normandy.enabled": False,
    "app.donation.eoy.version.viewed": 999,
    "browser.safebrowsing.downloads.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "datareporting.healthreport.uploadEnabled": False,
    "extensions.update.enabled": False,
    "extensions.getAddons.cache.enabled": False,
    "extensions.systemAddon.update.enabled": False,
    "mail.chat.enabled": False,
    "mailnews.auto_config_url": "",
    "mailnews.auto_config.addons_url": "",
    "mailnews.mx_service_url": "",
    "mailnews.start_page.enabled": False,
    "mail.inappnotifications.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.trr.mode": 5,
    "network.prefetch-next": False,
    "services.settings.server": "data:,",
    "toolkit.telemetry.enabled": False,
    "toolkit.telemetry.server": "",
    # nothing is asked of the user
    "mail.shell.checkDefaultClient": False,
    "mail.rights.version": 1,
    "mailnews.start_page_override.mstone": "ignore",
    "mail.compose.attachment_reminder": False,
    "mail.winsearch.firstRunDone": True,
    "mail.warn_on_send_accel_key": False,
    "mail.folder.views.version": 1,
    "signon.rememberSignons": True,
    "privacy.reduceTimerPrecision": False,
    # quicker, and said more
    "ui.prefersReducedMotion": 1,
    "mail.setup.loglevel": "Debug",
    "marionette.port": 0,
    "remote.log.level": "Warn",
}


def _written(value: bool | int | str) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, int) else f'"{value}"'


def make_profile(folder: Path, ca: Path, names: list[str], https_port: int) -> None:
    """`names`: of hosts that are this machine; `ca`: who is believed; `https_port`: where what is asked on 443 is."""
    folder.mkdir()
    places = {"network.dns.localDomains": ",".join(names), "network.socket.forcePort": f"443={https_port}"}
    wanted = {**_PREFERENCES, **places}
    lines = (f'user_pref("{name}", {_written(value)});\n' for name, value in wanted.items())
    (folder / "user.js").write_text("".join(lines))
    certutil = ["certutil", "-d", f"sql:{folder}"]
    subprocess.run([*certutil, "-N", "--empty-password"], check=True, capture_output=True)
    subprocess.run([*certutil, "-A", "-n", "test", "-t", "C,,", "-i", str(ca)], check=True, capture_output=True)


@contextlib.contextmanager
def screen(folder: Path) -> Iterator[str]:
    """DISPLAY of an X server that shows nothing to nobody."""
    read, write = os.pipe()
    with (folder / "xvfb.log").open("wb") as log:
        server = subprocess.Popen(
            ["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x900x24", "-nolisten", "tcp"],
            pass_fds=[write],
            stdout=log,
            stderr=log,
        )
    os.close(write)
    try:
        with os.fdopen(read) as pipe:
            number = pipe.readline().strip()
        assert number, (folder / "xvfb.log").read_text()
        yield f":{number}"
    finally:
        server.terminate()
        server.wait(10)


@contextlib.contextmanager
def thunderbird(folder: Path, ca: Path, names: list[str], https_port: int) -> Iterator[Marionette]:
    """It runs, and its window is there."""
    profile, home = folder / "profile", folder / "home"
    make_profile(profile, ca, names, https_port)
    home.mkdir()
    with screen(folder) as display, (folder / "thunderbird.log").open("wb") as log:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "DISPLAY": display,
            "LANG": "C.UTF-8",
            "MOZ_REMOTE_ALLOW_SYSTEM_ACCESS": "1",
            "MOZ_CRASHREPORTER_DISABLE": "1",
            "MOZ_LOG": "timestamp,sync,IMAP:4",
            "MOZ_LOG_FILE": str(folder / PROTOCOL.removesuffix(".moz_log")),
            "LIBGL_ALWAYS_SOFTWARE": "1",
            "DBUS_SESSION_BUS_ADDRESS": "disabled:",
            "NO_AT_BRIDGE": "1",
        }
        command = [
            "thunderbird",
            "--marionette",
            "--remote-allow-system-access",
            "--no-remote",
            "--profile",
            str(profile),
        ]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            file = profile / "MarionetteActivePort"
            wait_for(lambda: file.exists() and file.read_text().strip(), START_S, "Thunderbird does not start")
            driver = Marionette(int(file.read_text()), START_S)
            try:
                yield driver
            finally:
                driver.close()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)

"""What mail programs are told, from the settings."""

from poterne.config import offered
from poterne.config.settings import Settings
from poterne.proto.autoconfig.offer import Offer
from poterne.proto.autoconfig.offer import offer as made


def offer(settings: Settings) -> Offer:
    """All that is open to mail programs. Its `web` counts where `offered.web_port` is not 0."""
    return made(offered.hostname(settings), offered.ports(settings), offered.web_port(settings) or 443)

"""A delivery with what goes elsewhere than into mailboxes: apart, so that the usual one pays nothing for it."""

from collections.abc import Sequence

from poterne.store.interface import Delivery
from poterne.store.sqlite import delivery, quarantine, report_mail
from poterne.store.sqlite.transaction import Tx
from poterne.values.event import Event
from poterne.values.mailbox import Appended
from poterne.values.quarantine import NewQuarantined
from poterne.values.queue import NewQueued
from poterne.values.reports import NewReportMail


def deliver(
    tx: Tx,
    deliveries: Sequence[Delivery],
    queued: Sequence[NewQueued],
    happened: Sequence[Event],
    quarantined: Sequence[NewQuarantined],
    reports: Sequence[NewReportMail],
) -> list[Appended]:
    """Everything or nothing, as `delivery.deliver`."""
    for blob in {kept.content.blob for kept in quarantined} | {report.blob for report in reports}:
        tx.require(blob)
    quarantine.add(tx, quarantined)
    if reports:
        report_mail.add(tx, reports)
    return delivery.deliver(tx, deliveries, queued, happened)

"""A process that reads reports of strangers, and can do nothing else. Started by `queue.report_process`.

Before it reads an octet it gives up what it does not need: memory, processor time, files, processes, and privileges that a
program could bring. No file can be opened then, nor a socket. What it is given comes in on standard input, what it read goes out
on standard output, each behind its length; a program that took it over could lie about that one report, or fail.
"""

import codecs
import ctypes
import encodings.idna
import resource
import struct
import time
from collections.abc import Callable
from typing import BinaryIO, Final

import msgspec

from poterne.mailauth.reports_in import read
from poterne.mailauth.reports_in.outcome import Fault, Limits, Reading

FRAME: Final = struct.Struct(">I")
MIB: Final = 1024 * 1024
_PR_SET_NO_NEW_PRIVS: Final = 38
_ENCODINGS: Final = ("utf-8", "utf-16", "latin-1", "ascii", "cp1252", "iso8859-15", "cp1251", "koi8-r")
"""Which reports claim; no other can be loaded later."""


class Order(msgspec.Struct, frozen=True):
    """The first frame: how all that follow are to be read."""

    whole_mail: bool
    """False: files, which may be reports as they are."""
    now: int
    limits: Limits
    cpu_s: int
    memory_mib: int


def confine(order: Order) -> None:
    """For good: what is below a hard limit can't be raised again."""
    for name in _ENCODINGS:
        codecs.lookup(name)
    _ = encodings.idna
    ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for kind, most in (
        (resource.RLIMIT_AS, order.memory_mib * MIB),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, 3),  # 0, 1, 2
    ):
        resource.setrlimit(kind, (most, most))


def _more_time(seconds: int) -> None:
    """From now on."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + seconds + 1, hard))


def serve(
    source: BinaryIO,
    sink: BinaryIO,
    confined: Callable[[Order], None] = confine,
    more_time: Callable[[int], None] = _more_time,
) -> None:
    """Until the end of the input."""
    order = msgspec.msgpack.decode(_frame(source), type=Order)
    confined(order)
    function = read.mail if order.whole_mail else read.file
    while octets := _frame(source):
        more_time(order.cpu_s)
        try:
            answer = msgspec.msgpack.encode(function(octets, order.limits, order.now))
        except (MemoryError, RecursionError):
            answer = msgspec.msgpack.encode(Reading(faults=(Fault.RESOURCES,)))
        sink.write(FRAME.pack(len(answer)) + answer)
        sink.flush()


def _frame(source: BinaryIO) -> bytes:
    """Nothing at the end of the input."""
    head = source.read(FRAME.size)
    return source.read(FRAME.unpack(head)[0]) if len(head) == FRAME.size else b""

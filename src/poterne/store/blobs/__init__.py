"""Message bytes in append-only segment files: the `Blobs` of the embedded engine.

Why segments: one fsynced file per message costs a journal commit each (745/s); appending to a file of one's own and
syncing once per group reaches 16–19 k/s. Several processes write at once, so each appends to its own active segment.

The way of a small message: `SegmentBlobWriter.finish` reserves a place in the active segment on the event loop (no I/O);
the store's writer thread calls `SegmentBlobs.sync` (one vectored write, one fdatasync) *before* the SQL commit of any
operation that names the blob, then `require(blob)` for each one. Large messages go to a segment of their own at once.

`format` is the layout on disk, `files` the operating system (replaced in power-loss tests), `folder` names, numbers and
locks, `append` the group commit, `spill` the writers of messages, `read` ranges, `scan` walks records, `recover` ends
segments of processes that died, `compact`, `verify` and `backup` are upkeep; `segments` puts all of it together.

Never done here: appending to a segment that another process began; using a segment number twice; returning bytes whose
checksum was not verified; a sync on a file whose last sync failed (its dirty pages may be gone, marked as clean).
"""

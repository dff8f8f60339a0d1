"""Writes numbered lines as fast as it can: `flood.py NOTES NAME LINES BLOCK`, run by path with `-I -S`.

BLOCK lines go into one write(2). How far it has come is noted, and that it has come to its end.
"""

import os
import sys

NOTES, NAME, LINES, BLOCK = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
token = os.environ["INVOCATION_ID"][:16].encode()
progress = os.open(
    f"{NOTES}/{NAME}.flood", os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666
)

for first in range(0, LINES, BLOCK):
    rest = b"".join(b"%s %07d\n" % (token, n) for n in range(first, min(first + BLOCK, LINES)))
    while rest:
        rest = rest[os.write(1, rest) :]
    if first % 1000 == 0:
        os.pwrite(progress, b"%s %07d" % (token, first), 0)
os.pwrite(progress, b"%s %07d end" % (token, LINES), 0)

"""What limits of a process deny: one program tries one thing, which it can do without the limit.

Only the standard library, as in the tables beside.
"""

from __future__ import annotations

#: Its argument says what to try; it ends with 0 if that can be done, and otherwise with another status or a signal.
TRIES = r"""
import ctypes, os, resource, signal, sys, tempfile, time
def refused(done):
    if not done: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
def cpu():
    while time.process_time() < 1.4: pass
def file():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with tempfile.TemporaryFile(buffering=0) as it:
        refused(it.write(bytes(1 << 16)) == 1 << 16)
def memory(): bytearray(512 << 20)
def stack(): os.execv('/bin/true', ['true'] + ['x' * 100000] * 4)
def files(): [os.open('/dev/null', os.O_RDONLY) for _ in range(100)]
def processes():
    for _ in range(4):  # one that has ended is still one of them, until it is waited for
        if os.fork() == 0:
            time.sleep(1); os._exit(0)
libc = ctypes.CDLL(None, use_errno=True)
def locked():
    area = ctypes.create_string_buffer(32 << 10)
    refused(libc.mlock(area, len(area)) == 0)
def signals():
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGRTMIN])
    for _ in range(32): refused(libc.sigqueue(os.getpid(), signal.SIGRTMIN, ctypes.c_void_p(1)) == 0)
def queue():
    rt = ctypes.CDLL('librt.so.1', use_errno=True)
    name = b'/gitproc-%d' % os.getpid()
    which = rt.mq_open(name, os.O_CREAT | os.O_RDWR, 0o600, (ctypes.c_long * 8)(0, 8, 4096))
    refused(which >= 0)
    rt.mq_unlink(name)
def more(name):
    which = getattr(resource, 'RLIMIT_' + name) if name != 'LOCKS' else 10
    hard = resource.getrlimit(which)[1]
    resource.setrlimit(which, (77 << 20, hard))
what, *words = sys.argv[1:]
{'cpu': cpu, 'file': file, 'memory': memory, 'stack': stack, 'files': files, 'processes': processes,
 'locked': locked, 'signals': signals, 'queue': queue, 'more': more}[what](*words)
"""

#: What a unit has in either case, a limit, and what its process then tries in vain. `more`: to have more of it,
#: which the hard limit stands against.
DENIED = [
    ("", "LimitCPU=1", "cpu"),
    ("", "LimitFSIZE=1K", "file"),
    ("", "LimitDATA=128M", "memory"),
    ("", "LimitAS=256M", "memory"),
    ("", "LimitSTACK=1M", "stack"),
    ("", "LimitNOFILE=64", "files"),
    ("User=uucp", "User=news\nLimitNPROC=2", "processes"),  # each runs nothing else
    ("User=games", "LimitMEMLOCK=4K", "locked"),
    ("User=games", "LimitSIGPENDING=8", "signals"),
    ("User=games", "LimitMSGQUEUE=1K", "queue"),
    ("User=games\nLimitCORE=0:infinity", "LimitCORE=0", "more CORE"),
    ("User=games", "LimitRSS=1M", "more RSS"),
    ("User=games", "LimitLOCKS=9", "more LOCKS"),
    ("User=games", "LimitRTTIME=1s", "more RTTIME"),
]

"""Entry of the shim process: finds its own modules without `site`, `gitproc/__init__` or any search path.

Under `-I -S` the interpreter is as small as it gets; naming the package by hand keeps it so, and nothing
that is installed or lies in the working directory can be picked up by the process that owns all services.
Started as a file (`gitproc/shim/__main__.py`) it is smaller still: a directory is run by way of `runpy`.
"""

import sys

_HERE = __file__.rpartition("/")[0] or "."

for _name, _path in (("gitproc", []), ("gitproc.shim", [_HERE])):
    sys.modules[_name] = type(sys)(_name)
    sys.modules[_name].__path__ = _path

from gitproc.shim.start import main  # noqa: E402

main(sys.argv[1:])

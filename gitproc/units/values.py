"""The values a directive can have, and how each is read from text: one door to their modules.

Every parser takes the text of one assignment and raises ValueError with a message for the operator.
"""

from gitproc.units.commands import ExecCommand, parse_command, parse_commands
from gitproc.units.exit_status import (
    EXIT_STATUS_NAMES,
    StatusSet,
    parse_exit_status,
    parse_status_set,
)
from gitproc.units.limits import Limit, parse_limit
from gitproc.units.paths import (
    EnvFile,
    WorkDir,
    parse_env_files,
    parse_path,
    parse_paths,
    parse_work_dir,
    path_simplify,
)
from gitproc.units.scalars import (
    choice,
    parse_boolean,
    parse_cpu_set,
    parse_int,
    parse_mode,
    parse_nice,
    parse_oom_score_adjust,
    parse_ratio,
    parse_unsigned,
)
from gitproc.units.signals import parse_signal, signal_name
from gitproc.units.sizes import (
    Amount,
    parse_amount,
    parse_cpu_quota,
    parse_positive_amount,
    parse_size,
    parse_tasks,
)
from gitproc.units.user_names import is_valid_user_name, parse_user_name

__all__ = [
    "EXIT_STATUS_NAMES",
    "Amount",
    "EnvFile",
    "ExecCommand",
    "Limit",
    "StatusSet",
    "WorkDir",
    "choice",
    "is_valid_user_name",
    "parse_amount",
    "parse_boolean",
    "parse_command",
    "parse_commands",
    "parse_cpu_quota",
    "parse_cpu_set",
    "parse_env_files",
    "parse_exit_status",
    "parse_int",
    "parse_limit",
    "parse_mode",
    "parse_nice",
    "parse_oom_score_adjust",
    "parse_path",
    "parse_paths",
    "parse_positive_amount",
    "parse_ratio",
    "parse_signal",
    "parse_size",
    "parse_status_set",
    "parse_tasks",
    "parse_unsigned",
    "parse_user_name",
    "parse_work_dir",
    "path_simplify",
    "signal_name",
]

"""Every error a user can meet, as one tree.

    GnomonError
    ├── ConfigError        2    a key, a value or an option that cannot be meant
    ├── DataError          3    text that is missing, unreadable, empty or too little
    ├── DependencyError    4    a library or the network that a verb needs and has not
    ├── IntegrityError     5    an artifact that is damaged, or an export that does not say what the model says
    ├── TrainingError      6    training stopped with a diagnosis
    ├── StorageError       6    the disk is full or refuses to write; what was whole stays whole
    └── Interrupted      130    Ctrl-C or SIGTERM; the state is saved

The number is the process's exit code. Each error says what happened, where, and what to do next: in words on standard
error, and with --json in one object besides, the last line of standard output, where the answer would have been:

    {"error": {"kind": "DataError", "what": "...", "where": "...", "do": "...", "exit_code": 3}}

`where` and `do` may be null. Other kinds are UsageError (exit code 2, words that the command line does not know) and,
with exit code 1, a fault in Gnomon itself. A verb whose answer is itself a finding (`verify`, `eval --parity`) prints
the answer as ever and exits with 5.
"""


class GnomonError(Exception):
    """Base of the tree. `what` is one sentence, `where` a path or key, `do` the next step for the user."""

    exit_code = 1
    default_do: str | None = None  # the next step where an error names none of its own

    def __init__(self, what: str, *, where: str | None = None, do: str | None = None) -> None:
        super().__init__(what)
        self.what, self.where, self.do = what, where, do or self.default_do

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  in  {self.where}")
        if self.do:
            lines.append(f"  do  {self.do}")
        text = "\n".join(lines)
        return text.encode(errors="backslashreplace").decode()  # a file's name need not be text


class ConfigError(GnomonError):
    exit_code = 2


class DataError(GnomonError):
    exit_code = 3


class DependencyError(GnomonError):
    exit_code = 4


class IntegrityError(GnomonError):
    exit_code = 5
    default_do = "see all that is damaged with `gnomon verify`; restore it from a backup, or make it anew"


class TrainingError(GnomonError):
    exit_code = 6


class StorageError(GnomonError):
    exit_code = 6
    default_do = "see whether the disk is there and has room, then run the same command again"


class Interrupted(GnomonError):
    exit_code = 130

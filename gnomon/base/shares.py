"""How the rows of a batch are dealt out to processes and to forward passes."""

from gnomon.base.errors import ConfigError


def uneven(rows: int, processes: int) -> bool:
    """Return whether so many processes cannot have equal shares of a batch."""
    return rows % processes > 0


def without_tree(rows: int, micro_rows: int, processes: int) -> bool:
    """Return whether a batch's passes cannot be summed along one binary tree, whatever part of it each process has."""
    passes = rows // micro_rows
    return rows % micro_rows > 0 or not (_power_of_two(passes) and _power_of_two(processes)) or passes < processes


def _power_of_two(number: int) -> bool:
    return number & (number - 1) == 0


def refuse_uneven_shares(rows: int, micro: int, processes: int, *, exact: bool) -> None:
    """Raise ConfigError when a batch cannot be dealt out to the processes, or not in the way `exact` needs it."""
    if uneven(rows, processes):
        raise ConfigError(
            f"a batch has {rows} rows, which {processes} processes cannot share evenly",
            where="train.batch_tokens",
            do="ask for a batch whose rows are a multiple of the processes",
        )
    if exact and without_tree(rows, micro, processes):
        raise ConfigError(
            f"train.exact needs powers of two: {rows} rows a step are {rows / micro:g} passes of {micro} rows, for "
            f"{processes} processes",
            where="train.exact",
            do="set train.micro_rows so that rows a step / micro_rows is a power of two, and not below the processes",
        )

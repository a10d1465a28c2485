"""How the rows of a batch are dealt out to processes and to forward passes."""


def uneven(rows: int, processes: int) -> bool:
    """Return whether so many processes cannot have equal shares of a batch."""
    return rows % processes > 0


def without_tree(rows: int, micro_rows: int, processes: int) -> bool:
    """Return whether a batch's passes cannot be summed along one binary tree, whatever part of it each process has."""
    passes = rows // micro_rows
    return rows % micro_rows > 0 or not (_power_of_two(passes) and _power_of_two(processes)) or passes < processes


def _power_of_two(number: int) -> bool:
    return number & (number - 1) == 0

"""What a dataset says of the question in a document: a row of a table, NaN for what nobody knows. No torch.

A row is `router` (how likely each of taxonomy.ROUTER_SIGNALS is), `weight` (what each of these counts), `coarse` (how
far each of ANSWER_TYPES fits) and `fine` (the likelihood of each of FINE_TYPES), one after the other.
"""

import numpy as np

from gnomon.taxonomy import ANSWER_TYPES, FINE_TYPES, ROUTER_SIGNALS

_SIGNALS = len(ROUTER_SIGNALS)
ROUTER = slice(0, _SIGNALS)
WEIGHT = slice(_SIGNALS, 2 * _SIGNALS)
COARSE = slice(WEIGHT.stop, WEIGHT.stop + len(ANSWER_TYPES))
FINE = slice(COARSE.stop, COARSE.stop + len(FINE_TYPES))
WIDTH = FINE.stop
DTYPE = np.dtype("<f2")
"""Of the table: 156 bytes a document, exact to three digits."""


def fault_of(table: np.ndarray) -> str | None:
    """Return what is wrong with a table of labels, for people; None where nothing is."""
    for name, part, most in (
        ("router", ROUTER, 1.0),
        ("weight", WEIGHT, np.inf),
        ("coarse", COARSE, 1.0),
        ("fine", FINE, 1.0),
    ):
        values = table[:, part].astype(np.float32)
        if ((values < 0) | (values > most) | np.isinf(values)).any():
            return f"a {name} label is no number from 0 to {'1' if most == 1 else 'any size'}"
    if (np.isnan(table[:, ROUTER]) != np.isnan(table[:, WEIGHT])).any():
        return "a label has no weight, or a weight has no label"
    return None

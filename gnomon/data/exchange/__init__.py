"""Documents that are ids already: read out of the formats of other programs, and written in them."""

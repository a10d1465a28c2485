"""Text comes in: files, archives, tables and data sets of the Hub become records, each with its place."""

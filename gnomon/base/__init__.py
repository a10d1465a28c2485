"""What every floor stands on: errors, atomic files, the machine, logs, seeds, named test points. No torch here."""

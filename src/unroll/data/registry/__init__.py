"""Data sets by name: fetched, found on this machine, checked."""

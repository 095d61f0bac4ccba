"""Tagging: a sentence of words in, a tag for each out; ``task.py`` is the task itself."""

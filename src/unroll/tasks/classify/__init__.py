"""Classifying: a document or a sequence of numbers in, one of a few classes out; ``task.py`` is the task itself."""

"""Forecasting: numeric series in, the next ``horizon`` steps of the targets out; ``task.py`` is the task itself."""

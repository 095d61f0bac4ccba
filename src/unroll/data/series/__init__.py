"""Series for forecasting: a table on a regular grid, its parts, scales and windows."""

"""unroll.data: readers, splits, scaling, windows and data sets."""

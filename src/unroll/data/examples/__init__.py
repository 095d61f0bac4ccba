"""Examples to classify or tag: documents, sequences of numbers, sentences; their tokens and batches."""

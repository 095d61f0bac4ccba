"""Draws the pictures of the cells and writes the tables of their pages, both from the code."""

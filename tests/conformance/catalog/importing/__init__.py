"""Tests of the import of documents."""

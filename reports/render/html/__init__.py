"""Pages: one file each, without network access."""

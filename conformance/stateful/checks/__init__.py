"""What the model checks of each kind of step: sessions, writes, reads and lists."""

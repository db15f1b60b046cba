"""Import of documents of other formats into a catalogue: what they state, what they leave open, and updates."""

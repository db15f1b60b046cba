"""Learning a catalogue from recorded calls: functions, schemas, rights, effects, objects, and the evidence for each."""

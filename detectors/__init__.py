"""What happened on the road: pure detectors over closed panes. Nothing here knows Kafka, Bytewax, the clock or the environment."""

"""What happened on the road: pure detectors over closed panes, without Kafka, Bytewax, a clock or an environment."""

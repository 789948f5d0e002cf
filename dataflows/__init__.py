"""The shell around the detectors: formats, windows, Kafka, metrics, the command line."""

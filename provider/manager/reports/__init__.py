"""What is told of runs afterwards: alerts, the log, cleaning."""

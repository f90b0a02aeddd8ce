"""Pictures of training: loss and metric by epoch, mistakes, thresholds."""

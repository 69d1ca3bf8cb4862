//! What `$status` answers, and the metrics.

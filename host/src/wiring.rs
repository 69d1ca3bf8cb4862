//! Builds the pipeline from a checked configuration; the one place that sees every module.

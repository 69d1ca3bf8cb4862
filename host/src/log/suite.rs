//! What every store must keep, as tests that each store runs.

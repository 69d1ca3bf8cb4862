//! Which destinations want a change; pure.

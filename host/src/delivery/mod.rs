//! One destination's loop: take, flatten, send, ack.

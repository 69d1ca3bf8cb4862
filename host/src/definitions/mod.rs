//! The topics, views and destinations that exist, checked as a whole.

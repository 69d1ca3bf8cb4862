//! The commands of the `lakefeed` binary, a file a command.

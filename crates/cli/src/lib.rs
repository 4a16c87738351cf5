//! The operations commands

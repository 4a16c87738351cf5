//! Fakes, an API server in the process, bounded waits, builders; for tests only

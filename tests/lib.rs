//! The tests of the whole platform stand in `it/`; this library is empty.

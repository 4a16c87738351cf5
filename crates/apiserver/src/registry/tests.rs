//! Behaviour of the registry over a real store, with a toy kind.

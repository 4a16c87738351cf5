//! The round trip.

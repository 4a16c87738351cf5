//! The resource types of the platform: kinds, defaults, validation, and every name

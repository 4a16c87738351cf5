//! Server-side apply: typed values, field sets, managed fields

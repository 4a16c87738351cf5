//! A revisioned key-value log: transactions, list at a revision, watch from a revision

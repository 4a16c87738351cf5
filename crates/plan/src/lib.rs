//! Pure decisions: desired, observed and now in; actions, conditions and next wake-up out

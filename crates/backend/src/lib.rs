//! What the outside systems look like from here: observations, actions, one trait each

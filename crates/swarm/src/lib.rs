//! The backend trait on Docker Swarm; the only user of bollard

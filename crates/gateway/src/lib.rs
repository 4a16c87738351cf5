//! Reverse proxy and pages in front of the notebook servers
